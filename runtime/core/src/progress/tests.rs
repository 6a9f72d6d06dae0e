use std::collections::BTreeSet;

use proptest::prelude::*;

use super::Progress;

#[test]
fn a_slow_record_does_not_hold_back_the_rest() {
    let mut progress = Progress::default();
    progress.take(0);
    progress.take_done(1);
    progress.take_done(5);
    assert_eq!((progress.next(), progress.resume_at(), progress.undone()), (6, 0, 1));
    assert!(progress.is_done(1) && !progress.is_done(0) && !progress.is_done(6));
    progress.done(0);
    assert_eq!(progress.resume_at(), 6);
}

#[test]
fn a_gap_of_the_log_costs_nothing() {
    let mut progress = Progress::starting_at(10);
    progress.take_done(1_000_000);
    let mut stored = Vec::new();
    progress.encode(&mut stored);
    assert!(stored.len() <= 4, "{}", stored.len());
}

#[test]
fn rubbish_is_not_progress() {
    assert_eq!(Progress::decode(&[]), None);
    assert_eq!(Progress::decode(&[5, 0]), None, "an offset twice");
    assert_eq!(Progress::decode(&[5, 6]), None, "an offset below zero");
}

proptest! {
    /// Against a model that keeps every taken and every done offset.
    #[test]
    fn agrees_with_two_sets(steps in prop::collection::vec((0_u64..4, any::<bool>()), 0..200)) {
        let mut progress = Progress::default();
        let (mut taken, mut done) = (BTreeSet::new(), BTreeSet::new());
        let mut next = 0;
        for (gap, finish) in steps {
            if finish {
                if let Some(offset) = taken.difference(&done).nth(usize::try_from(gap).unwrap_or(0)).copied() {
                    progress.done(offset);
                    done.insert(offset);
                }
            } else {
                next += gap;
                progress.take(next);
                taken.insert(next);
                next += 1;
            }
            let undone: Vec<u64> = taken.difference(&done).copied().collect();
            prop_assert_eq!(progress.undone(), undone.len());
            prop_assert_eq!(progress.resume_at(), undone.first().copied().unwrap_or(progress.next()));
            for offset in &taken {
                prop_assert_eq!(progress.is_done(*offset), done.contains(offset));
            }
        }
        let mut stored = Vec::new();
        progress.encode(&mut stored);
        prop_assert_eq!(Progress::decode(&stored), Some(progress));
    }
}
