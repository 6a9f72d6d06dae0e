use super::check;
use crate::found;
use crate::tree::Tree;

fn findings(paths: &[&'static str]) -> Vec<String> {
    found(check, &Tree::sample(paths.iter().map(|path| (*path, "{}"))))
}

#[test]
fn pairs_are_fine_and_other_files_are_left_alone() {
    let pairs =
        ["schemas/shop/order-placed/v1.avsc", "schemas/shop/order-placed/v1.json", "schemas/README.md", "a/v1.json"];
    assert!(findings(&pairs).is_empty());
}

#[test]
fn a_schema_without_its_sample_is_found() {
    let findings = findings(&["schemas/shop/order-placed/v2.avsc", "schemas/shop/order-placed/v1.json"]);
    let expected = [
        "schemas/shop/order-placed/v1.json:1: its schema is missing; add schemas/shop/order-placed/v1.avsc",
        "schemas/shop/order-placed/v2.avsc:1: its sample is missing; add schemas/shop/order-placed/v2.json",
    ];
    assert_eq!(findings, expected);
}

#[test]
fn a_file_in_the_wrong_place_is_found() {
    for stem in
        ["schemas/shop/order-placed", "schemas/shop/order-placed/first", "schemas/order-placed/v1", "schemas/a/b/v0"]
    {
        let files = [(format!("{stem}.avsc"), format!("{stem}.json"))];
        let leaked: Vec<&'static str> =
            files.into_iter().flat_map(|(schema, sample)| [schema, sample]).map(|path| &*path.leak()).collect();
        let findings = findings(&leaked);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].contains("it has to be schemas/DOMAIN/EVENT/vN"));
    }
}
