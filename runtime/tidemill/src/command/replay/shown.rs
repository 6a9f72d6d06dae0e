//! Units that ran again, as they are printed.

use serde::Serialize;
use serde_json::Value;
use tidemill_core::headers;
use tidemill_core::journal::Ending;
use tidemill_core::outputs::{Output, Outputs};
use tidemill_core::service::Service;

use crate::command::filter::{Fact, Field};
use crate::replay::{Changed, TimerChange, Told, shown};
use crate::said;

/// A unit that ran again.
#[derive(Serialize)]
pub(super) struct Shown {
    service: String,
    position: String,
    at: String,
    handler: String,
    #[serde(rename = "type")]
    event: String,
    id: String,
    key: Value,
    value: Value,
    attempt: u32,
    /// How it ended then.
    then: String,
    /// What its handler fails with now.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    state: Vec<Cell>,
    emitted: Vec<Emitted>,
    /// What it emits now, though it failed then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    beyond: Vec<Emitted>,
    timers: Vec<Timer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
    /// How long it took, in microseconds.
    took_us: u64,
}

#[derive(Serialize)]
struct Cell {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Value>,
    before: Value,
    after: Value,
}

#[derive(Serialize)]
struct Emitted {
    topic: String,
    partition: u32,
    #[serde(rename = "type")]
    event: String,
    id: String,
    key: Value,
    value: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Timer {
    Scheduled { name: String, due: String },
    Gone { due: String },
}

/// How a unit ended, in words.
pub(super) fn ended(ending: &Ending) -> String {
    match ending {
        Ending::Done => "done".to_owned(),
        Ending::Copy => "copy".to_owned(),
        Ending::Queued => "queued".to_owned(),
        Ending::Parked(_) => "parked".to_owned(),
        Ending::Letter(code) => format!("dead-lettered ({code})"),
        Ending::LetterHeld(code) | Ending::Held(code) => format!("held ({code})"),
        Ending::Refused => "refused".to_owned(),
        Ending::Commanded => "commanded".to_owned(),
    }
}

impl Shown {
    pub(super) fn of(service: &Service, told: &Told, log: Vec<String>, took: std::time::Duration) -> Self {
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

    /// Its lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let key = text(&self.key);
        let mut lines = vec![format!(
            "{}  {}  {}: {}  key {key}  attempt {}: {}  {} us",
            self.at, self.position, self.handler, self.event, self.attempt, self.then, self.took_us
        )];
        lines.push(format!("    {}", text(&self.value)));
        lines.extend(self.failure.iter().map(|failure| format!("    fails now: {failure}")));
        lines.extend(self.state.iter().map(|cell| format!("    {}", cell.line())));
        lines.extend(self.emitted.iter().map(|emitted| format!("    > {}", emitted.line())));
        lines.extend(self.beyond.iter().map(|emitted| format!("    > now, and not then: {}", emitted.line())));
        lines.extend(self.timers.iter().map(|timer| format!("    {}", timer.line())));
        lines.extend(self.calls.iter().map(|call| format!("    called {call}, and gets the answer of then")));
        lines.extend(self.log.iter().map(|line| format!("    log: {line}")));
        lines
    }
}

/// What a unit answers when it is asked for a field.
pub(super) fn fact<'t>(service: &'t str, told: &'t Told, field: Field) -> Fact<'t> {
    let text = |text: Option<&'t str>| text.map_or(Fact::Nothing, Fact::Text);
    let source = &told.position.source;
    match field {
        Field::Id => Fact::Text(&told.id),
        Field::Service => Fact::Text(service),
        Field::Handler => Fact::Text(&told.handler),
        Field::Type => Fact::Text(&told.event),
        Field::Key => text(told.record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok())),
        Field::Topic => Fact::Text(&source.topic),
        Field::Partition => Fact::Number(source.partition.into()),
        Field::Offset => Fact::Number(told.position.offset),
        Field::Attempts => Fact::Number(told.noted.attempt.into()),
        Field::Time => Fact::Time(told.at),
        Field::Message => text(told.failure.as_ref().map(|failure| failure.message.as_str())),
        Field::Code => match &told.noted.ended {
            Ending::Letter(code) | Ending::LetterHeld(code) | Ending::Held(code) => Fact::Text(code),
            _ => Fact::Nothing,
        },
        Field::State => Fact::Text(match &told.noted.ended {
            Ending::Done => "done",
            Ending::Copy => "copy",
            Ending::Queued => "queued",
            Ending::Parked(_) => "parked",
            Ending::Letter(_) => "dead-lettered",
            Ending::LetterHeld(_) | Ending::Held(_) => "held",
            Ending::Refused => "refused",
            Ending::Commanded => "commanded",
        }),
        Field::Class | Field::Fingerprint | Field::Round => Fact::Nothing,
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
