use super::*;

#[test]
fn ticks_are_read_behind_a_name_that_looks_like_fields() {
    let stat = "17 (a) 1 2 (b) R 1 17 17 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 2 0 1 2 3";
    assert_eq!(ticks(stat), Some(300));
    assert_eq!(ticks("17 (a) R 1 17"), None);
    assert_eq!(ticks(""), None);
}

#[test]
fn the_peak_is_the_high_water_mark() {
    assert_eq!(peak("Name:\tbench\nVmPeak:\t  9999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2_097_152));
    assert_eq!(peak("VmRSS:\t 1 kB\n"), None);
}
