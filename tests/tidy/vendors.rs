//! A vendor's crate appears in its adapter only, so that replacing it touches one place.

use std::collections::BTreeSet;

use crate::lexer::Source;
use crate::manifest::{self, Manifest};
use crate::tree::{Finding, Tree};

/// Crates and where they may be named: below these folders, or in the file (and the folder) of this module.
struct Seam {
    crates: &'static [&'static str],
    homes: &'static [&'static str],
}

/// Who may name whom.
const SEAMS: &[Seam] = &[
    Seam { crates: &["rdkafka", "rdkafka-sys"], homes: &["runtime/kafka"] },
    Seam { crates: &["libc"], homes: &["runtime/kafka/src/native"] },
    Seam { crates: &["sqlx", "tokio-postgres"], homes: &["runtime/postgres"] },
    // sled frees memory through crossbeam-epoch, which its adapter has to push.
    Seam { crates: &["sled", "crossbeam-epoch"], homes: &["runtime/embedded/src/store/sled"] },
    Seam { crates: &["fjall"], homes: &["runtime/embedded/src/store/fjall"] },
    Seam { crates: &["apache-avro", "serde_avro_fast"], homes: &["runtime/schema"] },
    Seam { crates: &["ureq"], homes: &["runtime/schema/src/registry", "tests/scenarios"] },
    Seam { crates: &["backoff"], homes: &["runtime/core/src/retry"] },
    Seam { crates: &["rmp-serde"], homes: &["runtime/core/src/state"] },
    Seam { crates: &["sha2"], homes: &["runtime/core/src/id", "handlers/storefront/src/key"] },
    Seam { crates: &["jiff"], homes: &["runtime/core/src/time"] },
    Seam { crates: &["csv", "flate2"], homes: &["handlers/ingest", "tests/scenarios"] },
    Seam {
        crates: &["base64"],
        homes: &[
            "runtime/schema/src/registry",
            "runtime/tidemill/src/said",
            "runtime/tidemill/src/command/outbox",
            "tests/scenarios",
        ],
    },
    Seam { crates: &["indicatif"], homes: &["handlers/shop", "runtime/tidemill/src/command/past/watched"] },
    Seam { crates: &["axum", "tower"], homes: &["handlers/storefront/src/http", "handlers/storefront/src/serve"] },
    Seam { crates: &["deadpool-postgres"], homes: &["handlers/storefront/src/store/database"] },
    Seam { crates: &["utoipa"], homes: &["handlers/storefront"] },
    Seam { crates: &["proc-macro2", "quote", "syn"], homes: &["runtime/macros", "tests/tidy"] },
    Seam {
        crates: &["clap"],
        homes: &["runtime/tidemill", "runtime/bench", "runtime/devkit", "handlers", "tests/scenarios"],
    },
    Seam { crates: &["alloc_tracker"], homes: &["runtime/bench"] },
    // A binary chooses its allocator; a library leaves that alone.
    Seam {
        crates: &["tikv-jemallocator"],
        homes: &["handlers", "runtime/bench", "tests/Cargo.toml", "tests/scenarios/programs"],
    },
    Seam { crates: &["toml"], homes: &["runtime/tidemill", "tests/tidy"] },
    Seam { crates: &["tracing-subscriber"], homes: &["runtime/tidemill"] },
    Seam {
        crates: &["tokio", "tokio-util", "tokio-stream"],
        homes: &[
            "runtime/tidemill",
            "runtime/kafka",
            "runtime/postgres",
            "runtime/bench",
            "handlers/storefront",
            "tests",
        ],
    },
];

/// Crates that are as good as the language: no adapter would hide anything.
const EVERYWHERE: &[&str] = &[
    "async-trait",
    "bytes",
    "foldhash",
    "futures-channel",
    "futures-util",
    "hashbrown",
    "proptest",
    "serde",
    "serde_bytes",
    "serde_json",
    "tempfile",
    "thiserror",
    "tracing",
];

/// Neither a manifest nor a source file names a vendor's crate outside its adapter, and every vendor's crate has one.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    manifest::over_members(tree, |members| [in_manifests(members), in_sources(tree)].concat())
}

