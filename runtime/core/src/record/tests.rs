use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    /// A topic may hold what separates the parts, so they are found from the end.
    #[test]
    fn a_position_prints_what_it_is(topic in "[a-z.@-]{1,12}", partition: u32, offset: u64) {
        let position = TopicPartition::new(topic.as_str(), partition).at(offset);
        let text = position.to_string();
        let (source, at) = text.rsplit_once('@').expect("an offset");
        let (name, number) = source.rsplit_once('-').expect("a partition");
        prop_assert_eq!(name, topic);
        prop_assert_eq!((number.parse(), at.parse()), (Ok(partition), Ok(offset)));
    }

    #[test]
    fn a_record_is_as_large_as_its_parts(
        key in proptest::option::of(vec(any::<u8>(), 0..9)),
        value in proptest::option::of(vec(any::<u8>(), 0..9)),
        headers in vec(any::<u8>(), 0..9),
    ) {
        let size = [&key, &value].into_iter().flatten().chain([&headers]).map(Vec::len).sum::<usize>();
        let (key, value) = (key.map(Bytes::from), value.map(Bytes::from));
        let headers = Headers::from_bytes(headers.into());
        let record = Record { offset: 0, timestamp: Timestamp::default(), key, value, headers };
        prop_assert_eq!(record.size(), size);
    }
}
