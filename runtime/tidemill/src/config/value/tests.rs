use std::time::Duration;

use proptest::prelude::*;

use super::{Kind, SIZE_UNITS, TIME_UNITS, Value, duration, size};

#[test]
fn times_carry_a_unit() {
    assert_eq!(duration("50ms"), Some(Duration::from_millis(50)));
    assert_eq!(duration("2s"), Some(Duration::from_secs(2)));
    assert_eq!(duration("1 m"), Some(Duration::from_mins(1)));
    assert_eq!(duration("24h"), duration("1d"));
    assert_eq!(duration("250us"), Some(Duration::from_micros(250)));
    for wrong in ["", "50", "ms", "-1s", "1.5s", "1sec", "1s2", "99999999999999999999s", "18446744073709551615h"] {
        assert_eq!(duration(wrong), None, "{wrong}");
    }
}

#[test]
fn sizes_carry_a_unit() {
    assert_eq!(size("64KiB"), Some(65_536));
    assert_eq!(size("8MiB"), Some(8 << 20));
    assert_eq!(size("1GiB"), Some(1 << 30));
    assert_eq!(size("4MB"), Some(4_000_000));
    assert_eq!(size("17B"), Some(17));
    for wrong in ["", "64", "KiB", "8mib", "8Mb", "1.5GiB", "99999999999TiB"] {
        assert_eq!(size(wrong), None, "{wrong}");
    }
}

#[test]
fn bounds_are_part_of_the_kind() {
    assert_eq!(Kind::Count { least: 1, most: 3 }.read("0"), None);
    assert_eq!(Kind::Count { least: 1, most: 3 }.read("3"), Some(Value::Count(3)));
    assert_eq!(Kind::Count { least: 1, most: 3 }.read("4"), None);
    assert_eq!(Kind::Duration { least_millis: 100 }.read("99ms"), None);
    assert_eq!(Kind::Size { least: 1 }.read("0B"), None);
    assert_eq!(Kind::Text.read(" "), None);
    assert_eq!(Kind::Sync.read("0ms"), None);
    assert_eq!(Kind::Sync.read("never"), Some(Value::Text));
    assert_eq!(Kind::Sync.read("1s"), Some(Value::Duration(Duration::from_secs(1))));
    assert_eq!(Kind::SizeOrNone.read("none"), Some(Value::Text));
    assert_eq!(Kind::AgeOrNone.read("0s"), None);
}

#[test]
fn levels_are_levels() {
    for right in ["info", "off", "info,tidemill=debug", "tidemill_core=trace , warn"] {
        assert_eq!(Kind::Levels.read(right), Some(Value::Text), "{right}");
    }
    // Each of these would be taken for a target and silence everything else.
    for wrong in ["", "inf", "tidemill", "tidemill=loud", "=debug", "info,"] {
        assert_eq!(Kind::Levels.read(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn a_number_with_a_unit_is_that_many(number in 0_u64..1_000_000, time in 0..TIME_UNITS.len(), bytes in 0..SIZE_UNITS.len()) {
        let (unit, micros) = TIME_UNITS[time];
        prop_assert_eq!(duration(&format!("{number}{unit}")), Some(Duration::from_micros(number * micros)));
        let (unit, factor) = SIZE_UNITS[bytes];
        prop_assert_eq!(size(&format!("{number}{unit}")), Some(number * factor));
    }

    #[test]
    fn any_text_is_answered(text: String) {
        duration(&text);
        size(&text);
        Kind::Levels.read(&text);
    }
}
