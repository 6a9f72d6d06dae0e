use super::Receipt;

#[test]
fn a_receipt_comes_back() {
    for count in [0, 1, 300] {
        let rows = (0..count).map(|id| (id, [u8::try_from(id % 256).unwrap(); 16])).collect();
        let receipt = Receipt { outbox: "7.1".to_owned(), publish: 9, rows };
        assert_eq!(Receipt::read(&receipt.to_bytes()), Some(receipt));
    }
}

#[test]
fn what_is_no_receipt_is_none() {
    let whole = Receipt { outbox: "7.1".to_owned(), publish: 9, rows: vec![(1, [2; 16])] }.to_bytes();
    for cut in 0..whole.len() {
        let read = Receipt::read(&whole[..cut]);
        assert!(read.is_none() || cut == whole.len() - 24, "{cut}: {read:?}");
    }
    assert_eq!(Receipt::read(&[2, 0]), None);
}
