//! Layers against a plain map, and keys that nobody knows.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::config::keys::{find, is_secret, of_service};
use crate::config::value::{Kind, Value};

/// A key and a text that is a value of its kind.
type Pair = (String, String);

/// The keys that a service may have of its own.
fn own_keys() -> Vec<&'static str> {
    KEYS.iter().map(|key| key.name).filter(|name| *name == "workers" || name.starts_with("limits.")).collect()
}

fn service() -> impl Strategy<Value = String> {
    "[ab][a-z0-9-]{0,2}(\\.[ab])?"
}

/// Any general key, or a key of a service.
fn key() -> impl Strategy<Value = String> {
    let general: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    let own = (service(), select(own_keys())).prop_map(|(service, key)| of_service(&service, key));
    prop_oneof![select(general).prop_map(str::to_owned), own]
}

fn time(least_millis: u64) -> BoxedStrategy<String> {
    let millis = (least_millis..least_millis + 100_000).prop_map(|millis| format!("{millis}ms"));
    let others = (1_u64..500, select(&["s", "m", "h", "d"][..])).prop_map(|(number, unit)| format!("{number} {unit}"));
    prop_oneof![millis, others].boxed()
}

fn size(least: u64) -> BoxedStrategy<String> {
    let units = &["B", "kB", "MB", "KiB", "MiB", "GiB"][..];
    (least..least + 5_000, select(units)).prop_map(|(number, unit)| format!("{number}{unit}")).boxed()
}

/// Texts that are values of a kind.
fn texts(kind: Kind) -> BoxedStrategy<String> {
    let words = |words: &'static [&'static str]| select(words).prop_map(str::to_owned);
    match kind {
        Kind::Text => "[a-z][a-z0-9:/._-]{0,12}".boxed(),
        Kind::Count { least, most } => (least..=most).prop_map(|count| count.to_string()).boxed(),
        Kind::Duration { least_millis } => time(least_millis),
        Kind::Size { least } => size(least),
        Kind::Choice(choices) => words(choices).boxed(),
        Kind::Sync => prop_oneof![words(&["commit", "never"]), time(1)].boxed(),
        Kind::AgeOrNone => prop_oneof![words(&["none"]), time(1)].boxed(),
        Kind::SizeOrNone => prop_oneof![words(&["none"]), size(1)].boxed(),
        Kind::Start => words(&["earliest", "latest", "@2011-12-09T12:50:00Z"]).boxed(),
        Kind::Levels => words(&["off", "info", "info,tidemill=debug", "a=trace,warn"]).boxed(),
    }
}

fn pair() -> impl Strategy<Value = Pair> {
    key().prop_flat_map(|key| {
        let kind = find(&key).expect("a known key").kind;
        (Just(key), texts(kind))
    })
}

/// The keys of one layer, each once.
fn layer() -> impl Strategy<Value = BTreeMap<String, String>> {
    vec(pair(), 0..12).prop_map(|pairs| pairs.into_iter().collect())
}

fn value_of(key: &'static str) -> impl Strategy<Value = Option<String>> {
    of(texts(find(key).expect("a known key").kind))
}

fn options() -> impl Strategy<Value = Options> {
    let own = (value_of("broker"), value_of("store"), value_of("log.format"));
    (vec(pair(), 0..12), own).prop_map(|(set, (broker, store, log))| Options {
        broker,
        store,
        set,
        log,
        ..Options::default()
    })
}

/// A file that says so: numbers bare every second time.
fn toml_of(layer: &BTreeMap<String, String>) -> String {
    let line = |(place, (key, text)): (usize, (&String, &String))| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && place % 2 == 0 { format!("{key} = {text}\n") } else { format!("{key} = '{text}'\n") }
    };
    layer.iter().enumerate().map(line).collect()
}

fn variable(key: &str) -> String {
    format!("TIDEMILL_{}", key.replace('.', "__").to_uppercase())
}

/// What is shown of a text that was given.
fn shown<'a>(key: &str, text: &'a str) -> &'a str {
    if is_secret(key) { HIDDEN } else { text }
}

