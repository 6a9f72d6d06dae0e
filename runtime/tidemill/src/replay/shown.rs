//! Units that ran again, as they are printed.

use serde::Serialize;
use serde_json::Value;
use tidemill_core::headers;
use tidemill_core::journal::Ending;
use tidemill_core::outputs::{Output, Outputs};
use tidemill_core::service::Service;

use super::{Changed, TimerChange, Told, shown};
use crate::said;

/// A unit that ran again, in a form that people and programs read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// The service.
    pub service: String,
    /// Where its record stands.
    pub position: String,
    /// The time that it saw.
    pub at: String,
    /// The name of its handler.
    pub handler: String,
    /// The type of its event.
    #[serde(rename = "type")]
    pub event: String,
    /// Its event's id.
    pub id: String,
    /// The key.
    pub key: Value,
    /// The value.
    pub value: Value,
    /// The number of the attempt with which it ended then.
    pub attempt: u32,
    /// How it ended then.
    pub then: String,
    /// What its handler fails with now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it changes in the state of its handler and key.
    pub state: Vec<Cell>,
    /// What it emits.
    pub emitted: Vec<Emitted>,
    /// What it emits now, though it failed then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<Emitted>,
    /// What it schedules, and which of its timers are gone.
    pub timers: Vec<Timer>,
    /// The calls to the outside for which it gets the answers of then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
    /// What it logs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// How long it took now, in microseconds.
    pub took_us: u64,
}

/// A cell, or an entry of a map, that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Its name.
    pub name: String,
    /// The key of the map's entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Value>,
    /// The value before; null where there was none.
    pub before: Value,
    /// The value after it.
    pub after: Value,
}

/// An event that is emitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Emitted {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The event's type.
    #[serde(rename = "type")]
    pub event: String,
    /// The event's id.
    pub id: String,
    /// The key.
    pub key: Value,
    /// The value.
    pub value: Value,
}

/// A timer that is new, or there no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Timer {
    /// It is scheduled.
    Scheduled {
        /// Its name.
        name: String,
        /// When it fires.
        due: String,
    },
    /// It has fired, was cancelled, or was replaced.
    Gone {
        /// When it was to fire.
        due: String,
    },
}

/// How a unit ended, in words.
pub(crate) fn ended(ending: &Ending) -> String {
    let code = ending.code().map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{}{code}", ending.name())
}

impl Shown {
    pub(crate) fn of(service: &Service, told: &Told, log: Vec<String>, took: std::time::Duration) -> Self {
        let topic = &told.position.source.topic;
        let emitted = |outputs: &Outputs| outputs.iter().map(|output| Emitted::of(service, &output)).collect();
        Self {
            service: service.name().to_string(),
            position: told.position.to_string(),
            at: told.at.to_string(),
            handler: told.handler.to_string(),
            event: told.event.clone(),
            id: told.id.clone(),
            key: shown(told.record.key.as_deref()),
            value: value(service, topic, Some(&told.event), told.record.value.as_deref()),
            attempt: told.noted.attempt,
            then: ended(&told.noted.ended),
            failure: told.failure.as_ref().map(ToString::to_string),
            state: told.changes.iter().map(Cell::of).collect(),
            emitted: emitted(&told.outputs),
            beyond: told.beyond.as_ref().map(emitted).unwrap_or_default(),
            timers: told.timers.iter().map(Timer::of).collect(),
            calls: told.noted.answers.iter().map(|answer| answer.name.clone()).collect(),
            log,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// What it emits now, an event a line: its type, topic, key and value. Without what differs from run to run of a service, such as ids.
    pub fn events(&self) -> Vec<String> {
        let events = self.emitted.iter().chain(&self.beyond);
        let line = |Emitted { topic, event, key, value, .. }: &Emitted| {
            format!("{event} to {topic}  key {}  {}", text(key), text(value))
        };
        events.map(line).collect()
    }

    /// Its lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let key = text(&self.key);
        let head = format!(
            "{}  {}  {}: {}  key {key}  attempt {}: {}  {} us",
            self.at, self.position, self.handler, self.event, self.attempt, self.then, self.took_us
        );
        let details = self.details();
        std::iter::once(head).chain(details.iter().map(|line| format!("    {line}"))).collect()
    }

    /// What its lines for people say beside the first.
    pub(crate) fn details(&self) -> Vec<String> {
        let mut lines = vec![text(&self.value)];
        lines.extend(self.failure.iter().map(|failure| format!("fails now: {failure}")));
        lines.extend(self.state.iter().map(Cell::line));
        lines.extend(self.emitted.iter().map(|emitted| format!("> {}", emitted.line())));
        lines.extend(self.beyond.iter().map(|emitted| format!("> now, and not then: {}", emitted.line())));
        lines.extend(self.timers.iter().map(Timer::line));
        lines.extend(self.calls.iter().map(|call| format!("called {call}, and gets the answer of then")));
        lines.extend(self.log.iter().map(|line| format!("log: {line}")));
        lines
    }
}

/// A value field by field, where its service can show it so, and else as it is.
fn value(service: &Service, topic: &str, event: Option<&str>, bytes: Option<&[u8]>) -> Value {
    let known = bytes.and_then(|bytes| service.shown(topic, event, &bytes.to_vec().into()));
    known.unwrap_or_else(|| shown(bytes))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Cell {
    fn of(changed: &Changed) -> Self {
        let value = |bytes: &Option<bytes::Bytes>| {
            let bytes = bytes.as_deref();
            bytes.map_or(Value::Null, |bytes| said::stored(bytes).unwrap_or_else(|| shown(Some(bytes))))
        };
        Self {
            name: changed.name.clone(),
            entry: changed.entry.as_deref().map(said::entry),
            before: value(&changed.before),
            after: value(&changed.after),
        }
    }

    fn line(&self) -> String {
        let entry = self.entry.as_ref().map(|entry| format!("[{}]", text(entry))).unwrap_or_default();
        format!("{}{entry}: {} -> {}", self.name, text(&self.before), text(&self.after))
    }
}

impl Emitted {
    fn of(service: &Service, output: &Output<'_>) -> Self {
        let text = |name| String::from_utf8_lossy(headers::find(output.headers, name).unwrap_or_default()).into_owned();
        let event = text(headers::TYPE);
        Self {
            topic: output.topic.to_string(),
            partition: output.partition,
            id: text(headers::ID),
            key: shown(output.key),
            value: value(service, output.topic, Some(&event), output.value),
            event,
        }
    }

    fn line(&self) -> String {
        let Self { topic, partition, event, id, key, value } = self;
        format!("{event} to {topic}-{partition}  key {}  id {id}  {}", text(key), text(value))
    }
}

impl Timer {
    fn of(change: &TimerChange) -> Self {
        match change {
            TimerChange::Scheduled(timer) => {
                Self::Scheduled { name: timer.timer.name.clone(), due: timer.due.to_string() }
            }
            TimerChange::Gone(due) => Self::Gone { due: due.to_string() },
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Scheduled { name, due } => format!("timer {name} is due at {due}"),
            Self::Gone { due } => format!("the timer of {due} is gone"),
        }
    }
}
