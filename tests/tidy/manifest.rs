//! The members of the workspace and what they depend on, as their Cargo.toml say it.

use toml::{Table, Value};

use crate::tree::{Finding, Tree};

/// One dependency of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The package's own name, whatever the manifest calls it.
    pub(crate) package: String,
    /// Wanted for tests, examples and benchmarks only.
    pub(crate) dev: bool,
    /// Where the manifest says so.
    pub(crate) line: usize,
}

/// One member of the workspace.
pub(crate) struct Manifest {
    /// The path of its Cargo.toml.
    pub(crate) path: String,
    /// The folder it stands in.
    pub(crate) folder: String,
    pub(crate) package: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// Whether the workspace's lints hold for it.
    pub(crate) has_lints: bool,
}

/// Reads the manifest of every member.
pub(crate) fn members(tree: &Tree) -> Result<Vec<Manifest>, Finding> {
    let empty = Table::new();
    let root = read(tree, "Cargo.toml")?;
    let shared = table(&root, &["workspace", "dependencies"]).unwrap_or(&empty);
    let mut members = Vec::new();
    for (path, text) in tree.texts() {
        let Some(folder) = path.strip_suffix("/Cargo.toml") else { continue };
        let manifest = read(tree, path)?;
        let name = table(&manifest, &["package"]).and_then(|package| package.get("name")).and_then(Value::as_str);
        let Some(name) = name else { return Err(Finding::new(path, 1, "a member needs a package name")) };
        let lints = table(&manifest, &["lints"]).and_then(|lints| lints.get("workspace"));
        members.push(Manifest {
            path: path.to_owned(),
            folder: folder.to_owned(),
            package: name.to_owned(),
            dependencies: dependencies(&manifest, shared, text),
            has_lints: lints.and_then(Value::as_bool) == Some(true),
        });
    }
    Ok(members)
}

/// What a rule finds in the members. A manifest that cannot be read is what every rule finds.
pub(crate) fn over_members(tree: &Tree, rule: impl FnOnce(&[Manifest]) -> Vec<Finding>) -> Vec<Finding> {
    match members(tree) {
        Ok(members) => rule(&members),
        Err(finding) => vec![finding],
    }
}

/// Every member obeys the workspace's lints.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    over_members(tree, |members| {
        let bare = members.iter().filter(|member| !member.has_lints);
        bare.map(|member| {
            Finding::new(&member.path, 1, "the workspace's lints do not hold here; add [lints] workspace = true")
        })
        .collect()
    })
}

fn read(tree: &Tree, path: &str) -> Result<Table, Finding> {
    let text =
        tree.text(path).ok_or_else(|| Finding::new(path, 1, "it is missing, so no dependency can be checked"))?;
    text.parse()
        .map_err(|error: toml::de::Error| Finding::new(path, 1, format!("it cannot be read: {}", error.message())))
}

fn table<'a>(of: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(of, |table, part| table.get(*part)?.as_table())
}

/// All dependencies of a manifest, those of its targets included.
fn dependencies(manifest: &Table, shared: &Table, text: &str) -> Vec<Dependency> {
    let targets = table(manifest, &["target"]).into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut found = Vec::new();
    for owner in targets.chain([manifest]) {
        for (section, dev) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
            let Some(section) = table(owner, &[section]) else { continue };
            for (key, value) in section {
                let renamed = |table: &Table| table.get("package").and_then(Value::as_str).map(str::to_owned);
                let inherited = value.get("workspace").is_some();
                let own = if inherited { shared.get(key) } else { Some(value) };
                let package = own.and_then(Value::as_table).and_then(renamed).unwrap_or_else(|| key.clone());
                found.push(Dependency { package, dev, line: line_of(text, key) });
            }
        }
    }
    found
}

/// The line on which a manifest names a dependency.
fn line_of(text: &str, key: &str) -> usize {
    let names = |line: &str| {
        let rest = line.trim_start().trim_start_matches('"').strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=', '"']))
            || line.trim_end().strip_suffix(']').is_some_and(|table| table.ends_with(&format!(".{key}")))
    };
    text.lines().position(names).map_or(1, |line| line + 1)
}

#[cfg(test)]
mod tests;
