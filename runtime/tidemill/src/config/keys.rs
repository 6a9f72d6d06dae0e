//! What the names of configuration keys mean: general ones, those of services and handlers, and those of librdkafka.

mod table;

use tidemill_core::failure::ErrorClass;

use crate::config::value::Kind;
use table::{POSTGRES_PASSWORD, REGISTRY_PASSWORD, key};

pub(super) use table::{FAILURES, KEYS, Key};

/// What stands before the keys of failures.
const FAILURE: &str = "failures.";
/// What stands before a handler's own keys.
const HANDLER: &str = "handlers.";

/// A key of failures taken apart: whose it is, the handler's or everybody's, the class, and what of it.
pub(super) fn failure(key: &str) -> Option<(Option<&str>, ErrorClass, &str)> {
    let (handler, rest) = match key.strip_prefix(HANDLER) {
        Some(rest) => {
            let (handler, rest) = rest.split_once(".failures.")?;
            (Some(handler), rest)
        }
        None => (None, key.strip_prefix(FAILURE)?),
    };
    let (class, what) = rest.split_once('.')?;
    Some((handler, ErrorClass::named(class)?, what))
}

/// What is known of a key of failures.
fn failure_key(key: &str) -> Option<&'static Key> {
    let (_, _, what) = failure(key)?;
    FAILURES.iter().find(|known| known.name.rsplit('.').next() == Some(what))
}

/// What stands before the settings of librdkafka.
const CLIENT: &str = "kafka.client.";
/// What is known of each of them; librdkafka knows the rest.
static CLIENT_KEY: Key = key("kafka.client.NAME", Kind::Text, "", "A setting of librdkafka, passed on as it is.");
/// What the names of librdkafka's secrets hold.
const SECRETS: &[&str] = &["password", "secret", "sasl.oauthbearer.config", "ssl.key.pem", "sasl.jaas"];

/// The name that librdkafka has for a key of ours.
pub(super) fn client_setting(key: &str) -> Option<&str> {
    key.strip_prefix(CLIENT).filter(|setting| !setting.is_empty())
}

/// Whether a key's value is nobody's business.
pub(super) fn is_secret(key: &str) -> bool {
    let is_ours = [REGISTRY_PASSWORD, POSTGRES_PASSWORD].contains(&key);
    is_ours || client_setting(key).is_some_and(|setting| SECRETS.iter().any(|secret| setting.contains(secret)))
}

/// What stands before a service's own keys.
const SERVICES: &str = "services.";
/// The keys that a service may have of its own.
const OWN: &[&str] = &["workers", "start"];
const OWN_GROUPS: &[&str] = &["limits.", "inbox."];

/// The key called `name`, or, for `services.NAME.KEY`, the one that it stands for in that service.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    if client_setting(name).is_some() {
        return Some(&CLIENT_KEY);
    }
    let (service, general) = split_service(name).map_or((None, name), |(service, key)| (Some(service), key));
    let of_handler = general.starts_with(HANDLER);
    let found = KEYS.iter().find(|key| key.name == general).or_else(|| failure_key(general));
    found.filter(|_| service.is_some() || !of_handler)
}

/// A service's name and its own key. The service's name may hold dots, so the key is looked for from the end.
pub(super) fn split_service(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(SERVICES)?;
    for begin in [HANDLER, FAILURE] {
        let place = rest.match_indices(begin).map(|(place, _)| place).find(|place| rest[..*place].ends_with('.'));
        if let Some(place) = place {
            return Some((&rest[..place - 1], &rest[place..])).filter(|(service, _)| !service.is_empty());
        }
    }
    let mut own = KEYS
        .iter()
        .map(|key| key.name)
        .filter(|key| OWN.contains(key) || OWN_GROUPS.iter().any(|group| key.starts_with(group)));
    own.find_map(|key| {
        let service = rest.strip_suffix(key)?.strip_suffix('.')?;
        (!service.is_empty()).then_some((service, key))
    })
}

/// The name of a service's own key.
pub(super) fn of_service(service: &str, key: &str) -> String {
    format!("{SERVICES}{service}.{key}")
}

/// The known key that is nearest to `name`, if one is near.
pub(super) fn nearest(name: &str) -> Option<String> {
    let service = name.strip_prefix(SERVICES).and_then(|rest| rest.split_once('.'));
    let known = KEYS.iter().map(|key| match service {
        Some((service, _)) => of_service(service, key.name),
        None => key.name.to_owned(),
    });
    let nearest = known.filter(|key| find(key).is_some() && (service.is_none() || split_service(key).is_some()));
    let (distance, nearest) = nearest.map(|key| (distance(name, &key), key)).min()?;
    // Half of a name may be wrong; more is another name.
    (distance * 2 <= name.len().max(2)).then_some(nearest)
}

/// How many characters have to be added, removed or replaced to make `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
