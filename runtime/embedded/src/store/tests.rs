use super::*;
use bytes::Bytes;
use tidemill_core::ports::Durability;

#[test]
fn names_are_read_as_they_are_written() {
    for kind in StoreKind::ALL {
        assert_eq!(kind.to_string().parse::<StoreKind>().unwrap(), kind);
    }
    let error = "rocks".parse::<StoreKind>().unwrap_err();
    assert_eq!(error.code, Code::BAD_VALUE);
    assert!(error.message.contains("rocks") && error.message.contains("sled, fjall"), "{error}");
}

#[test]
fn what_is_too_long_is_refused_and_the_store_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let stores = [
        memory(),
        open(StoreKind::Sled, &directory.path().join("sled"), 1024 * KIB).unwrap(),
        open(StoreKind::Fjall, &directory.path().join("fjall"), 1024 * KIB).unwrap(),
    ];
    let put = |key: Vec<u8>| Change { key: key.into(), value: Some(Bytes::from_static(b"x")) };
    for store in stores {
        let error = store.apply(vec![put(vec![b'a']), put(vec![b'k'; KEY_LIMIT + 1])], Durability::Synced).unwrap_err();
        assert_eq!(error.code, Code::WRITE_FAILED);
        assert!(error.message.contains("4097 bytes") && !error.message.contains("kkkk"), "{error}");
        assert_eq!(store.get(b"a").unwrap(), None, "nothing of the batch is there");
        store.apply(vec![put(vec![b'k'; KEY_LIMIT])], Durability::Synced).unwrap();
        assert!(store.get(&[b'k'; KEY_LIMIT]).unwrap().is_some());
    }
}

#[test]
fn a_folder_that_does_not_exist_is_made() {
    for kind in StoreKind::ALL {
        let directory = tempfile::tempdir().unwrap();
        open(kind, &directory.path().join("a/b"), 1024 * KIB).unwrap();
        assert!(directory.path().join("a/b/synced").is_file());
    }
}
