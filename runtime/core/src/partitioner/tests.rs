use super::murmur2;

/// The vectors of the Java client's own test (`UtilsTest.testMurmur2`).
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
