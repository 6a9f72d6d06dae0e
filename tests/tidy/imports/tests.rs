use super::{ORDER, check, covers};
use crate::found;
use crate::tree::Tree;

/// A workspace of stubs in which one member has these lines under its name.
fn workspace(changed: &'static str, lines: &str) -> Tree {
    let members = [
        ("runtime/core/Cargo.toml", "tidemill-core"),
        ("runtime/macros/Cargo.toml", "tidemill-macros"),
        ("runtime/schema/Cargo.toml", "tidemill-schema"),
        ("runtime/embedded/Cargo.toml", "tidemill-embedded"),
        ("runtime/testkit/Cargo.toml", "tidemill-testkit"),
        ("runtime/tidemill/Cargo.toml", "tidemill"),
        ("handlers/orders/Cargo.toml", "orders"),
        ("handlers/shop/Cargo.toml", "shop"),
        ("tests/Cargo.toml", "tidemill-tests"),
    ];
    let manifests = members.map(|(path, name)| {
        let lines = if path == changed { lines } else { "" };
        (path, format!("[package]\nname = \"{name}\"\n{lines}"))
    });
    Tree::sample(manifests.into_iter().chain([("Cargo.toml", String::new())]))
}

fn findings(member: &'static str, lines: &str) -> Vec<String> {
    found(check, &workspace(member, lines))
}

#[test]
fn the_heart_sees_nobody() {
    let findings = findings("runtime/core/Cargo.toml", "[dependencies]\ntidemill-schema.workspace = true\n");
    assert_eq!(findings.len(), 1);
    assert!(findings[0].starts_with("runtime/core/Cargo.toml:4: tidemill-core must not depend on tidemill-schema"));
}

#[test]
fn an_adapter_sees_the_heart_only() {
    let upwards = "[dependencies]\ntidemill-core.workspace = true\ntidemill.workspace = true\n";
    let findings = findings("runtime/embedded/Cargo.toml", upwards);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].starts_with("runtime/embedded/Cargo.toml:5:"), "{findings:?}");
}

#[test]
fn one_adapter_does_not_see_another() {
    assert_eq!(findings("runtime/schema/Cargo.toml", "[dependencies]\ntidemill-embedded.workspace = true\n").len(), 1);
}

#[test]
fn the_macros_see_nobody() {
    assert_eq!(findings("runtime/macros/Cargo.toml", "[dependencies]\ntidemill-core.workspace = true\n").len(), 1);
    assert!(findings("runtime/macros/Cargo.toml", "[dev-dependencies]\ntidemill.workspace = true\n").is_empty());
}

#[test]
fn a_service_sees_what_users_import() {
    let allowed = "[dependencies]\ntidemill.workspace = true\norders = { path = \"../orders\" }\n\
                   [dev-dependencies]\ntidemill-testkit.workspace = true\n";
    assert!(findings("handlers/shop/Cargo.toml", allowed).is_empty());
    assert_eq!(findings("handlers/shop/Cargo.toml", "[dependencies]\ntidemill-core.workspace = true\n").len(), 1);
    assert_eq!(findings("handlers/shop/Cargo.toml", "[dependencies]\ntidemill-testkit.workspace = true\n").len(), 1);
}

#[test]
fn the_kit_is_for_the_tests_of_the_facade_only() {
    assert!(
        findings("runtime/tidemill/Cargo.toml", "[dev-dependencies]\ntidemill-testkit.workspace = true\n").is_empty()
    );
    assert_eq!(findings("runtime/tidemill/Cargo.toml", "[dependencies]\ntidemill-testkit.workspace = true\n").len(), 1);
}

#[test]
fn a_dependency_under_another_name_is_seen() {
    let renamed = "[dependencies]\nkernel = { package = \"tidemill-core\", path = \"../../runtime/core\" }\n";
    assert_eq!(findings("handlers/orders/Cargo.toml", renamed).len(), 1);
}

#[test]
fn a_crate_without_a_place_is_found() {
    let tree = Tree::sample([("Cargo.toml", ""), ("runtime/new/Cargo.toml", "[package]\nname = \"new\"\n")]);
    let findings = found(check, &tree);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].contains("crate new has no place in the crate order"));
}

#[test]
fn the_table_itself_has_one_direction() {
    let place_of =
        |pattern: &str| ORDER.iter().position(|place| covers(place.member, pattern) || place.member == pattern);
    for (at, place) in ORDER.iter().enumerate() {
        for seen in place.sees.iter().filter(|seen| !seen.ends_with('*')) {
            assert!(
                place_of(seen).is_some_and(|seen| seen < at),
                "{} sees {seen}, which stands behind it",
                place.member
            );
        }
    }
}
