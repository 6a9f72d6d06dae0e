//! The state that a replay rebuilds is the one that there was, at any moment of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use ingest::{Input, Survey};
use tidemill::config::Configuration;
use tidemill::host::{Host, Until};
use tidemill::service::Service;
use tidemill_core::internal;
use tidemill_core::journal;
use tidemill_core::parking;
use tidemill_core::ports::{Entry, KeyRange, NoObserver};
use tidemill_core::record::TopicPartition;
use tidemill_core::replay::{Bounds, Course, Session, Span, Survey as Looked};
use tidemill_core::state::runtime_range;
use tidemill_core::worker::Ports;
use tidemill_embedded::store;
use tidemill_testkit::fakes::{VirtualClock, ports};
use tidemill_testkit::replayed::Silent;

/// Moments of which the state is kept.
const MOMENTS: usize = 50;

/// What handlers keep and have scheduled, and where what is parked came from, lane by lane.
#[derive(Debug, PartialEq)]
struct Kept {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    parked: Vec<String>,
}

impl Kept {
    fn of(entries: &[Entry]) -> Self {
        let handlers = entries.iter().filter(|(key, _)| !runtime_range().contains(key));
        let parked = entries.iter().filter_map(parking::parked);
        Self {
            state: handlers.map(|(key, value)| (key.to_vec(), value.to_vec())).collect(),
            parked: parked
                .map(|(lane, _, parked)| format!("{lane:?} {} {:?}", parked.position(), parked.waits))
                .collect(),
        }
    }
}

/// The states of the shards of all services, by the number of the page of the journal as of which each is.
type Moments = BTreeMap<(Arc<str>, u32), BTreeMap<u64, Kept>>;

fn host() -> Host {
    let mut host = Host::open(Configuration::default()).expect("memory");
    let services = [
        orders::service(),
        inventory::service(),
        sales::service(),
        payments::service(Some(7)),
        shipping::service(shipping::SEED),
        checkout::service(),
    ];
    services.into_iter().try_for_each(|service| host.add(service)).expect("they are good");
    host
}

/// Keeps the states of all shards as they are at some moments, while services run.
async fn keep(host: &Host, moments: &mut Moments) {
    for turn in 0..MOMENTS {
        // No two are equally far from each other.
        host.clock().sleep(Duration::from_millis(20 + (turn as u64 * 37) % 151)).await;
        for service in host.services() {
            let name = service.name();
            for shard in 0..host.broker().shards(name).await.expect("it tells") {
                let entries = host.broker().state(name, shard, &KeyRange::all(), usize::MAX).await.expect("it is read");
                if let Some(reach) = journal::reach(&entries) {
                    let known = moments.entry((Arc::clone(name), shard)).or_default();
                    known.entry(reach.number).or_insert_with(|| Kept::of(&entries));
                }
            }
        }
    }
}

/// Runs one shard again, from one of the moments to the next, and says how many were the same.
async fn again(host: &Host, service: &Arc<Service>, shard: u32, moments: &BTreeMap<u64, Kept>) -> usize {
    let topics = host.broker().topics();
    let ports =
        Ports { clock: Arc::clone(host.clock()), ..ports(&Arc::new(VirtualClock::default()), 1, Arc::new(NoObserver)) };
    let journal = TopicPartition::new(internal::journal(service.name()), shard);
    let looked = Looked::of(&topics, journal.clone(), &Bounds::default()).await.expect("it is whole");
    let mut session = Session::open(Arc::clone(service), Arc::clone(&topics), ports).await.expect("it opens");
    let held = store::memory();
    session.begin(shard, Arc::clone(&held)).await.expect("it begins");
    let mut from = looked.base(&[]).expect("it begins with nothing").offset;
    for (number, then) in moments {
        let last = looked.offset_of(*number).expect("the page was committed with the state");
        let course = Course::new(&mut session, Arc::clone(&topics), shard, Bounds::default());
        let span = Span { from, first: from, last };
        course.run(journal.clone(), span, &store::memory, &mut Silent).await.expect("it runs");
        let now = Kept::of(&held.scan(&KeyRange::all(), usize::MAX).expect("it is read"));
        assert!(now == *then, "{}, shard {shard}, page {number}: another state than then", service.name());
        from = last + 1;
    }
    moments.len()
}

#[test]
fn the_state_of_fifty_moments_of_the_shop_is_rebuilt() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (host, mut moments) = (host(), Moments::new());
        let survey = Survey::of(Input::Generated { lines: 20_000, seed: 3 }).expect("it is made up");
        let feed = async {
            let publish = survey.publish(host.publisher(ingest::SOURCE), None, |_| {});
            join(publish, keep(&host, &mut moments)).await.0.map(|_| ())
        };
        host.run_with(feed, Until::Drained).await.expect("everything is done");
        let mut same = 0;
        for ((name, shard), of_shard) in &moments {
            let service = host.services().iter().find(|service| service.name() == name).expect("it is known");
            same += again(&host, service, *shard, of_shard).await;
        }
        assert!(same > 2 * MOMENTS, "the moments are of a service at work: {same} states");
        println!("{same} states of {MOMENTS} moments are the same");
    });
}
