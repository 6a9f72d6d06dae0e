use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tidemill_core::outputs::Output;
use tidemill_core::time::Timestamp;

use super::{Builder, Chunk, Damaged};

type Parts = (Option<Vec<u8>>, Vec<u8>, Option<Vec<u8>>, i64);

fn parts() -> impl Strategy<Value = Vec<Parts>> {
    vec((of(vec(any::<u8>(), 0..40)), vec(any::<u8>(), 0..200), of(vec(any::<u8>(), 0..300)), any::<i64>()), 1..20)
}

fn chunk_of(records: &[Parts]) -> Chunk {
    let topic = "any".into();
    let mut builder = Builder::new();
    for (key, headers, value, timestamp) in records {
        builder.push(&Output {
            topic: &topic,
            partition: 0,
            timestamp: Timestamp::from_millis(*timestamp),
            key: key.as_deref(),
            headers,
            value: value.as_deref(),
        });
    }
    builder.finish(Timestamp::from_millis(7))
}

proptest! {
    #[test]
    fn what_was_written_is_read(records in parts()) {
        let chunk = Chunk::read(chunk_of(&records).as_bytes().clone()).expect("a chunk");
        prop_assert_eq!((chunk.count(), chunk.appended().as_millis()), (records.len() as u64, 7));
        let mut cursor = chunk.cursor(100);
        for (place, (key, headers, value, timestamp)) in records.iter().enumerate() {
            let read = cursor.next().expect("undamaged").expect("as many as were written");
            prop_assert_eq!(read.offset, 100 + place as u64);
            prop_assert_eq!(read.timestamp.as_millis(), *timestamp);
            prop_assert_eq!(read.key.as_deref(), key.as_deref());
            prop_assert_eq!(read.value.as_deref(), value.as_deref());
            prop_assert_eq!(&read.headers.as_bytes()[..], &headers[..]);
        }
        prop_assert_eq!(cursor.next(), Ok(None));
    }

    #[test]
    fn a_cut_chunk_is_damaged_and_nothing_panics(records in parts(), cut in any::<prop::sample::Index>()) {
        let whole = chunk_of(&records).as_bytes().clone();
        let cut = whole.slice(..cut.index(whole.len()));
        let Some(chunk) = Chunk::read(cut) else { return Ok(()) };
        let mut cursor = chunk.cursor(0);
        let damage = loop {
            match cursor.next() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(damage) => break Some(damage),
            }
        };
        prop_assert_eq!(damage, Some(Damaged));
    }
}
