//! What is wrong with a database is one error when a service starts.

use super::database::{execute, number};
use crate::kafka::until;
use crate::process::{errors_of, example, refused, run, signal, start};

/// What the first version's tables are made of.
const FIRST_TABLES: &str = include_str!("../../../runtime/postgres/src/migrations/0001.sql");

#[test]
fn what_is_wrong_with_a_database_is_one_error() {
    let options = devkit::postgres::Options::default();
    let Some(mut postgres) = devkit::postgres::own_for_tests("databases that cannot be used", &options) else { return };
    let (url, folder) = (postgres.url(), tempfile::tempdir().expect("a temporary folder"));
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let bookings = |command: &[&str], state: &str| {
        run(&example("bookings"), &[command, &["--broker", &broker, "--state", state]].concat())
    };
    let starts = |state: &str| bookings(&["run", "--until-drained"], state);
    let made = bookings(&["topics", "create"], &url);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    refused(&starts(&url), 3, &["TM-0803", "database migrate", "no tables"]);
    let migrated = bookings(&["database", "migrate"], &url);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let checked = bookings(&["database", "check"], &url);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let good = starts(&url);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    // As a program of the version before made it.
    execute(
        &url,
        "drop schema tidemill cascade; create schema tidemill; create table tidemill.migration (number integer primary key, at timestamptz not null default now())",
    );
    execute(
        &url,
        &format!(
            "{}; insert into tidemill.migration (number) values (1)",
            FIRST_TABLES.replace("{schema}", "tidemill")
        ),
    );
    refused(&starts(&url), 3, &["TM-0803", "database migrate", "version 1"]);
    for _ in 0..2 {
        let migrated = bookings(&["database", "migrate"], &url);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    }
    let good = starts(&url);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    // Another log under the same names: what is done of the first says nothing of it.
    let mut instance = start(&example("bookings"), &["run", "--broker", &broker, "--state", &url]);
    until("it has taken its shards", || number(&url, "select count(distinct shard) from tidemill.source") == Some(4));
    signal(&instance, "TERM");
    assert!(instance.wait().expect("the child is ours").success(), "{}", errors_of(&mut instance));
    std::fs::remove_dir_all(folder.path().join("log")).expect("the folder is ours");
    assert!(bookings(&["topics", "create"], &url).status.success());
    let again = run(&example("bookings"), &["run", "--broker", &broker, "--state", &url]);
    refused(&again, 3, &["TM-0605", "made again"]);
    let reset = bookings(&["reset", "--to", "earliest", "--drop-state", "--execute"], &url);
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(&reset.stderr));
    let good = starts(&url);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let wrong = url.replace("tidemill:tidemill@", "tidemill:canary@");
    let output = starts(&wrong);
    refused(&output, 4, &["TM-0802", "password"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"), "a password is told");
    execute(&url, "insert into tidemill.migration (number) values (99)");
    refused(&starts(&url), 3, &["TM-0804", "version 99"]);
    execute(
        &url,
        "delete from tidemill.migration where number = 99; alter database postgres set default_transaction_read_only = on",
    );
    refused(&starts(&url), 3, &["TM-0805", "takes no writes"]);
    postgres.stop().expect("it stops");
    refused(&starts(&url), 5, &["TM-0801"]);
    refused(&bookings(&["database", "check"], "mysql://here/there"), 2, &["TM-0102", "state"]);
    refused(&run(&example("bookings"), &["run", "--state", &url]), 2, &["TM-0102", "memory"]);
}
