use super::check;
use crate::found;
use crate::tree::Tree;

fn findings(text: &str) -> Vec<String> {
    found(check, &Tree::sample([("docs/errors/A.md", text), ("docs/B.md", ""), ("docs/errors/C.md", ""), ("D", "")]))
}

#[test]
fn a_link_to_nowhere_is_found() {
    for (link, path) in [("Z.md", "docs/errors/Z.md"), ("../Z.md#part", "docs/Z.md"), ("../../docs", "docs")] {
        let findings = findings(&format!("\nsee [b](../B.md) and [it]({link})\n"));
        assert_eq!(findings, [format!("docs/errors/A.md:2: it points to {path}, which is not there")]);
    }
}

#[test]
fn links_to_files_parts_and_other_places_are_fine() {
    for link in ["C.md", "./C.md", "../B.md#part", "../../D", "#part", "https://example.org/Z.md"] {
        assert!(findings(&format!("[it]({link})")).is_empty(), "{link}");
    }
}
