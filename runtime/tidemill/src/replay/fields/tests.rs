use serde_json::json;

use crate::replay::fields::*;

fn spread_out(value: &Value) -> Vec<(String, Value)> {
    let mut fields = BTreeMap::new();
    spread(value, String::new(), &mut fields);
    fields.into_iter().collect()
}

#[test]
fn values_are_spread_by_the_paths_of_their_fields() {
    let value = json!({"id": "a", "lines": [{"n": 1}, {"n": 2}], "none": [], "of": {"x": null}});
    let wanted = [
        ("id", json!("a")),
        ("lines[0].n", json!(1)),
        ("lines[1].n", json!(2)),
        ("none", json!([])),
        ("of.x", Value::Null),
    ];
    assert_eq!(spread_out(&value), wanted.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn what_is_ignored_takes_what_lies_within_with_it() {
    let ignored = ["lines".to_owned(), "header.ce_time".to_owned()];
    for name in ["lines", "lines[0].n", "lines.x", "header.ce_time"] {
        assert!(is_ignored(name, &ignored), "{name}");
    }
    for name in ["line", "lines_more", "header.ce_type", "key"] {
        assert!(!is_ignored(name, &ignored), "{name}");
    }
}
