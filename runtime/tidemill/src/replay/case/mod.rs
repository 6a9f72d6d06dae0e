//! A case: one unit with everything that it needs to run again, in a file, far from any broker.

mod parts;
mod schemas;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_core::code::{Code, Coded};
use tidemill_core::journal::{Cause, Noted};
use tidemill_core::ports::{Durability, Schemas, Topics};
use tidemill_core::replay::{Before, Needs, Session, Told, Wanted};
use tidemill_core::service::ServiceBuilder;
use tidemill_core::state::{decode, encode};
use tidemill_core::time::Timestamp;
use tidemill_embedded::store;

use super::shown::ended;
use super::{Replay, Shown};
use crate::config::Configuration;
use crate::exported::{Exported, Topic, Written, known};
use crate::host::{Host, Stopwatch, event_loop};
use crate::said::Said;
use parts::{Call, Kept, bytes};
use schemas::{Answers, Notes, Schema};

/// The form of the file that this build writes and reads.
const FORMAT: u32 = 1;

/// One unit of a service, and what it needs to run again: its record, the state that it found, the time that it saw, what it was answered from
/// outside, how many partitions topics have, and what was configured.
///
/// [`Replay::capture`] makes it. It holds the data of one key, as it is: who may see that may see the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    format: u32,
    service: String,
    /// For whoever reads it.
    about: About,
    shard: u32,
    at: String,
    topic: String,
    /// The record, where it stands in the log. One that was parked, or a timer, lies in the state.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    record: Option<Written>,
    state: Vec<Kept>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    calls: Vec<Call>,
    /// What the journal notes of it beside that.
    noted: Said,
    topics: BTreeMap<String, Topic>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    schemas: Vec<Schema>,
    settings: BTreeMap<String, String>,
}

/// What a case is about, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Where its record stands.
    pub position: String,
    /// The name of its handler.
    pub handler: String,
    /// The type of its event.
    #[serde(rename = "type")]
    pub event: String,
    /// Its event's id.
    pub id: String,
    /// How it ended then.
    pub then: String,
}

fn unusable(why: impl std::fmt::Display) -> Coded {
    Coded::new(Code::UNUSABLE_CASE, format!("the case cannot be used: {why}"))
}

