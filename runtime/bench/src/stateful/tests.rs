use tidemill::codec::Codec;

use super::*;

#[test]
fn a_line_has_77_bytes() {
    let codec = <LineSold as Event>::Codec::open().expect("the schema of the type");
    for number in [0, 1, 4_999, 1_999_999] {
        let mut value = Vec::new();
        codec.encode(&line(number), &mut value).expect("it can be written");
        assert_eq!(value.len(), 77, "{:?}", line(number));
    }
}