/// All values and who gave them, put over one another by hand.
fn plain(
    file: &BTreeMap<String, String>,
    environment: &BTreeMap<String, String>,
    options: &Options,
) -> Vec<[String; 3]> {
    let mut plain: BTreeMap<String, (String, String)> =
        KEYS.iter().map(|key| (key.name.to_owned(), (key.default.to_owned(), "default".to_owned()))).collect();
    let mut put =
        |key: &str, text: &str, origin: String| plain.insert(key.to_owned(), (shown(key, text).to_owned(), origin));
    for (key, text) in file {
        put(key, text, format!("file {FILE}"));
    }
    for (key, text) in environment {
        put(key, text, format!("environment {}", variable(key)));
    }
    for (key, text) in &options.set {
        put(key, text, "flag --set".to_owned());
    }
    let (broker, store, log) = (&options.broker, &options.store, &options.log);
    for (key, flag, text) in [("broker", "broker", broker), ("store", "store", store), ("log.format", "log", log)] {
        if let Some(text) = text {
            put(key, text, format!("flag --{flag}"));
        }
    }
    plain.into_iter().map(|(key, (text, origin))| [key, text, origin]).collect()
}

fn loaded(
    file: &BTreeMap<String, String>,
    environment: &BTreeMap<String, String>,
    options: &Options,
) -> Result<Configuration, Coded> {
    let variables: Vec<Pair> = environment.iter().map(|(key, text)| (variable(key), text.clone())).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    layered(&toml_of(file), &variables, options)
}

proptest! {
    /// Defaults < file < environment < `--set` < flags of their own, for every key there is; and each value knows who gave it.
    #[test]
    fn the_last_layer_wins(file in layer(), environment in layer(), options in options()) {
        let configuration = loaded(&file, &environment, &options).expect("all values are right");
        let plain = plain(&file, &environment, &options);
        let found = configuration.entries();
        let found = found.map(|entry| [entry.key.to_owned(), entry.value.into_owned(), entry.origin.to_string()]);
        prop_assert_eq!(&found.collect::<Vec<_>>(), &plain);

        // A service has its own value, else the general one, else what it declares.
        let given = |wanted: &str| plain.iter().find(|[key, _, origin]| key == wanted && origin != "default");
        let declared = Limits { undone: 77, ..Limits::default() };
        for service in configuration.services().into_iter().chain(["other"]) {
            let of = |key: &str| given(&of_service(service, key)).or(given(key)).map(|[_, text, _]| text.parse());
            prop_assert_eq!(Ok(configuration.workers(service)), of("workers").unwrap_or(Ok(1)));
            prop_assert_eq!(Ok(configuration.limits(service, &declared).undone), of("limits.undone").unwrap_or(Ok(77)));
        }
    }

    /// A text is a value of the key's kind or an error that says which key, which text, and who gave it.
    #[test]
    fn any_text_is_a_value_or_named(key in key(), text in prop_oneof!["[0-9a-zA-Z =,.-]{0,8}", any::<String>()]) {
        let kind = find(&key).expect("a known key").kind;
        match (kind.read(&text), layered("", &[], &set(&[(&key, &text)]))) {
            (Some(value), Ok(configuration)) => {
                let entry = configuration.entries().find(|entry| entry.key == key).expect("it was given");
                prop_assert_eq!(entry.value, shown(&key, &text));
                if let Value::Count(count) | Value::Bytes(count) = value {
                    prop_assert_eq!(configuration.number(&key), Some(count));
                }
            }
            (None, Err(error)) => {
                prop_assert_eq!(error.code, Code::BAD_VALUE);
                for part in [format!("{key} = {:?}", shown(&key, &text)), "from flag --set".to_owned(), kind.expected()] {
                    prop_assert!(error.message.contains(&part), "{}", error);
                }
            }
            (value, found) => prop_assert!(false, "{:?} is read as {:?}, and set as {:?}", text, value, found),
        }
    }
}

/// A slip of the hand.
#[derive(Debug, Clone)]
enum Slip {
    Missing,
    Added(char),
    Other(char),
}