fn in_manifests(members: &[Manifest]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        for dependency in &member.dependencies {
            let name = dependency.package.as_str();
            let Some(seam) = SEAMS.iter().find(|seam| seam.crates.contains(&name)) else {
                if !EVERYWHERE.contains(&name) && !members.iter().any(|member| member.package == name) {
                    let message = format!("{name} has no place yet; say in tests/tidy/vendors.rs who may name it");
                    findings.push(Finding::new(&member.path, dependency.line, message));
                }
                continue;
            };
            if !seam.homes.iter().any(|home| holds(&member.folder, home) || holds(home, &member.folder)) {
                findings.push(outside(&member.path, dependency.line, &dependency.package, seam));
            }
        }
    }
    findings
}

fn in_sources(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        for (name, line) in mentions(source) {
            let is_named = |seam: &&Seam| seam.crates.iter().any(|vendor| vendor.replace('-', "_") == name);
            let Some(seam) = SEAMS.iter().find(is_named) else { continue };
            if !seam.homes.iter().any(|home| holds(home, path.strip_suffix(".rs").unwrap_or(path))) {
                findings.push(outside(path, line, &name, seam));
            }
        }
    }
    findings
}

/// Whether `inner` is `outer` or lies below it.
fn holds(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn outside(path: &str, line: usize, name: &str, seam: &Seam) -> Finding {
    let homes = seam.homes.join(", ");
    Finding::new(path, line, format!("{name} may be named in {homes} only; go through that crate's own interface"))
}

/// The first words of all paths in a file that may name a crate, each with its line.
fn mentions(source: &Source) -> Vec<(String, usize)> {
    let mut found = Uses::default();
    let mut ends_at = 0;
    for (at, token) in source.tokens.iter().enumerate() {
        if at < ends_at || !token.is_word() {
            continue;
        }
        // `use<'a>` in a type captures lifetimes and imports nothing.
        if token.is("use") && !source.is(Some(at + 1), "<") {
            ends_at = found.read(source, at + 1, None);
        } else if token.is("extern") && source.is(Some(at + 1), "crate") {
            found.first.extend(source.word(at + 2).map(|name| (name.text.clone(), name.line)));
        } else if source.is(Some(at + 1), "::") && begins_path(source, at) {
            found.first.push((token.text.clone(), token.line));
        }
    }
    found.local.extend(source.modules().map(|(_, name, _)| name.text.clone()));
    let Uses { first, local } = found;
    first.into_iter().filter(|(name, _)| !local.contains(name)).collect()
}

/// Whether the word at `at` is the first of its path; `::sled` is, `store::sled` is not.
fn begins_path(source: &Source, at: usize) -> bool {
    let continues = at.checked_sub(2).is_some_and(|before| source.word(before).is_some());
    !(source.is(at.checked_sub(1), "::") && continues)
}

/// What the `use` items of a file say.
#[derive(Default)]
struct Uses {
    /// The first words of their paths.
    first: Vec<(String, usize)>,
    /// Names they bring in from elsewhere, which therefore are no crates.
    local: BTreeSet<String>,
}

impl Uses {
    /// Reads one tree of a `use` item, in which `root` is the first word so far. Answers where it ends.
    fn read<'a>(&mut self, source: &'a Source, mut at: usize, mut root: Option<&'a str>) -> usize {
        let mut last = None;
        while let Some(token) = source.tokens.get(at) {
            if token.is("{") {
                let end = token.partner;
                at += 1;
                while at < end {
                    at = self.read(source, at, root) + 1;
                }
                return end + 1;
            }
            if token.is("as") {
                last = source.word(at + 1).map(|name| name.text.as_str());
                at += 2;
                break;
            }
            if token.is_word() {
                if root.is_none() {
                    self.first.push((token.text.clone(), token.line));
                    root = Some(&token.text);
                } else {
                    last = Some(token.text.as_str());
                }
            } else if !token.is("::") && !token.is("*") {
                break;
            }
            at += 1;
        }
        self.local.extend(last.filter(|last| Some(*last) != root).map(str::to_owned));
        at
    }
}

#[cfg(test)]
mod tests;
