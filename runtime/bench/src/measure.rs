//! One run: the input is published, the service is measured, then the bare loop.

use std::env;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use tempfile::TempDir;
use tidemill::code::{Code, Coded, Exit};
use tidemill::config::Configuration;
use tidemill::host::Host;
use tidemill::ports::Broker;
use tidemill_core::record::TopicPartition;

use crate::case::Case;
use crate::kafka::Cluster;
use crate::meter::{Meter, Usage};
use crate::options::Bench;
use crate::report::Figures;
use crate::{bare, latency, relay, restore, rows};

/// How many partitions every topic has; the one worker runs all of them.
pub(crate) const PARTITIONS: u32 = 4;
/// The topic that the bare loop writes to.
pub(crate) const BARE_OUTPUT: &str = "bench-bare";
/// What the address of a broker in a directory begins with.
const EMBEDDED: &str = "embedded:";

/// Measures what the command line asks for, and prints it.
pub(crate) async fn work(bench: Bench) -> Result<Exit, Coded> {
    let Bench { case, records, warm_up, output, common } = bench;
    let (configuration, folder) = own_folder(Configuration::load(&common)?)?;
    let own_workers = format!("services.{}.workers", case.name());
    let configuration = configuration.with("topics.partitions", &PARTITIONS.to_string())?.with(&own_workers, "1")?;
    let records = records.unwrap_or(case.records());
    let figures = run(configuration, case, records, warm_up.min(records)).await;
    if let Some(folder) = folder {
        let path = folder.path().to_owned();
        folder.close().map_err(|error| unwritable(&path, &error))?;
    }
    figures?.print(output)?;
    Ok(Exit::Done)
}

/// A broker in a directory gets a folder of its own there, so that every run begins with nothing and leaves nothing.
fn own_folder(configuration: Configuration) -> Result<(Configuration, Option<TempDir>), Coded> {
    let Some(directory) = configuration.broker().strip_prefix(EMBEDDED).filter(|directory| !directory.is_empty())
    else {
        return Ok((configuration, None));
    };
    let directory = Path::new(directory);
    let made = std::fs::create_dir_all(directory)
        .and_then(|()| tempfile::Builder::new().prefix("tidemill-bench-").tempdir_in(directory));
    let folder = made.map_err(|error| unwritable(directory, &error))?;
    let Some(path) = folder.path().to_str() else {
        return Err(unwritable(directory, &"its name is not valid text (UTF-8)"));
    };
    let address = format!("{EMBEDDED}{path}");
    Ok((configuration.with("broker", &address)?, Some(folder)))
}

fn unwritable(path: &Path, cause: &dyn std::fmt::Display) -> Coded {
    Coded::new(Code::WRITE_FAILED, format!("directory {} cannot be used: {cause}", path.display()))
}

async fn run(configuration: Configuration, case: Case, records: u64, warm_up: u64) -> Result<Figures, Coded> {
    let cluster = Cluster::of(&configuration);
    let configuration =
        if matches!(case, Case::Rows | Case::Relay) { rows::of_run(&configuration)? } else { configuration };
    let mut host = Host::open(configuration.clone())?;
    match case.service() {
        Some(service) => host.add(service)?,
        None => host.writes(case.output()),
    }
    let Some(cluster) = cluster else {
        return match case {
            Case::Latency | Case::Restore | Case::Relay => {
                let message = format!("{} is measured on Kafka: --broker kafka://HOST:PORT", case.name());
                Err(Coded::new(Code::BAD_VALUE, message))
            }
            Case::Rows => rows::measure(&mut host, records).await,
            Case::Passthrough | Case::Stateful => beside_the_log(&mut host, case, records).await,
        };
    };
    // What a run that was broken off has left.
    cluster.clear(&host).await?;
    let figures = match case {
        Case::Latency => latency::measure(&mut host, &cluster, records)
            .await
            .map(|(service, bare)| Figures::latency(records, service, bare)),
        Case::Restore => restore::measure(&host, &configuration, records).await,
        Case::Rows => rows::measure(&mut host, records).await,
        Case::Relay => relay::measure(&mut host, &cluster, records).await,
        Case::Passthrough | Case::Stateful => {
            if warm_up > 0 {
                warm(warm_up);
            }
            beside_the_client(&mut host, &cluster, case, records).await
        }
    };
    cluster.clear(&host).await?;
    figures
}

/// Lets the broker do once what is measured then: it translates its program while it runs. What this process needs of memory would
/// grow with that, so another one does it.
fn warm(records: u64) {
    let again = |program: PathBuf| {
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1)).args(["--warm-up=0", &format!("--records={records}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    match env::current_exe().and_then(again) {
        Ok(status) if status.success() => {}
        other => tracing::warn!(?other, "the broker could not be warmed up; figures may be of a cold one"),
    }
}

/// Publishes the input, and measures the service.
async fn service(host: &mut Host, case: Case, records: u64) -> Result<Usage, Coded> {
    let (meter, usage) = Meter::new(records);
    host.observe(Arc::new(meter));
    // The changelog, where there is one, goes with the inputs.
    host.create_topics([case.input(), BARE_OUTPUT].map(Arc::from)).await?;
    host.create_topics(host.topics()).await?;
    case.publish(host.broker(), records).await?;
    measured(host, usage).await
}

async fn beside_the_log(host: &mut Host, case: Case, records: u64) -> Result<Figures, Coded> {
    let service = service(host, case, records).await?;
    let broker = host.broker();
    assert_eq!(count(&**broker, case.output()).await?, records, "the service emits one record for each");
    let room = host.services()[0].limits().read_ahead;
    let bare = bare::copy(&**broker, (case.input(), BARE_OUTPUT), records, room).await?;
    assert_eq!(count(&**broker, BARE_OUTPUT).await?, records, "the bare loop copies every record");
    Ok(Figures::speed(case, records, service, bare))
}

async fn beside_the_client(host: &mut Host, cluster: &Cluster, case: Case, records: u64) -> Result<Figures, Coded> {
    let service = service(host, case, records).await?;
    let interval = host.services()[0].limits().commit_interval;
    let bare = cluster.bare(case, records, interval)?;
    for topic in [case.output(), BARE_OUTPUT] {
        // The markers of transactions stand beside the records.
        assert!(count(&**host.broker(), topic).await? > records, "one record for each in {topic}");
    }
    Ok(Figures::speed(case, records, service, bare))
}

/// Runs the services of the host until everything is done, and tells what an observer of it has seen.
pub(crate) async fn measured<T>(host: &Host, seen: oneshot::Receiver<T>) -> Result<T, Coded> {
    let mut running = host.start().await?;
    let ended = match select(seen, pin!(running.failed())).await {
        Either::Left((seen, _)) => Ok(seen.expect("the host keeps the observer")),
        Either::Right((error, _)) => Err(error),
    };
    if ended.is_ok() {
        running.drained().await?;
    }
    running.stop().await?;
    ended
}

/// How many records a topic has.
async fn count(broker: &dyn Broker, topic: &str) -> Result<u64, Coded> {
    let mut records = 0;
    for partition in 0..PARTITIONS {
        let (oldest, end) = broker.topics().offsets(&TopicPartition::new(topic, partition)).await?;
        records += end - oldest;
    }
    Ok(records)
}
