use std::fs;

use super::*;

/// A project with a catalogue of these files, and a package two folders down in it.
fn project(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("services/orders")).unwrap();
    fs::create_dir_all(root.path().join("schemas")).unwrap();
    for file in files {
        let path = root.path().join("schemas").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}").unwrap();
    }
    root
}

fn found(root: &tempfile::TempDir, event: &str, version: u32) -> Result<Vec<File>, String> {
    files(&root.path().join("services/orders"), event, version)
}

fn file(version: u32, path: &str) -> File {
    File { version, path: path.to_owned() }
}

#[test]
fn all_versions_up_to_the_events_own_are_found_in_order() {
    let root = project(&["shop/order/v10.avsc", "shop/order/v2.avsc", "shop/order/v11.avsc", "shop/order/v10.json"]);
    let expected = [file(2, "/../../schemas/shop/order/v2.avsc"), file(10, "/../../schemas/shop/order/v10.avsc")];
    assert_eq!(found(&root, "shop.order", 10).unwrap(), expected);
    let nested = project(&["com.example/order/v1.avsc"]);
    let expected = [file(1, "/../../schemas/com.example/order/v1.avsc")];
    assert_eq!(found(&nested, "com.example.order", 1).unwrap(), expected);
}

#[test]
fn the_nearest_catalogue_counts() {
    let root = project(&["shop/order/v1.avsc"]);
    let package = root.path().join("services/orders");
    fs::create_dir(package.join("schemas")).unwrap();
    assert_eq!(found(&root, "shop.order", 1), Ok(Vec::new()));
    fs::create_dir_all(package.join("schemas/shop/order")).unwrap();
    fs::write(package.join("schemas/shop/order/v1.avsc"), "{}").unwrap();
    assert_eq!(found(&root, "shop.order", 1).unwrap(), [file(1, "/schemas/shop/order/v1.avsc")]);
}

#[test]
fn an_event_that_the_catalogue_does_not_know_has_no_files() {
    let root = project(&["shop/order/v1.avsc"]);
    assert_eq!(found(&root, "shop.invoice", 1), Ok(Vec::new()));
    assert_eq!(files(Path::new(""), "shop.order", 1), Ok(Vec::new()));
}

#[test]
fn the_missing_file_of_the_events_own_version_is_named() {
    let root = project(&["shop/order/v1.avsc", "shop/order/v3.avsc"]);
    let error = found(&root, "shop.order", 2).unwrap_err();
    assert!(error.starts_with("schemas/shop/order/v2.avsc is missing"), "{error}");
}
