use super::*;

#[test]
fn keys_come_evenly_and_without_a_pattern() {
    const EACH: u64 = 20;
    let mut times = vec![0_u64; usize::try_from(KEYS).expect("a few")];
    for number in 0..KEYS * EACH {
        times[usize::try_from(key_of(number)).expect("a few")] += 1;
    }
    // Chance gives each key 20 with a deviation of 4.5; one in 100,000 may lie five deviations off.
    assert!(times.iter().all(|times| (1..=3 * EACH).contains(times)), "{:?}", (times.iter().min(), times.iter().max()));
    let repeated = (1..KEYS).filter(|number| key_of(*number) == key_of(number - 1)).count();
    assert!(repeated < 10, "neighbours have different keys: {repeated}");
}
