use super::{Headers, KNOWN, TYPE};

#[test]
fn a_block_gives_back_what_was_written() {
    let pairs: Vec<(&str, Option<&[u8]>)> =
        vec![(TYPE, Some(b"shop.order-placed")), ("x-own", Some(b"")), ("x-null", None), (KNOWN[9], Some(b"00-1"))];
    let headers = Headers::from_pairs(pairs.clone());
    assert_eq!(headers.iter().collect::<Vec<_>>(), pairs);
    assert_eq!(headers.text(TYPE), Some("shop.order-placed"));
    assert_eq!(headers.get("x-null"), None);
    assert!(headers.is_whole());
}

#[test]
fn a_cut_block_is_not_whole_and_does_not_panic() {
    let whole = Headers::from_pairs([("some-name", Some(&b"some value"[..])), (TYPE, Some(b"t"))]);
    for cut in 1..whole.as_bytes().len() {
        let headers = Headers::from_bytes(whole.as_bytes().slice(..cut));
        assert!(!headers.is_whole() || headers.iter().count() == 1, "cut at {cut}");
    }
}
