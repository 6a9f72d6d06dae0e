use super::*;

#[test]
fn percentiles_are_those_of_the_sorted_figures() {
    let millis = |count: u64| (1..=count).rev().map(Duration::from_millis).collect::<Vec<_>>();
    let Percentiles { p50, p99 } = Percentiles::of(millis(1_000));
    assert_eq!((p50, p99), (Duration::from_millis(501), Duration::from_millis(991)));
    let Percentiles { p50, p99 } = Percentiles::of(millis(1));
    assert_eq!((p50, p99), (Duration::from_millis(1), Duration::from_millis(1)));
}