fn slip() -> impl Strategy<Value = Slip> {
    let letter = || "[a-z_]".prop_map(|letter| letter.chars().next().expect("one letter"));
    prop_oneof![Just(Slip::Missing), letter().prop_map(Slip::Added), letter().prop_map(Slip::Other)]
}

fn slipped(name: &str, slip: &Slip, at: proptest::sample::Index) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = at.index(letters.len());
    match *slip {
        Slip::Missing => drop(letters.remove(at)),
        Slip::Added(letter) => letters.insert(at, letter),
        Slip::Other(letter) => letters[at] = letter,
    }
    letters.into_iter().collect()
}

/// Whether one letter more, less or other makes `left` into `right`.
fn are_one_slip_apart(left: &str, right: &str) -> bool {
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let same = short.bytes().zip(long.bytes()).take_while(|(left, right)| left == right).count();
    let (short_rest, long_rest) = (&short[same..], &long[same..]);
    match long.len() - short.len() {
        0 => short_rest.get(1..) == long_rest.get(1..),
        1 => Some(short_rest) == long_rest.get(1..),
        _ => false,
    }
}

/// The key that an error asks about.
fn asked(error: &Coded) -> Option<&str> {
    let (_, rest) = error.message.split_once("did you mean ")?;
    rest.strip_suffix('?')
}

/// What an error says of a key that a layer gives, the first being the file.
fn refusal(layer: usize, key: &str) -> Option<(Coded, String)> {
    let name = variable(key);
    let is_heard =
        name["TIDEMILL_".len()..].to_lowercase().replace("__", ".") == key && !name.starts_with("TIDEMILL_TEST_");
    let (found, origin) = match layer {
        0 => (layered(&format!("'{key}' = '1'"), &[], &set(&[])), format!("from file {FILE}")),
        1 if is_heard => (layered("", &[(&name, "1")], &set(&[])), format!("from environment {name}")),
        _ => (layered("", &[], &set(&[(key, "1")])), "from flag --set".to_owned()),
    };
    Some((found.err()?, origin))
}

proptest! {
    #[test]
    fn a_slip_is_an_error_that_names_the_key(
        known in select(KEYS.iter().map(|key| key.name).collect::<Vec<_>>()),
        own in select(own_keys()),
        service in of("[ab][a-z0-9-]{0,4}"),
        slip in slip(),
        at in any::<proptest::sample::Index>(),
        layer in 0_usize..3,
    ) {
        let meant = service.as_ref().map_or(known.to_owned(), |service| of_service(service, own));
        let key = match &service {
            // A slip in a service's name makes another service, not an unknown key.
            Some(service) => of_service(service, &slipped(own, &slip, at)),
            None => slipped(known, &slip, at),
        };
        prop_assume!(find(&key).is_none());
        let (error, origin) = refusal(layer, &key).expect("there is no such key");
        prop_assert_eq!(error.code, Code::UNKNOWN_KEY);
        prop_assert!(error.message.contains(&format!("there is no key {key} ({origin})")), "{}", error);
        // Where two are equally near, either is a good question.
        let asked = asked(&error).unwrap_or_default();
        prop_assert!(asked == meant || find(asked).is_some() && are_one_slip_apart(asked, &key), "{}", error);
    }

    /// However far it lies: an unknown key is an error, and what it asks about exists.
    #[test]
    fn an_unknown_key_is_never_taken(
        key in prop_oneof!["[a-z_.]{1,24}", "(limits|topics|log|services)\\.[a-z_.]{0,12}", "[^'\\p{Cc}]{0,8}"],
        layer in 0_usize..3,
    ) {
        prop_assume!(find(&key).is_none());
        let (error, _) = refusal(layer, &key).expect("there is no such key");
        prop_assert_eq!(error.code, Code::UNKNOWN_KEY);
        match asked(&error) {
            Some(asked) => prop_assert!(find(asked).is_some(), "{}", error),
            None => prop_assert!(error.message.ends_with("`config show` lists all keys"), "{}", error),
        }
    }
}
