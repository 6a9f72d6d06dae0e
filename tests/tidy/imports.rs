//! Imports go one way: the order of the crates, in one table.

use crate::manifest::{self, Manifest};
use crate::tree::{Finding, Tree};

/// A member and what it may see of the others. `*` at the end of a path stands for any folder there.
struct Place {
    member: &'static str,
    sees: &'static [&'static str],
    /// What its tests, examples and benchmarks may see as well.
    tests_see: &'static [&'static str],
}

/// The order of the crates, from the heart outwards. A member that is not in here fails the check: say where it belongs.
const ORDER: &[Place] = &[
    Place { member: "runtime/core", sees: &[], tests_see: &[] },
    // What `derive(Event)` writes names the crate that users import, so only that crate's examples can show it.
    Place { member: "runtime/macros", sees: &[], tests_see: &["runtime/tidemill"] },
    // Its client of a registry is tested with the fakes of the core's ports.
    Place { member: "runtime/schema", sees: &["runtime/core"], tests_see: &["runtime/testkit"] },
    Place { member: "runtime/embedded", sees: &["runtime/core"], tests_see: &[] },
    Place { member: "runtime/kafka", sees: &["runtime/core"], tests_see: &[] },
    Place { member: "runtime/postgres", sees: &["runtime/core"], tests_see: &[] },
    // The kit drives services on `memory:`, which is the embedded log without a disk.
    Place { member: "runtime/testkit", sees: &["runtime/core", "runtime/embedded"], tests_see: &[] },
    Place {
        member: "runtime/tidemill",
        sees: &[
            "runtime/core",
            "runtime/macros",
            "runtime/schema",
            "runtime/embedded",
            "runtime/kafka",
            "runtime/postgres",
        ],
        tests_see: &["runtime/testkit"],
    },
    Place {
        member: "handlers/*",
        sees: &["runtime/tidemill", "handlers/*"],
        // A real database, for those that have rows of their own.
        tests_see: &["runtime/testkit", "runtime/devkit"],
    },
    // It starts foreign programs, and needs nothing of ours for that.
    Place { member: "runtime/devkit", sees: &[], tests_see: &[] },
    // It measures what users import; its bare loops go through the core's ports, or through Kafka's client alone.
    Place {
        member: "runtime/bench",
        sees: &["runtime/core", "runtime/kafka", "runtime/tidemill"],
        tests_see: &["runtime/devkit"],
    },
    Place { member: "tests", sees: &["runtime/*", "handlers/*"], tests_see: &[] },
];

/// Every dependency between our own crates follows the table.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    manifest::over_members(tree, against_the_order)
}

fn against_the_order(members: &[Manifest]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        let Some(place) = ORDER.iter().find(|place| covers(place.member, &member.folder)) else {
            let message =
                format!("crate {} has no place in the crate order; add it to the table in tests/tidy", member.package);
            findings.push(Finding::new(&member.path, 1, message));
            continue;
        };
        for dependency in &member.dependencies {
            let Some(seen) = members.iter().find(|other| other.package == dependency.package) else { continue };
            if !may_see(place, seen, dependency.dev) {
                let message = format!(
                    "{} must not depend on {}; what it may see: {} (the table stands in tests/tidy/imports.rs)",
                    member.package,
                    seen.package,
                    list(place, dependency.dev)
                );
                findings.push(Finding::new(&member.path, dependency.line, message));
            }
        }
    }
    findings
}

fn may_see(place: &Place, seen: &Manifest, in_tests: bool) -> bool {
    let extra = if in_tests { place.tests_see } else { &[] };
    place.sees.iter().chain(extra).any(|pattern| covers(pattern, &seen.folder))
}

fn covers(pattern: &str, folder: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == folder, |prefix| folder.starts_with(prefix))
}

fn list(place: &Place, in_tests: bool) -> String {
    let extra = if in_tests { place.tests_see } else { &[] };
    let all: Vec<&str> = place.sees.iter().chain(extra).copied().collect();
    if all.is_empty() { "none of ours".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests;
