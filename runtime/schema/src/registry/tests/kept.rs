//! What is kept on disk.

use super::*;

fn keeping(url: &str, folder: &Path) -> Client {
    Client::new(Settings { cache: Some(folder.to_owned()), ..settings(url) })
}

/// The folder of one registry.
fn folder_of(url: &str, folder: &Path) -> std::path::PathBuf {
    folder.join(encoded(url))
}

#[test]
fn what_is_on_disk_works_while_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start([the_schema(SCHEMA), say(200, r#"{"id": 12}"#)]);
    let url = server.url();
    let client = keeping(&url, folder.path());
    client.schema(7).unwrap();
    assert_eq!(client.id(), Ok(12));
    drop(server);
    // The same process, and the next one.
    assert_eq!(client.id(), Ok(12));
    let client = keeping(&url, folder.path());
    assert_eq!(client.id(), Ok(12));
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
    // Of another schema, and of another registry, nothing is known.
    let other = block_on(&client.clock, client.registry.id("sales", "\"int\"")).unwrap_err();
    assert_eq!(other.code, Code::REGISTRY_UNREACHABLE);
    let other = keeping(&format!("{url}/other"), folder.path());
    assert_eq!(other.id().unwrap_err().code, Code::REGISTRY_UNREACHABLE);
}

#[test]
fn what_the_registry_says_goes_before_what_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start([the_schema("\"int\""), say(200, r#"{"id": 12}"#)]);
    let url = server.url();
    let client = keeping(&url, folder.path());
    client.schema(7).unwrap();
    client.id().unwrap();
    // Everything was registered anew, under other ids.
    server.will(the_schema(SCHEMA));
    server.will(say(200, r#"{"id": 3}"#));
    let client = keeping(&url, folder.path());
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
    assert_eq!(client.id(), Ok(3));
    drop(server);
    let client = keeping(&url, folder.path());
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
    assert_eq!(client.id(), Ok(3));
}

#[test]
fn a_damaged_file_is_as_good_as_none_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start([the_schema(SCHEMA), say(200, r#"{"id": 12}"#)]);
    let url = server.url();
    let client = keeping(&url, folder.path());
    client.schema(7).unwrap();
    client.id().unwrap();
    let file = folder_of(&url, folder.path()).join("7.avsc");
    let own = folder_of(&url, folder.path()).join("sales-value/12.avsc");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), SCHEMA);
    for damaged in [&SCHEMA[..40], "", "\0\0\0"] {
        std::fs::write(&file, damaged).unwrap();
        std::fs::write(&own, damaged).unwrap();
        let (nobody, folder) = ("http://127.0.0.1:1", folder.path());
        std::fs::rename(folder_of(&url, folder), folder_of(nobody, folder)).unwrap();
        let alone = keeping(nobody, folder);
        assert!(alone.registry.schema(7).now_or_never().is_none(), "{damaged:?}");
        assert_eq!(alone.id().unwrap_err().code, Code::REGISTRY_UNREACHABLE, "{damaged:?}");
        std::fs::rename(folder_of(nobody, folder), folder_of(&url, folder)).unwrap();
    }
    server.will(the_schema(SCHEMA));
    server.will(say(200, r#"{"id": 12}"#));
    let client = keeping(&url, folder.path());
    client.schema(7).unwrap();
    client.id().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), SCHEMA);
    assert_eq!(std::fs::read_to_string(&own).unwrap(), SCHEMA);
}

#[test]
fn a_folder_that_cannot_be_written_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let server = Server::start([the_schema(SCHEMA), say(200, r#"{"id": 12}"#)]);
    let client = keeping(&server.url(), &file);
    assert_eq!(&*client.schema(7).unwrap(), SCHEMA);
    assert_eq!(client.id(), Ok(12));
}
