use proptest::prelude::*;

use super::{murmur2, partition_for};

/// The vectors of the Java client's own test (`UtilsTest.testMurmur2`), and the hash of nothing.
#[test]
fn agrees_with_the_java_client() {
    let vectors: [(&[u8], i32); 7] = [
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"abc", 479_470_107),
        (b"", 275_646_681),
    ];
    for (key, expected) in vectors {
        assert_eq!(murmur2(key).cast_signed(), expected, "{}", String::from_utf8_lossy(key));
    }
}

/// What the C client's own test holds the Java client's hash to (`unittest_murmur2`): all four lengths of a rest.
#[test]
fn agrees_with_the_c_client() {
    let vectors: [(&[u8], u32); 10] = [
        (b"kafka", 0xd067_cf64),
        (b"giberish123456789", 0x8f55_2b0c),
        (b"1234", 0x9fc9_7b14),
        (b"234", 0xe7c0_09ca),
        (b"34", 0x8739_30da),
        (b"4", 0x5a4b_5ca1),
        (b"PreAmbleWillBeRemoved,ThePrePartThatIs", 0x7842_4f1c),
        (b"reAmbleWillBeRemoved,ThePrePartThatIs", 0x4a62_b377),
        (b"eAmbleWillBeRemoved,ThePrePartThatIs", 0xe0e4_e09e),
        (b"AmbleWillBeRemoved,ThePrePartThatIs", 0x62b8_b43f),
    ];
    for (key, expected) in vectors {
        assert_eq!(murmur2(key), expected, "{}", String::from_utf8_lossy(key));
    }
}

/// Partitions out of 1,000 that the Python client's test took from the Java client (`test_murmur2_java_compatibility`).
#[test]
fn partitions_are_those_of_the_java_client() {
    let vectors: [(&[u8], u32); 6] =
        [(b"", 681), (b"a", 524), (b"ab", 434), (b"abc", 107), (b"123456789", 566), (b"\0 ", 742)];
    for (key, expected) in vectors {
        assert_eq!(partition_for(key, 1_000), expected, "{}", String::from_utf8_lossy(key));
    }
}

/// The hash as it is defined, in numbers that cannot overflow and one byte after the other.
fn plain_murmur2(key: &[u8]) -> u64 {
    const M: u64 = 0x5bd1_e995;
    let times_m = |value: u64| (value * M) % (1 << 32);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number * 256 + u64::from(*byte));
    let mut hash = 0x9747_b28c ^ key.len() as u64;
    for word in key.chunks(4) {
        if word.len() == 4 {
            let k = times_m(number(word));
            hash = times_m(hash) ^ times_m(k ^ (k >> 24));
        } else {
            hash = times_m(hash ^ number(word));
        }
    }
    hash = times_m(hash ^ (hash >> 13));
    hash ^ (hash >> 15)
}

proptest! {
    #[test]
    fn agrees_with_the_definition(key in prop::collection::vec(any::<u8>(), 0..70), partitions in 1_u32..=10_000) {
        let hash = plain_murmur2(&key);
        prop_assert_eq!(u64::from(murmur2(&key)), hash);
        // The Java client makes a hash positive by taking its sign away, not its amount.
        prop_assert_eq!(u64::from(partition_for(&key, partitions)), hash % (1 << 31) % u64::from(partitions));
    }
}
