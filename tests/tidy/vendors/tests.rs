use super::check;
use crate::found;
use crate::tree::Tree;

/// What is found in one file of a workspace.
fn findings(path: &'static str, text: &str) -> Vec<String> {
    found(check, &Tree::sample([("Cargo.toml", ""), (path, text)]))
}

#[test]
fn a_dependency_outside_the_adapter_is_found() {
    let manifest = "[package]\nname = \"tidemill-core\"\n\n[dependencies]\nbackoff = \"0.4\"\nrdkafka = \"0.39\"\n";
    let findings = findings("runtime/core/Cargo.toml", manifest);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].starts_with("runtime/core/Cargo.toml:6: rdkafka may be named in runtime/kafka only"));
}

#[test]
fn services_have_no_runtime_of_their_own() {
    let manifest = "[package]\nname = \"shop\"\n\n[dependencies]\nclap = \"4\"\ntokio = \"1\"\n";
    let findings = findings("handlers/shop/Cargo.toml", manifest);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].contains(":6: tokio"));
}

#[test]
fn a_vendor_without_a_home_is_found() {
    let manifest = "[package]\nname = \"shop\"\n\n[dependencies]\nserde = \"1\"\nshop = \"1\"\nreqwest = \"1\"\n";
    let findings = findings("handlers/shop/Cargo.toml", manifest);
    assert_eq!(
        findings,
        ["handlers/shop/Cargo.toml:7: reqwest has no place yet; say in tests/tidy/vendors.rs who may name it"]
    );
}

#[test]
fn a_vendor_in_its_home_is_fine() {
    assert!(findings("runtime/embedded/src/store/sled.rs", "use sled::Db;\nfn f() -> ::sled::Config {}\n").is_empty());
    assert!(findings("runtime/embedded/src/store/sled/tests.rs", "use sled::Db;\n").is_empty());
    assert!(findings("runtime/kafka/src/lib.rs", "use rdkafka::consumer::Consumer;\n").is_empty());
}

#[test]
fn every_way_of_naming_a_vendor_is_seen() {
    let ways = [
        "use sled::Db;",
        "use sled;",
        "use ::sled::Db;",
        "use {sled::Db, std::fmt};",
        "use sled as disk;",
        "pub use sled::{Db, Tree};",
        "fn f() { let db = sled::open(path); }",
        "fn f() -> ::sled::Db { g() }",
        "fn f() { g(vec![sled::IVec::from(x)]); }",
        "extern crate sled;",
        "#[sled::attribute]\nfn f() {}",
        "type A = Vec<sled::Db>;",
    ];
    for way in ways {
        assert_eq!(findings("runtime/embedded/src/log.rs", way).len(), 1, "{way}");
    }
}

#[test]
fn a_module_of_our_own_with_a_vendors_name_is_none() {
    let ways = [
        "mod sled;\npub use sled::Sled;",
        "use self::sled::Sled;",
        "use crate::store::{fjall, sled};\nfn f() { sled::open(); }",
        "fn f() { crate::store::sled::open(); }",
        "fn f() { let sled = 1; }",
        "// sled::open\nfn f() { \"sled::open\"; }",
    ];
    for way in ways {
        assert!(findings("runtime/embedded/src/store/mod.rs", way).is_empty(), "{way}");
    }
}

#[test]
fn a_name_with_a_hyphen_is_seen_in_source() {
    let findings = findings("runtime/core/src/codec.rs", "use std::fmt;\n\nuse apache_avro::Schema;\n");
    assert_eq!(findings.len(), 1);
    assert!(findings[0].starts_with("runtime/core/src/codec.rs:3: apache_avro"));
}

#[test]
fn captured_lifetimes_are_no_import() {
    assert!(findings("runtime/core/src/a.rs", "fn f<'a>(x: &'a u8) -> impl Sized + use<'a> { x }").is_empty());
}
