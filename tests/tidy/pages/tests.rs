use super::check;
use crate::found;
use crate::tree::Tree;

const CODES: &str = "enum Exit {\n    Done = 0,\n    Usage = 2,\n}\nmacro_rules! codes { ($n:ident = $l:literal,) => {} }\n\
                     codes! {\n    /// A key.\n    UNKNOWN_KEY = 101, Usage;\n    BAD_VALUE = 1102, Usage;\n}\n";
const INDEX: &str = "| [TM-0101](TM-0101.md) | a key | 2 |\n| [TM-1102](TM-1102.md) | a value | 2 |\n";

fn page(code: &str) -> String {
    format!(
        "# {code}: a title\n\n## What it means\n\nThis.\n\n## Cause\n\nThat. Exit code 2.\n\n## Remedy\n\nThe other.\n"
    )
}

fn findings(index: &str, first: &str, second: Option<&str>, extra: Option<&'static str>) -> Vec<String> {
    let mut files = vec![
        ("runtime/core/src/code.rs", CODES.to_owned()),
        ("docs/errors/README.md", index.to_owned()),
        ("docs/errors/TM-0101.md", first.to_owned()),
    ];
    files.extend(second.map(|text| ("docs/errors/TM-1102.md", text.to_owned())));
    files.extend(extra.map(|path| (path, page("TM-0999"))));
    found(check, &Tree::sample(files))
}

#[test]
fn codes_with_their_pages_are_fine() {
    assert!(findings(INDEX, &page("TM-0101"), Some(&page("TM-1102")), None).is_empty());
}

#[test]
fn a_code_without_its_page_is_found() {
    let findings = findings(INDEX, &page("TM-0101"), None, None);
    assert_eq!(findings, ["runtime/core/src/code.rs:9: TM-1102 has no page; write docs/errors/TM-1102.md"]);
}

#[test]
fn a_page_without_its_code_is_found() {
    for extra in ["docs/errors/TM-0999.md", "docs/errors/notes.md"] {
        let findings = findings(INDEX, &page("TM-0101"), Some(&page("TM-1102")), Some(extra));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].starts_with(extra));
    }
}

#[test]
fn a_page_needs_its_title_and_its_parts() {
    let good = page("TM-0101");
    let bad = [
        good.replace("TM-0101", "TM-0102"),
        good.replace(": a title", ":"),
        good.replace("## Cause", "## Causes"),
        good.replace("## Remedy\n\nThe other.\n", ""),
        good.replace("The other.", ""),
        good.replace("Exit code 2.", "Exit code 3."),
        good.replace("## What it means\n\nThis.\n\n", "") + "\n## What it means\n\nThis.\n",
    ];
    for text in bad {
        let findings = findings(INDEX, &text, Some(&page("TM-1102")), None);
        assert_eq!(findings.len(), 1, "{text}\n{findings:?}");
        assert!(findings[0].starts_with("docs/errors/TM-0101.md:"));
    }
}

#[test]
fn the_index_names_all_codes_and_no_others() {
    let (first, second) = (page("TM-0101"), page("TM-1102"));
    let short = findings("| [TM-0101](TM-0101.md) | a key | 2 |\n", &first, Some(&second), None);
    assert_eq!(short, ["docs/errors/README.md:1: TM-1102 is not in the index; add its line"]);
    let long = findings(&format!("{INDEX}| [TM-0999](TM-0999.md) | gone | 2 |\n"), &first, Some(&second), None);
    assert_eq!(long, ["docs/errors/README.md:3: TM-0999 is no code any more; take its line out"]);
    let wrong = findings(&INDEX.replace("value | 2", "value | 3"), &first, Some(&second), None);
    assert_eq!(wrong, ["docs/errors/README.md:2: the line of TM-1102 has to end with its exit code, 2"]);
}

#[test]
fn codes_that_cannot_be_seen_are_no_pass() {
    let tree = Tree::sample([("runtime/core/src/code.rs", "enum Exit { Done = 0, }")]);
    assert_eq!(found(check, &tree).len(), 1);
}
