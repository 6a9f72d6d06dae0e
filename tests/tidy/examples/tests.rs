use super::check;
use crate::found;
use crate::tree::Tree;

fn findings(files: &[(&'static str, &str)]) -> Vec<String> {
    found(check, &Tree::sample(files.iter().map(|(path, text)| (*path, *text))))
}

#[test]
fn an_example_that_is_switched_off_is_found() {
    for word in ["ignore", "rust,ignore", "ignore-windows"] {
        let text = format!("/// An event.\n///\n/// ```{word}\n/// f();\n/// ```\nfn f() {{}}\n");
        let findings = findings(&[("a/src/lib.rs", &text)]);
        assert_eq!(findings.len(), 1, "{word}");
        assert!(findings[0].starts_with("a/src/lib.rs:3: an example that nobody compiles"), "{findings:?}");
    }
    assert_eq!(findings(&[("docs/A.md", "```ignore\nf();\n```\n")]).len(), 1);
}

#[test]
fn an_example_on_a_page_that_nobody_reads_in_is_found() {
    let page = ("docs/GUIDE.md", "# Guide\n\n```rust,no_run\nf();\n```\n");
    let findings_alone = findings(&[page]);
    assert_eq!(findings_alone.len(), 1);
    assert!(findings_alone[0].starts_with("docs/GUIDE.md:3: no test compiles this example"));
    let other = ("a/src/lib.rs", "#[doc = include_str!(\"../../../docs/OTHER-GUIDE.md\")]\nmod pages {}\n");
    assert_eq!(findings(&[page, other]).len(), 1);
}

#[test]
fn examples_that_are_compiled_are_fine() {
    let page = ("docs/GUIDE.md", "```rust\nf();\n```\n");
    let reader = ("a/src/lib.rs", "#[doc = include_str!(\"../../../docs/GUIDE.md\")]\nmod pages {}\n");
    assert!(findings(&[page, reader]).is_empty());
    assert!(findings(&[("docs/A.md", "```sh\ncargo build\n```\n```text\nignore\n```\n")]).is_empty());
    assert!(findings(&[("a/src/lib.rs", "/// ```no_run\n/// f();\n/// ```\nfn f() {}\n")]).is_empty());
}
