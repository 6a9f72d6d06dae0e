use super::{Dependency, check, members};
use crate::found;
use crate::tree::Tree;

const ROOT: &str = "[workspace.dependencies]\nheart = { path = \"heart\", package = \"the-heart\" }\nserde = \"1\"\n";

#[test]
fn dependencies_are_read_in_every_form() {
    let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nserde.workspace = true\nheart = { workspace = true }\n\
         other = { package = \"real\", version = \"1\" }\n\n[dependencies.long]\nversion = \"2\"\n\n\
         [target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n\n[dev-dependencies]\nproptest = \"1\"\n\n\
         [build-dependencies]\ncc = \"1\"\n";
    let tree = Tree::sample([("Cargo.toml", ROOT), ("a/Cargo.toml", manifest)]);
    let mut members = members(&tree).unwrap_or_else(|finding| panic!("{finding}"));
    let member = members.remove(0);
    assert_eq!((member.folder.as_str(), member.package.as_str()), ("a", "a"));
    let mut found = member.dependencies;
    found.sort_by_key(|dependency| dependency.line);
    let expected = [
        ("serde", false, 5),
        ("the-heart", false, 6),
        ("real", false, 7),
        ("long", false, 9),
        ("libc", false, 13),
        ("proptest", true, 16),
        ("cc", false, 19),
    ];
    let expected = expected.map(|(package, dev, line)| Dependency { package: package.to_owned(), dev, line });
    assert_eq!(found, expected);
}

#[test]
fn a_member_without_the_workspace_lints_is_found() {
    let with = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";
    let without = "[package]\nname = \"b\"\n";
    let tree = Tree::sample([("Cargo.toml", ROOT), ("a/Cargo.toml", with), ("b/Cargo.toml", without)]);
    let findings = found(check, &tree);
    assert_eq!(findings, ["b/Cargo.toml:1: the workspace's lints do not hold here; add [lints] workspace = true"]);
}

#[test]
fn a_manifest_that_cannot_be_read_is_found() {
    let tree = Tree::sample([("Cargo.toml", ROOT), ("a/Cargo.toml", "[package\n")]);
    assert!(found(check, &tree)[0].starts_with("a/Cargo.toml:1: it cannot be read"));
    let tree = Tree::sample([("a/Cargo.toml", "")]);
    assert!(found(check, &tree)[0].starts_with("Cargo.toml:1: it is missing"));
    let tree = Tree::sample([("Cargo.toml", ROOT), ("a/Cargo.toml", "[dependencies]\n")]);
    assert!(found(check, &tree)[0].starts_with("a/Cargo.toml:1: a member needs a package name"));
}
