//! A saga whose steps work with SQL: what a step wrote that failed for good goes with it, and what an attempt to undo wrote that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use tidemill::prelude::*;
use tidemill::retry::Retry;
use tidemill::saga::{Begin, Compensation, Leads, Missing, Next, State, Step, Undo};
use tidemill_core::ports::Broker;
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::service::Service as Built;
use tidemill_core::time::Timestamp;
use tidemill_postgres::{Postgres, SqlContext};
use tidemill_testkit::fakes::work;

use super::handler::ports;
use super::rows::client;
use super::{database, event_loop, memory};
use crate::kafka::Wall;

const SCHEMA: &str = "process_sql";
const SERVICE: &str = "process";
const WROTE: &str = "insert into process_sql.wrote (what) values ($1)";

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.begun", version = 1, topic = "begun", key = key, codec = json)]
struct Begun {
    key: String,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.broken", version = 1, topic = "begun", key = key, codec = json)]
struct Broken {
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Running {}

impl State for Running {
    const NAME: &'static str = "running";
}

#[derive(Serialize, Deserialize)]
struct TakeBack {}

impl Compensation for TakeBack {
    const NAME: &'static str = "take-back";
}

/// Whether it failed to undo once.
struct Process(AtomicBool);

#[async_trait(?Send)]
impl Begin<Begun> for Process {
    async fn begin(&self, _: &Begun, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.sql()?.execute(WROTE, &[&"begun"]).await?;
        Ok(Next::to(Running {}).undo_with(TakeBack {}))
    }
}

#[async_trait(?Send)]
impl Step<Running, Broken> for Process {
    async fn step(&self, _: Running, _: &Broken, cx: &mut Context<'_>) -> Result<Next, HandlerError> {
        cx.sql()?.execute(WROTE, &[&"a step that fails"]).await?;
        Err(HandlerError::permanent("it is broken"))
    }
}

#[async_trait(?Send)]
impl Undo<TakeBack> for Process {
    async fn undo(&self, _: TakeBack, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        cx.sql()?.execute(WROTE, &[&"taken back"]).await?;
        if self.0.swap(true, Ordering::SeqCst) { Ok(()) } else { Err(HandlerError::transient("not now")) }
    }
}

fn service() -> Arc<Built> {
    let quick = Retry { attempts: 5, first_delay: Duration::from_millis(1), longest_delay: Duration::from_millis(1) };
    let builder = Service::builder(SERVICE).saga("process", Process(AtomicBool::new(false)), |saga| {
        let saga = saga.begins_with::<Begun>([Leads::to::<Running>()]).missing::<Broken>(Missing::DeadLetter);
        saga.state::<Running>(|state| state.ignore::<Begun>().on::<Broken>([])).undo::<TakeBack>().undo_retry(quick)
    });
    Arc::new(builder.build().unwrap())
}

#[test]
fn what_a_step_wrote_that_failed_for_good_goes_with_it() {
    let Some(url) = devkit::postgres::for_tests("sagas with SQL") else { return };
    let database = database(url, SCHEMA);
    event_loop().block_on(async {
        let (log, service): (Arc<dyn Broker>, _) = (memory(), service());
        let client = client(url).await;
        client.batch_execute("create table process_sql.wrote (what text not null)").await.unwrap();
        for (topic, partitions) in service.own_topics() {
            log.topics().create(topic, partitions.unwrap_or(1)).await.unwrap();
        }
        log.topics().create(Begun::TOPIC, 1).await.unwrap();
        let mut publisher = Publisher::new(Arc::clone(&log), "/tests");
        publisher.declare::<Begun>().await.unwrap();
        publisher.declare::<Broken>().await.unwrap();
        let time = Timestamp::from_millis(1);
        publisher.publish(Publication { event: &Begun { key: "a".to_owned() }, id: "1", time }).unwrap();
        publisher.publish(Publication { event: &Broken { key: "a".to_owned() }, id: "2", time }).unwrap();
        publisher.flush().await.unwrap();
        let wrote = async || {
            let rows = client.query("select what from process_sql.wrote order by what", &[]).await.unwrap();
            rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
        };
        let broker: Arc<dyn Broker> = Postgres::beside(Arc::clone(&log), database.clone(), Arc::new(Wall));
        let is_undone = async {
            while !wrote().await.contains(&"taken back".to_owned()) {
                tokio::task::yield_now().await;
            }
        };
        let life = work(Arc::clone(&service), "only".into(), broker, ports(), std::future::pending());
        if let Either::Left((ended, _)) = select(std::pin::pin!(life), std::pin::pin!(is_undone)).await {
            panic!("it ended by itself: {ended:?}");
        }
        assert_eq!(wrote().await, ["begun", "taken back"]);
    });
}
