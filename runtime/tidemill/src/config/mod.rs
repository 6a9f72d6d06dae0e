//! Configuration in layers: defaults < a TOML file < the environment (`TIDEMILL_…`) < flags. Every value knows who gave it.

mod keys;
mod layers;
mod value;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::failure::{Policies, Policy, Then};
use tidemill_core::letters::Compatibility;
use tidemill_core::limits::{Limits, WhenFull};
use tidemill_core::ports::Start;

use crate::command::Options;
use crate::telemetry;
use keys::KEYS;
use layers::Given;
use value::Value;

pub(crate) use value::{duration, start};

pub use layers::Origin;

/// The word for what is not set.
const NONE: &str = "none";
/// What is shown of a secret.
const HIDDEN: &str = "(hidden)";

/// What stands before the keys that decide on units.
const UNITS: [&str; 4] = ["limits.", "failures.", "handlers.", "dead_letters."];

/// One value and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    text: String,
    value: Value,
    origin: Origin,
}

/// A key and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name, levels separated by dots.
    pub key: &'a str,
    /// Its value, as it was given; no secret.
    pub value: Cow<'a, str>,
    /// Who gave the value.
    pub origin: &'a Origin,
    /// What the key does, in one line.
    pub meaning: &'static str,
}

/// The configuration of one process, checked: every key exists and every value is one of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Every general key, and the keys of services that were given.
    settings: BTreeMap<String, Setting>,
}

impl Default for Configuration {
    /// Nothing but defaults: no file, no environment, no flags.
    fn default() -> Self {
        let settings = KEYS.iter().map(|key| {
            let value = key.kind.read(key.default).expect("the table's defaults are values of their kind");
            (key.name.to_owned(), Setting { text: key.default.to_owned(), value, origin: Origin::Default })
        });
        Self { settings: settings.collect() }
    }
}

impl Configuration {
    /// Reads all layers, and starts logging as they say. An unknown key is an error with a suggestion (TM-0101), so is a
    /// value that is not one of its kind (TM-0102) and a file that cannot be read (TM-0105).
    pub fn load(options: &Options) -> Result<Self, Coded> {
        let file = layers::file(options.config.as_deref())?;
        let environment = layers::environment(std::env::vars_os())?;
        let configuration = Self::layered([file, environment, layers::flags(options)])?;
        telemetry::start(&configuration);
        Ok(configuration)
    }

    /// Lays layers over the defaults; later ones win.
    fn layered(layers: impl IntoIterator<Item = Vec<Given>>) -> Result<Self, Coded> {
        let mut configuration = Self::default();
        layers.into_iter().flatten().try_for_each(|given| configuration.apply(given))?;
        Ok(configuration)
    }

    /// The same configuration with one value set by the program, over all layers.
    pub fn with(mut self, key: &str, text: &str) -> Result<Self, Coded> {
        self.apply(Given { key: key.to_owned(), text: text.to_owned(), origin: Origin::Program })?;
        Ok(self)
    }

    /// The same configuration with one value where no layer has it.
    pub(crate) fn or(self, key: &str, text: &str) -> Result<Self, Coded> {
        let is_given = self.settings.get(key).is_some_and(|setting| setting.origin != Origin::Default);
        if is_given { Ok(self) } else { self.with(key, text) }
    }

    /// What was given that decides on the units of a service: limits, and what follows failures.
    pub(crate) fn of_units(&self, service: &str) -> BTreeMap<String, String> {
        let given = self.settings.iter().filter(|(_, setting)| setting.origin != Origin::Default);
        let is_of_units = |key: &str| {
            let (of, key) = keys::split_service(key).map_or((service, key), |(of, key)| (of, key));
            of == service && UNITS.iter().any(|group| key.starts_with(group))
        };
        given.filter(|(key, _)| is_of_units(key)).map(|(key, setting)| (key.clone(), setting.text.clone())).collect()
    }

