use super::check;
use crate::found;
use crate::tree::Tree;

fn findings(path: &'static str, text: &str) -> Vec<String> {
    found(check, &Tree::sample([(path, text)]))
}

#[test]
fn tests_inside_a_source_file_are_found() {
    assert_eq!(findings("a/src/lane.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n}\n").len(), 1);
    assert_eq!(findings("a/src/lane.rs", "mod test {}\n").len(), 1);
    assert_eq!(findings("a/src/lane.rs", "#[cfg(test)]\nmod checks { fn f() {} }\n").len(), 1);
    for attribute in ["#[test]", "#[tokio::test]", "#[tokio::test(flavor = \"current_thread\")]"] {
        assert_eq!(findings("a/src/lane.rs", &format!("{attribute}\nfn f() {{}}\n")).len(), 1, "{attribute}");
    }
    assert!(findings("a/src/lane.rs", "#[cfg(test)]\nfn f() {}\n").is_empty());
}

#[test]
fn the_line_of_the_module_is_named() {
    let findings = findings("a/src/lane.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n}\n");
    assert!(findings[0].starts_with("a/src/lane.rs:4: tests stand in a sibling tests.rs"));
}

#[test]
fn tests_in_their_own_files_are_fine() {
    assert!(findings("a/src/lane.rs", "#[cfg(test)]\nmod tests;\n#[cfg(unix)]\nmod unix {}\n").is_empty());
    assert!(findings("a/src/lane/tests.rs", "mod tests { #[test]\nfn f() {} }").is_empty());
    assert!(findings("tests/scenarios/kill.rs", "#[test]\nfn f() {}").is_empty());
}

#[test]
fn unsafe_outside_its_crate_is_found() {
    let text = "#![deny(unsafe_code)]\n// unsafe\nfn f() { unsafe { g() } }\n";
    assert_eq!(
        findings("runtime/core/src/lane.rs", text),
        ["runtime/core/src/lane.rs:3: unsafe belongs to runtime/kafka only"]
    );
    assert!(findings("runtime/kafka/src/queue.rs", text).is_empty());
}
