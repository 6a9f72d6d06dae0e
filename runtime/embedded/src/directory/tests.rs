use std::fs;
use std::path::Path;

use tidemill_core::code::Code;

use super::{Directory, Holds, MANIFEST, STORE};
use crate::settings::Settings;
use crate::store::StoreKind;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(path: &Path, store: StoreKind) -> Result<String, Code> {
    let settings = Settings { store, ..Settings::default() };
    Directory::open(path, Holds::Log, &settings)
        .map(|(directory, _)| directory.id().to_owned())
        .map_err(|error| error.code)
}

#[test]
fn a_directory_keeps_its_id_and_two_have_different_ones() {
    let folder = folder();
    for store in [StoreKind::Sled, StoreKind::Fjall] {
        let [one, other] = ["one", "other"].map(|name| folder.path().join(format!("{store}/{name}")));
        let id = open(&one, store).expect("made");
        assert_eq!(open(&one, store), Ok(id.clone()));
        assert_ne!(open(&other, store), Ok(id));
    }
}

#[test]
fn a_directory_in_use_is_refused() {
    let folder = folder();
    let settings = Settings::default();
    let held = Directory::open(folder.path(), Holds::Log, &settings).expect("made");
    assert_eq!(open(folder.path(), StoreKind::Sled), Err(Code::DIRECTORY_IN_USE));
    drop(held);
    assert!(open(folder.path(), StoreKind::Sled).is_ok());
}

#[test]
fn what_is_not_ours_is_refused_and_stays_as_it_is() {
    let folder = folder();
    fs::write(folder.path().join("letter.txt"), "mine").expect("written");
    assert_eq!(open(folder.path(), StoreKind::Sled), Err(Code::FOREIGN_DIRECTORY));
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    let file = folder.path().join("letter.txt");
    assert_eq!(open(&file, StoreKind::Sled), Err(Code::WRITE_FAILED));
}

#[test]
fn another_store_is_refused() {
    let folder = folder();
    open(folder.path(), StoreKind::Sled).expect("made");
    assert_eq!(open(folder.path(), StoreKind::Fjall), Err(Code::OTHER_STORE));
}

#[test]
fn another_format_and_a_damaged_manifest_are_told_apart() {
    let folder = folder();
    open(folder.path(), StoreKind::Fjall).expect("made");
    let manifest = folder.path().join(MANIFEST);
    let text = fs::read_to_string(&manifest).expect("text");
    let changes = [
        (text.replace("format = 1", "format = 2"), Code::FORMAT_VERSION),
        (text.replace("format = 1", "format = one"), Code::DAMAGED),
        (text.replace("store = fjall", "store = shelf"), Code::DAMAGED),
        (text.replace("id = ", "id = 0"), Code::DAMAGED),
        ("rubbish".to_owned(), Code::DAMAGED),
        (String::new(), Code::DAMAGED),
    ];
    for (changed, code) in changes {
        fs::write(&manifest, &changed).expect("written");
        assert_eq!(open(folder.path(), StoreKind::Fjall), Err(code), "{changed}");
    }
    fs::write(&manifest, text).expect("written");
    assert!(open(folder.path(), StoreKind::Fjall).is_ok());
}

#[test]
fn a_store_without_its_manifest_and_a_manifest_without_its_store_are_damage() {
    let folder = folder();
    let [store, manifest] = ["store", "manifest"].map(|name| folder.path().join(name));
    for (path, gone) in [(&store, STORE), (&manifest, MANIFEST)] {
        open(path, StoreKind::Sled).expect("made");
        let gone = path.join(gone);
        if gone.is_dir() { fs::remove_dir_all(gone) } else { fs::remove_file(gone) }.expect("removed");
        assert_eq!(open(path, StoreKind::Sled), Err(Code::DAMAGED));
    }
}