    fn apply(&mut self, given: Given) -> Result<(), Coded> {
        let Given { key, text, origin } = given;
        let Some(known) = keys::find(&key) else {
            let hint = match keys::nearest(&key) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "`config show` lists all keys".to_owned(),
            };
            return Err(Coded::new(Code::UNKNOWN_KEY, format!("there is no key {key} (from {origin}); {hint}")));
        };
        let text = if keys::is_secret(&key) { layers::secret(&key, text)? } else { text };
        let Some(value) = known.kind.read(&text) else {
            let expected = known.kind.expected();
            let shown = if keys::is_secret(&key) { HIDDEN } else { &text };
            let message = format!("{key} = {shown:?} (from {origin}) cannot be used; it has to be {expected}");
            return Err(Coded::new(Code::BAD_VALUE, message));
        };
        self.settings.insert(key, Setting { text, value, origin });
        Ok(())
    }

    /// Every key that has a value, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.settings.iter().map(|(key, Setting { text, origin, .. })| {
            let meaning = keys::find(key).expect("only known keys were taken").meaning;
            let is_hidden = keys::is_secret(key) && *origin != Origin::Default;
            let value = if is_hidden { HIDDEN.into() } else { layers::without_password(text) };
            Entry { key, value, origin, meaning }
        })
    }

    /// The services that have keys of their own.
    pub fn services(&self) -> BTreeSet<&str> {
        self.settings.keys().filter_map(|key| Some(keys::split_service(key)?.0)).collect()
    }

    /// The broker's address.
    pub fn broker(&self) -> &str {
        self.text("broker")
    }

    /// Where services keep their state.
    pub fn state(&self) -> &str {
        self.text("state")
    }

    /// The name of this process in its groups.
    pub fn instance(&self) -> &str {
        self.text("instance")
    }

    /// Whether somebody chose the name of this process.
    pub(crate) fn has_instance(&self) -> bool {
        self.settings["instance"].origin != Origin::Default
    }

    /// The settings that librdkafka is given as they are.
    pub(crate) fn client_settings(&self) -> Vec<(String, String)> {
        let settings = self.settings.iter();
        settings
            .filter_map(|(key, setting)| Some((keys::client_setting(key)?.to_owned(), setting.text.clone())))
            .collect()
    }

    /// How many workers a service has in this process.
    pub fn workers(&self, service: &str) -> usize {
        count(&self.of(service, "workers").value)
    }

    /// How long a worker may take to give shards up.
    pub fn drain(&self) -> Duration {
        self.duration("drain")
    }

    /// How long a handler may block its thread.
    pub fn watchdog(&self) -> Duration {
        self.duration("watchdog")
    }

    /// How many partitions a topic gets that is created.
    pub fn partitions(&self) -> u32 {
        u32::try_from(count(&self.settings["topics.partitions"].value)).expect("the table bounds it")
    }

    /// The bounds of a service's workers: as configured, else as the service declares them.
    pub fn limits(&self, service: &str, declared: &Limits) -> Limits {
        let given = |key: &str| Some(self.of(service, key)).filter(|setting| setting.origin != Origin::Default);
        let number = |key: &str, declared: usize| given(key).map_or(declared, |setting| count(&setting.value));
        let time = |key: &str, declared: Duration| match given(key).map(|setting| &setting.value) {
            Some(Value::Duration(time)) => *time,
            _ => declared,
        };
        Limits {
            in_flight: number("limits.in_flight", declared.in_flight),
            lane_queue: number("limits.lane_queue", declared.lane_queue),
            timers: number("limits.timers", declared.timers),
            read_ahead: number("limits.read_ahead", declared.read_ahead),
            undone: number("limits.undone", declared.undone),
            commit_bytes: number("limits.commit_bytes", declared.commit_bytes),
            commit_interval: time("limits.commit_interval", declared.commit_interval),
            commit_linger: time("limits.commit_linger", declared.commit_linger),
            state_cache: number("limits.state_cache", declared.state_cache),
            handler_timeout: time("limits.handler_timeout", declared.handler_timeout),
            parked: number("limits.parked", declared.parked),
            parked_bytes: number("limits.parked_bytes", declared.parked_bytes),
            lane_parked: number("limits.lane_parked", declared.lane_parked),
            lane_parked_bytes: number("limits.lane_parked_bytes", declared.lane_parked_bytes),
            when_parked_full: match given("limits.when_parked_full").map(|setting| setting.text.trim()) {
                Some("stop") => WhenFull::Stop,
                Some(_) => WhenFull::HoldBack,
                None => declared.when_parked_full,
            },
            letter_percent: u32::try_from(number("limits.letter_percent", declared.letter_percent as usize))
                .expect("the table bounds it"),
            letter_window: given("limits.letter_window")
                .map_or(declared.letter_window, |setting| count(&setting.value) as u64),
            inbox_retention: time("inbox.retention", declared.inbox_retention),
            inbox_memory: number("inbox.memory", declared.inbox_memory),
            crash_guard: given("limits.crash_guard")
                .map_or(declared.crash_guard, |setting| setting.text.trim() == "on"),
        }
    }

    /// Changes what follows failures, of a service or of one of its handlers, to what is configured. What is said of the handler
    /// wins over what is said of the service, and that over what is said of all.
    pub fn change_failures(&self, service: &str, handler: Option<&str>, policies: &mut Policies) {
        let general = self.settings.iter().map(|(key, setting)| (key.as_str(), setting));
        let own = general.clone().filter_map(|(key, setting)| {
            let (known, key) = keys::split_service(key)?;
            (known == service).then_some((key, setting))
        });
        let of_handler =
            own.clone().filter(|(key, _)| keys::failure(key).is_some_and(|(of, ..)| of.is_some() && of == handler));
        let of_all = |(key, _): &(&str, &Setting)| keys::failure(key).is_some_and(|(of, ..)| of.is_none());
        for (key, setting) in general.filter(of_all).chain(own.filter(of_all)).chain(of_handler) {
            if let Some((_, class, what)) = keys::failure(key) {
                change(policies.of_mut(class), what, setting);
            }
        }
    }

    /// Which headers of other tools dead letters carry, if that is configured.
    pub fn letter_headers(&self) -> Option<Compatibility> {
        let setting = &self.settings["dead_letters.headers"];
        let headers = match setting.text.trim() {
            "connect" => Compatibility::Connect,
            "spring" => Compatibility::Spring,
            _ => Compatibility::None,
        };
        Some(headers).filter(|_| setting.origin != Origin::Default)
    }

    /// Whether services keep a journal, if that is configured.
    pub fn journal(&self) -> Option<bool> {
        let setting = &self.settings["journal"];
        Some(setting.text.trim() == "on").filter(|_| setting.origin != Origin::Default)
    }

    /// Where a service begins, if that is configured.
    pub fn start(&self, service: &str) -> Option<Start> {
        let setting = self.of(service, "start");
        value::start(setting.text.trim()).filter(|_| setting.origin != Origin::Default)
    }

    /// The setting of a key for a service: its own, else the general one.
    fn of(&self, service: &str, key: &str) -> &Setting {
        self.settings.get(&keys::of_service(service, key)).unwrap_or_else(|| &self.settings[key])
    }

    /// The text of a key whose values are words or text; as given for others.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.settings[key].text.trim()
    }

    /// The text of a key that may name nothing.
    pub(crate) fn given(&self, key: &str) -> Option<&str> {
        Some(self.text(key)).filter(|text| *text != NONE)
    }

    /// A number or a number of bytes; `None` where the value is a word.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        match self.settings[key].value {
            Value::Count(number) | Value::Bytes(number) => Some(number),
            Value::Text | Value::Duration(_) => None,
        }
    }

    /// A time; `None` where the value is a word.
    pub(crate) fn time(&self, key: &str) -> Option<Duration> {
        match self.settings[key].value {
            Value::Duration(time) => Some(time),
            Value::Text | Value::Count(_) | Value::Bytes(_) => None,
        }
    }

    /// A time of a key that always has one.
    pub(crate) fn duration(&self, key: &str) -> Duration {
        self.time(key).expect("the table says that it is a time")
    }
}

/// Changes one part of what follows failures of a class.
fn change(policy: &mut Policy, what: &str, setting: &Setting) {
    let number = || u32::try_from(count(&setting.value)).unwrap_or(u32::MAX);
    let time = || if let Value::Duration(time) = setting.value { time } else { Duration::ZERO };
    match what {
        "attempts" => policy.retry.attempts = number(),
        "first_delay" => policy.retry.first_delay = time(),
        "longest_delay" => policy.retry.longest_delay = time(),
        "delayed_attempts" => policy.delayed.attempts = number(),
        "delayed_first" => policy.delayed.first_delay = time(),
        "delayed_longest" => policy.delayed.longest_delay = time(),
        "total" => policy.total = time(),
        _ => {
            let then = Then::ALL.into_iter().find(|then| then.name() == setting.text.trim());
            policy.then = then.expect("the table lists them");
        }
    }
}

/// A number or a number of bytes as the machine counts; one that is larger is as good as the largest.
fn count(value: &Value) -> usize {
    match value {
        Value::Count(number) | Value::Bytes(number) => usize::try_from(*number).unwrap_or(usize::MAX),
        Value::Text | Value::Duration(_) => unreachable!("the table says that it is a number"),
    }
}

#[cfg(test)]
mod tests;