impl Case {
    /// Reads a file that [`Case::to_text`] wrote. One that cannot be read, or is of another form, is an error (TM-0904).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Coded> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| unusable(format!("{}: {error}", path.display())))?;
        Self::parse(&text).map_err(|error| Coded::new(error.code, format!("{}: {}", path.display(), error.message)))
    }

    /// Reads such a text.
    pub fn parse(text: &str) -> Result<Self, Coded> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let Form { format } = serde_json::from_str(text).map_err(unusable)?;
        if format != FORMAT {
            return Err(unusable(format!("it has format {format}, and this build reads format {FORMAT}")));
        }
        serde_json::from_str(text).map_err(unusable)
    }

    /// The text of its file.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has text keys and no failing parts")
    }

    /// The name of its service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What it is about.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Runs it with this build of its service, on a thread of its own, without any broker or database: for tests. Where a call to the outside
    /// has no answer, the unit fails (TM-0903). A case that the service has no use for is an error (TM-0904).
    #[expect(clippy::disallowed_methods, reason = "so that it works in whatever runs the test")]
    pub fn run(&self, service: ServiceBuilder) -> Result<Shown, Coded> {
        std::thread::scope(|scope| {
            let work = || {
                event_loop().block_on(async {
                    let host = self.host(Configuration::default(), service)?;
                    let (told, took) = self.run_on(&host, false).await?;
                    Ok(Shown::of(&host.services()[0], &told, Vec::new(), took))
                })
            };
            let answer = scope.spawn(work).join();
            answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A host of its service, without a broker, configured as then where this configuration leaves it open.
    pub(crate) fn host(&self, configuration: Configuration, service: ServiceBuilder) -> Result<Host, Coded> {
        if **service.name() != *self.service {
            return Err(unusable(format!("it is one of service {}, and this is {}", self.service, service.name())));
        }
        let mut settings = self.settings.iter();
        let configured = settings.try_fold(configuration, |so_far, (key, text)| so_far.or(key, text))?;
        let mut host = Host::open(configured.with("broker", "memory:")?.with("state", "broker")?)?;
        host.add(service)?;
        Ok(host)
    }

    /// Runs it on such a host, and tells how long it took.
    pub(crate) async fn run_on(&self, host: &Host, calls: bool) -> Result<(Told, Duration), Coded> {
        let schemas: Arc<dyn Schemas> = Arc::new(Answers(self.schemas.clone()));
        let service = Arc::clone(&host.services()[0]);
        let replay =
            Replay { schemas: (!self.schemas.is_empty()).then_some(schemas), ..Replay::of(host, &self.service)? };
        replay.find_schema_ids().await?;
        let topics: Arc<dyn Topics> = Arc::new(Exported::new(self.topics.clone(), BTreeMap::new()));
        let mut session = Session::open(service, topics, replay.ports()).await?;
        let held = store::memory();
        held.apply(self.state.iter().map(Kept::change).collect::<Result<_, _>>()?, Durability::Buffered)?;
        session.begin(self.shard, held).await?;
        let at = Timestamp::parse(&self.at).ok_or_else(|| unusable(format!("{} is no time", self.at)))?;
        let mut noted: Noted = decode(&bytes(&self.noted)?).map_err(unusable)?;
        noted.answers = self.calls.iter().map(Call::answered).collect::<Result<_, _>>()?;
        let before = Before { at, topic: &self.topic, noted: &noted };
        let record = match (&noted.cause, &self.record) {
            (Cause::Record(..), None) => return Err(unusable("it has no record")),
            (Cause::Record(..), Some(record)) => Some(record.record().map_err(unusable)?),
            _ => None,
        };
        let began = Stopwatch::start();
        let wanted = Wanted { changes: true, needs: false, calls };
        let told = session.run(self.shard, &before, record, wanted).await?;
        let told = told.ok_or_else(|| unusable("its state does not hold what it handled"))?;
        Ok((told, began.elapsed()))
    }
}

impl Replay {
    /// The case of the first unit of its selection that is meant; `None` where there is none.
    pub async fn capture(&self, mut is_meant: impl FnMut(&Told) -> bool) -> Result<Option<Case>, Coded> {
        let notes = self.schemas.clone().map(|schemas| Arc::new(Notes { schemas, answers: Mutex::default() }));
        let registry = notes.clone().map(|notes| notes as Arc<dyn Schemas>);
        let replay = Self { schemas: registry, ..self.clone() };
        let wanted = Wanted { changes: false, needs: true, calls: self.calls };
        let mut found = None;
        replay
            .each(wanted, |told, _| {
                Ok(if is_meant(&told) {
                    found = Some(told);
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })
            .await?;
        let Some(told) = found else { return Ok(None) };
        let answers = notes.map(|notes| notes.answers.lock().expect("nobody panicked").clone());
        self.case(told, answers.unwrap_or_default()).await.map(Some)
    }

    async fn case(&self, told: Told, schemas: Vec<Schema>) -> Result<Case, Coded> {
        let names = self.service.input_topics().chain(self.service.output_topics());
        let topics = known(&self.broker.topics(), names).await?;
        let Told { position, id, event, handler, at, mut noted, needs, .. } = told;
        let Needs { shard, topic, record, state } = needs.expect("that is what was wanted");
        let about = About {
            position: position.to_string(),
            handler: handler.to_string(),
            event,
            id,
            then: ended(&noted.ended),
        };
        let calls = std::mem::take(&mut noted.answers).into_iter().map(Call::of).collect();
        Ok(Case {
            format: FORMAT,
            service: self.service.name().to_string(),
            about,
            shard,
            at: at.to_string(),
            topic,
            record: record.as_ref().map(Written::of),
            state: state.iter().map(Kept::of).collect(),
            calls,
            noted: Said::base64(&encode(&noted).expect("a struct of plain parts can be written")),
            topics,
            schemas,
            settings: self.settings.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
