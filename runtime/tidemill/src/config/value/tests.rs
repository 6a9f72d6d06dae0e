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
fn a_unit_is_what_its_name_says() {
    let units = [["B", "B", "B"], ["kB", "KB", "KiB"], ["MB", "MB", "MiB"], ["GB", "GB", "GiB"], ["TB", "TB", "TiB"]];
    for (power, names) in units.into_iter().enumerate() {
        let power = u32::try_from(power).expect("a few");
        let sizes = names.map(|name| size(&format!("1{name}")));
        assert_eq!(sizes, [1_000, 1_000, 1_024].map(|step: u64| Some(step.pow(power))), "{names:?}");
    }
    let times = ["1us", "1ms", "1s", "1m", "1h", "1d"].map(|text| duration(text).expect("a time").as_micros());
    assert_eq!(times, [1, 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000]);
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
    /// In numbers that cannot overflow: what does not fit into 64 bits of the smallest unit is no value.
    #[test]
    fn a_number_with_a_unit_is_that_many(
        number in (any::<u64>(), 0..u64::BITS).prop_map(|(number, bits)| number >> bits),
        time in proptest::sample::select(TIME_UNITS),
        bytes in proptest::sample::select(SIZE_UNITS),
        zeros in "0{0,3}",
        space in " {0,2}",
    ) {
        let times = |factor: u64| u64::try_from(u128::from(number) * u128::from(factor)).ok();
        let written = |unit: &str| format!("{zeros}{number}{space}{unit}");
        prop_assert_eq!(duration(&written(time.0)), times(time.1).map(Duration::from_micros));
        prop_assert_eq!(size(&written(bytes.0)), times(bytes.1));
    }

    /// A time or a size is the same in a smaller unit.
    #[test]
    fn a_value_in_whole_units_comes_back(
        number in 0_u64..1 << 20,
        time in 0..TIME_UNITS.len(),
        bytes in 0..SIZE_UNITS.len(),
    ) {
        for (unit, micros) in &TIME_UNITS[..=time] {
            let total = number * TIME_UNITS[time].1;
            prop_assert_eq!(duration(&format!("{}{unit}", total / micros)), Some(Duration::from_micros(total)));
        }
        let (unit, factor) = SIZE_UNITS[bytes];
        let total = size(&format!("{number}{unit}")).expect("it fits");
        prop_assert_eq!(total / factor, number);
        prop_assert_eq!(size(&format!("{total}B")), Some(total));
    }

    /// A number needs its unit, and a unit is one of the table: it has no other case and nothing around it.
    #[test]
    fn another_unit_is_none(number in 0_u64..1_000, unit in "[a-zA-Zµ.-]{0,4}") {
        let text = format!("{number}{unit}");
        prop_assert_eq!(duration(&text).is_some(), TIME_UNITS.iter().any(|(name, _)| *name == unit));
        prop_assert_eq!(size(&text).is_some(), SIZE_UNITS.iter().any(|(name, _)| *name == unit));
    }

    #[test]
    fn any_text_is_answered(text in prop_oneof!["[0-9a-zA-Z =,.-]{0,12}", any::<String>()]) {
        let kinds = [
            Kind::Text,
            Kind::Count { least: 1, most: 9 },
            Kind::Duration { least_millis: 1 },
            Kind::Size { least: 1 },
            Kind::Choice(&["a", "b"]),
            Kind::Sync,
            Kind::AgeOrNone,
            Kind::SizeOrNone,
            Kind::Levels,
        ];
        for kind in kinds {
            // Space around a value never counts.
            prop_assert_eq!(kind.read(&text), kind.read(&format!(" {text} ")));
        }
    }
}
