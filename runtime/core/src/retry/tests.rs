use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;

use super::Retry;
use crate::ports::Random;

/// Counts up in large steps.
struct Steps(Cell<u64>);

impl Random for Steps {
    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        self.0.get()
    }
}

#[test]
fn the_bound_doubles_up_to_the_longest_delay() {
    let retry =
        Retry { attempts: 9, first_delay: Duration::from_millis(50), longest_delay: Duration::from_millis(300) };
    let bounds: Vec<u128> = (1..=5).map(|attempt| retry.bound(attempt).as_millis()).collect();
    assert_eq!(bounds, [50, 100, 200, 300, 300]);
}

#[test]
fn a_delay_lies_anywhere_below_its_bound() {
    let retry = Retry::default();
    let random = Steps(Cell::new(1));
    let delays: Vec<Duration> = (0..200).map(|_| retry.delay(2, &random)).collect();
    assert!(delays.iter().all(|delay| *delay <= Duration::from_millis(100)));
    assert!(delays.iter().any(|delay| *delay < Duration::from_millis(20)));
    assert!(delays.iter().any(|delay| *delay > Duration::from_millis(80)));
}

/// Says one number for ever.
struct Fixed(u64);

impl Random for Fixed {
    fn next(&self) -> u64 {
        self.0
    }
}

proptest! {
    /// Doubling, in numbers that cannot overflow. The crate behind it may be a nanosecond above.
    #[test]
    fn a_delay_is_drawn_below_its_bound(
        first in 0_u64..1 << 33,
        longest in 0_u64..1 << 33,
        attempt in 1_u32..60,
        draw: u64,
    ) {
        let (first, longest) = (Duration::from_micros(first), Duration::from_micros(longest));
        let retry = Retry { attempts: attempt, first_delay: first, longest_delay: longest };
        let bound = (first.as_nanos() << (attempt - 1)).min(longest.as_nanos());
        prop_assert!((bound..=bound + 1).contains(&retry.bound(attempt).as_nanos()));
        let within = u128::from(draw) % (bound + 1);
        let drawn = |draw: u128| retry.delay(attempt, &Fixed(u64::try_from(draw).expect("hours"))).as_nanos();
        prop_assert_eq!(drawn(within), within);
        prop_assert!(drawn(draw.into()) <= bound + 1);
    }
}
