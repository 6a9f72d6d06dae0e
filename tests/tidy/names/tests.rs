use super::check;
use crate::found;
use crate::tree::Tree;

#[test]
fn names_that_say_nothing_are_found() {
    let files = [
        "a/src/util.rs",
        "a/src/utils/mod.rs",
        "a/src/common.rs",
        "a/src/helpers.rs",
        "a/src/misc.rs",
        "a/src/types.rs",
        "a/src/lane_manager.rs",
        "handlers/common/src/lib.rs",
        "tests/scenarios/test_helpers.rs",
    ];
    for file in files {
        assert_eq!(found(check, &Tree::sample([(file, "")])).len(), 1, "{file}");
    }
}

#[test]
fn modules_inside_a_file_are_seen() {
    let findings = found(check, &Tree::sample([("a/src/lib.rs", "\nmod inner { mod utils {} }\n")]));
    assert_eq!(findings, ["a/src/lib.rs:2: the name utils says nothing; call it after what is in it"]);
    assert_eq!(found(check, &Tree::sample([("a/src/lib.rs", "#[path = \"lane.rs\"]\nmod misc;\n")])).len(), 1);
}

#[test]
fn names_that_say_something_are_fine() {
    for file in ["a/src/lane.rs", "a/src/commonality.rs", "a/src/prototypes.rs", "a/src/utilization.rs"] {
        assert!(found(check, &Tree::sample([(file, "mod event;")])).is_empty(), "{file}");
    }
    assert!(found(check, &Tree::sample([("docs/misc/types.md", "")])).is_empty());
}
