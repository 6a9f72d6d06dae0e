use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill_core::code::{Code, Coded};
use tidemill_core::limits::Limits;
use tidemill_core::ports::Start;
use tidemill_core::time::Timestamp;

use super::keys::FAILURES;
use super::{Configuration, HIDDEN, KEYS, Origin, layers};
use crate::command::Options;

mod properties;

const FILE: &str = "tidemill.toml";
const PAGE: &str = include_str!("../../../../docs/CONFIGURATION.md");

/// The configuration that a file, an environment and a command line make.
fn layered(file: &str, environment: &[(&str, &str)], options: &Options) -> Result<Configuration, Coded> {
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Configuration::layered([
        layers::parse_file(Path::new(FILE), file)?,
        layers::environment(environment)?,
        layers::flags(options),
    ])
}

fn set(pairs: &[(&str, &str)]) -> Options {
    let set = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options { set, ..Options::default() }
}

fn refused(file: &str, environment: &[(&str, &str)], options: &Options) -> Coded {
    layered(file, environment, options).expect_err("it is wrong")
}

#[test]
fn defaults_are_those_of_the_parts_that_they_configure() {
    let configuration = Configuration::default();
    let declared = Limits { in_flight: 7, handler_timeout: Duration::from_secs(7), ..Limits::default() };
    assert_eq!(
        configuration.limits("orders", &declared),
        declared,
        "a default hides nothing that the service declares"
    );
    // Given as values, they are the core's own.
    let given = configuration.entries().map(|entry| (entry.key.to_owned(), entry.value.into_owned())).collect();
    let given = layered("", &[], &Options { set: given, ..Options::default() }).expect("defaults are values");
    assert_eq!(given.limits("orders", &declared), Limits::default());
    let embedded = tidemill_embedded::Settings::default();
    assert_eq!(configuration.drain(), embedded.drain);
    assert_eq!(configuration.number("store_cache"), u64::try_from(embedded.store_cache).ok());
}

#[test]
fn every_layer_has_its_form() {
    let file = "broker = 'embedded:a'\nworkers = 2\n[topics]\npartitions = 8\n[services.orders.limits]\nin_flight = 5";
    let environment = [("TIDEMILL_TOPICS__RETENTION_AGE", "24h"), ("TIDEMILL_SERVICES__ORDERS__WORKERS", "3")];
    let options =
        Options { broker: Some("memory:".into()), log: Some("json".into()), ..set(&[("broker", "embedded:b")]) };
    let configuration = layered(file, &environment, &options).expect("all of it is right");
    assert_eq!(configuration.broker(), "memory:");
    assert_eq!(configuration.partitions(), 8);
    assert_eq!(configuration.time("topics.retention_age"), Some(Duration::from_hours(24)));
    assert_eq!((configuration.workers("orders"), configuration.workers("sales")), (3, 2));
    assert_eq!(configuration.limits("orders", &Limits::default()).in_flight, 5);
    assert_eq!(configuration.limits("sales", &Limits::default()).in_flight, 1_000);
    let origin = |wanted: &str| {
        configuration.entries().find(|entry| entry.key == wanted).expect("a known key").origin.to_string()
    };
    assert_eq!(origin("broker"), "flag --broker");
    assert_eq!(origin("topics.partitions"), "file tidemill.toml");
    assert_eq!(origin("topics.retention_age"), "environment TIDEMILL_TOPICS__RETENTION_AGE");
    assert_eq!(origin("store"), "default");
}

