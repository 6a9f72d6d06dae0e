use super::{MACHINE_FOLDERS, MARKS, check};
use crate::found;
use crate::tree::Tree;

fn findings(path: &'static str, text: &str) -> Vec<String> {
    found(check, &Tree::sample([(path, text)]))
}

#[test]
fn missing_code_is_found() {
    for name in ["todo", "unimplemented"] {
        let findings = findings("a/src/lib.rs", &format!("fn f() {{\n    {name}!()\n}}\n"));
        assert_eq!(findings, [format!("a/src/lib.rs:2: {name}! stands for missing code; write it")]);
    }
    assert!(findings("a/src/lib.rs", "fn todo() { unreachable!() }").is_empty());
}

#[test]
fn marks_are_found_in_comments_and_strings() {
    for mark in MARKS {
        assert_eq!(findings("a/src/lib.rs", &format!("\n// {mark}: later\n")).len(), 1, "{mark}");
        assert_eq!(findings("a/src/lib.rs", &format!("/// {mark}\nfn f() {{}}\n")).len(), 1, "{mark}");
        assert_eq!(findings("a/src/lib.rs", &format!("const A: &str = \"{mark} later\";\n")).len(), 1, "{mark}");
        assert_eq!(findings("a/Cargo.toml", &format!("[package]\n# {mark}\n")).len(), 1, "{mark}");
        assert!(findings("a/src/lib.rs", &format!("// {mark}S_LEFT\nconst {mark}: u8 = 1;\n")).is_empty(), "{mark}");
    }
}

#[test]
fn the_line_inside_a_comment_is_named() {
    let text = format!("fn f() {{}}\n/* one\n   {}\n */\n", MARKS[0]);
    assert!(findings("a/src/lib.rs", &text)[0].starts_with("a/src/lib.rs:3: "));
}

#[test]
fn excuses_are_found_in_comments_only() {
    for excuse in ["for now", "For now", "a placeholder."] {
        assert_eq!(findings("a/src/lib.rs", &format!("// It does this {excuse}\n")).len(), 1, "{excuse}");
        assert!(findings("a/src/lib.rs", &format!("const A: &str = \"{excuse}\";\n")).is_empty(), "{excuse}");
        assert!(findings("docs/guide.md", excuse).is_empty(), "{excuse}");
    }
    assert!(findings("a/src/lib.rs", "// for nowhere, platform or now\n").is_empty());
}

#[test]
fn folders_of_one_machine_are_found_everywhere() {
    for folder in MACHINE_FOLDERS {
        for path in ["a/src/lib.rs", "docs/guide.md", ".ci/run", "Dockerfile"] {
            assert_eq!(findings(path, &format!("// see /{folder}thing\n")).len(), 1, "{path} {folder}");
        }
        assert!(
            findings("docs/guide.md", &format!("target/{folder}thing, https://a.org/{folder}b and {folder}c"))
                .is_empty()
        );
    }
}

#[test]
fn packages_come_from_the_public_registry() {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    assert!(findings("Cargo.lock", public).is_empty());
    assert_eq!(findings("Cargo.lock", "source = \"registry+https://crates.example.org/index\"\n").len(), 1);
    assert_eq!(findings("Cargo.lock", "source = \"git+https://example.org/a\"\n").len(), 1);
    assert_eq!(findings(".cargo/config.toml", "[source.crates-io]\nreplace-with = \"mirror\"\n").len(), 2);
    assert_eq!(findings(".cargo/config.toml", "[registries.mine]\n").len(), 1);
}
