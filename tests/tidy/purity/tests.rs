use super::check;
use crate::found;
use crate::tree::Tree;

fn findings(path: &'static str, text: &str) -> Vec<String> {
    found(check, &Tree::sample([(path, text)]))
}

#[test]
fn the_world_in_the_core_is_found() {
    let ways = [
        "use std::fs::File;",
        "use std::fs;",
        "use std::{fmt, net::TcpStream};",
        "use std::{thread, time::Duration};",
        "fn f() { std::process::exit(1); }",
        "fn f() { let home = ::std::env::var(name); }",
        "use std::time::Instant;",
        "use std::time::{Duration, SystemTime};",
    ];
    for way in ways {
        assert_eq!(findings("runtime/core/src/worker/mod.rs", way).len(), 1, "{way}");
    }
}

#[test]
fn the_place_and_the_way_out_are_named() {
    let findings = findings("runtime/core/src/lane.rs", "use std::fmt;\n\nuse std::fs;\n");
    assert_eq!(findings, ["runtime/core/src/lane.rs:3: the core does not know std's fs; take it in through a port"]);
}

#[test]
fn what_touches_nothing_is_fine() {
    let ways = [
        "use std::time::Duration;",
        "use std::{cell::{Cell, RefCell}, sync::Arc};",
        "mod fs {}\nuse self::fs::Thing;",
        "// std::fs\nfn f() { \"std::fs\"; }",
    ];
    for way in ways {
        assert!(findings("runtime/core/src/lane.rs", way).is_empty(), "{way}");
    }
    assert!(findings("runtime/core/src/lane/tests.rs", "use std::thread;").is_empty());
    assert!(findings("runtime/tidemill/src/host.rs", "use std::thread;").is_empty());
}