#[test]
fn a_service_name_may_hold_dots() {
    let options = set(&[
        ("services.shop.v2.limits.in_flight", "9"),
        ("services.shop.workers", "2"),
        ("services.shop.limits.undone", "9"),
    ]);
    let configuration = layered("", &[], &options).expect("both are keys");
    assert_eq!(configuration.limits("shop.v2", &Limits::default()).in_flight, 9);
    assert_eq!(configuration.workers("shop"), 2);
    assert_eq!(configuration.services().into_iter().collect::<Vec<_>>(), ["shop", "shop.v2"]);
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_name() {
    let cases = [
        (refused("[limits]\ncomit_interval = '50ms'", &[], &set(&[])), "limits.commit_interval", "file tidemill.toml"),
        (refused("", &[("TIDEMILL_BROKR", "memory:")], &set(&[])), "broker", "environment TIDEMILL_BROKR"),
        (refused("", &[], &set(&[("topics.partition", "4")])), "topics.partitions", "flag --set"),
        (refused("", &[], &set(&[("services.orders.worker", "4")])), "services.orders.workers", "flag --set"),
        (refused("", &[], &set(&[("services.orders.limit.undone", "4")])), "services.orders.limits.undone", "--set"),
    ];
    for (error, nearest, origin) in cases {
        assert_eq!(error.code, Code::UNKNOWN_KEY);
        assert!(error.message.contains(&format!("did you mean {nearest}?")), "{error}");
        assert!(error.message.contains(origin), "{error}");
    }
    let far = refused("", &[], &set(&[("xyzzyxyzzyxyzzy", "1")]));
    assert!(far.message.contains("`config show` lists"), "{far}");
    assert_eq!(refused("", &[], &set(&[("services.orders.broker", "memory:")])).code, Code::UNKNOWN_KEY);
}

#[test]
fn a_bad_value_is_named_with_key_origin_and_what_is_expected() {
    let cases = [
        (
            refused("[limits]\ncommit_interval = 50", &[], &set(&[])),
            ["limits.commit_interval", "\"50\"", "a time such as"],
        ),
        (refused("", &[("TIDEMILL_STORE", "rocks")], &set(&[])), ["TIDEMILL_STORE", "\"rocks\"", "`sled`, `fjall`"]),
        (refused("", &[], &set(&[("workers", "0")])), ["workers", "flag --set", "from 1 to"]),
        (refused("broker = ['memory:']", &[], &set(&[])), ["broker", "a list", "tidemill.toml"]),
        (refused("broker = true\nworkers = 1.5", &[], &set(&[])), ["workers", "\"1.5\"", "a number"]),
    ];
    for (error, parts) in cases {
        assert_eq!(error.code, Code::BAD_VALUE);
        assert!(parts.iter().all(|part| error.message.contains(part)), "{error}");
    }
}

#[test]
fn the_environment_of_others_and_of_tests_is_left_alone() {
    let environment =
        [("TIDEMILL_TEST_KAFKA", "local"), ("PATH", "/bin"), ("tidemill_broker", "x"), ("TIDEMILLER", "x")];
    assert_eq!(layered("", &environment, &set(&[])), Ok(Configuration::default()));
}

#[test]
fn a_file_that_is_named_has_to_exist_and_to_be_toml() {
    let missing = layers::file(Some(Path::new("no/such/file.toml"))).expect_err("it does not exist");
    assert_eq!(missing.code, Code::UNREADABLE_FILE);
    assert!(missing.message.contains("no/such/file.toml"), "{missing}");
    let broken = refused("workers = 1\n[limits\n", &[], &set(&[]));
    assert_eq!(broken.code, Code::UNREADABLE_FILE);
    assert!(broken.message.contains("line 2"), "{broken}");
    let folder = tempfile::tempdir().expect("a place for files");
    let path = folder.path().join("shop.toml");
    std::fs::write(&path, "workers = 3").expect("the place is ours");
    let given = layers::file(Some(&path)).expect("it is there");
    assert_eq!(given.first().map(|given| &given.origin), Some(&Origin::File(PathBuf::from(&path))));
}

#[test]
fn a_program_sets_values_over_all_layers() {
    let configuration = Configuration::default().with("watchdog", "100ms").expect("the shortest there is");
    assert_eq!(configuration.watchdog(), Duration::from_millis(100));
    let refused = Configuration::default().with("watchdog", "99ms").expect_err("too short to blame anybody");
    assert!(refused.message.contains("from program"), "{refused}");
}

#[test]
fn a_secret_may_stand_in_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().expect("a place for a secret");
    let path = folder.path().join("password");
    std::fs::write(&path, "open sesame\n").expect("it can be written");
    let from = |text: String| Configuration::default().with("kafka.client.sasl.password", &text);
    let configuration = from(format!("file:{}", path.display())).expect("the file is there");
    let given = ("sasl.password".to_owned(), "open sesame".to_owned());
    assert_eq!(configuration.client_settings(), [given]);
    let shown = configuration.entries().find(|entry| entry.key == "kafka.client.sasl.password").expect("it was set");
    assert_eq!(shown.value, HIDDEN);
    let password = "registry.password";
    let configuration = Configuration::default().with(password, &format!("file:{}", path.display()));
    let configuration = configuration.expect("the file is there");
    assert_eq!(configuration.text(password), "open sesame");
    assert!(configuration.entries().all(|entry| entry.value != "open sesame"));
    let refused = from("file:/nowhere/at/all".to_owned()).expect_err("there is no such file");
    assert_eq!(refused.code, Code::UNREADABLE_FILE);
    assert!(refused.message.contains("kafka.client.sasl.password: file /nowhere/at/all"), "{refused}");
}

#[test]
fn where_a_service_begins_is_its_own_unless_configured() {
    let configuration = |pairs: &[(&str, &str)]| {
        let set = |configuration: Configuration, (key, text): &(&str, &str)| configuration.with(key, text);
        pairs.iter().try_fold(Configuration::default(), set).expect("good values")
    };
    assert_eq!(configuration(&[]).start("sales"), None);
    let both = configuration(&[("start", "latest"), ("services.sales.start", "@2011-12-09T12:50:00Z")]);
    let time = Timestamp::parse("2011-12-09T12:50:00Z").expect("a time");
    assert_eq!((both.start("sales"), both.start("orders")), (Some(Start::Time(time)), Some(Start::Latest)));
    let refused = Configuration::default().with("start", "@yesterday").expect_err("no time");
    assert_eq!(refused.code, Code::BAD_VALUE);
}

/// The table of keys as it has to stand on the page.
fn table() -> String {
    let rows = KEYS.iter().chain(FAILURES).map(|key| {
        let (kind, meaning) = (key.kind.expected(), key.meaning);
        format!("| `{}` | {kind} | `{}` | {meaning} |\n", key.name, key.default)
    });
    format!("| key | value | default | meaning |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

#[test]
fn the_page_has_the_table_of_the_code() {
    let (_, rest) = PAGE.split_once("<!-- keys: from the code -->\n").expect("the page marks the table");
    let (found, _) = rest.split_once("<!-- end -->").expect("the page marks the table's end");
    assert!(found == table(), "put this table into docs/CONFIGURATION.md:\n{}", table());
}
