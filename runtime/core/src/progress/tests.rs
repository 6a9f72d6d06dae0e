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
    assert_eq!(Progress::decode(&[0x85, 0]), None, "a number that is longer than it need be");
    let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(Progress::decode(&beyond), None, "a number of more than 64 bits");
}

/// What a progress tells of, at its plainest: whether each offset from `base` up to `next` is not done.
#[derive(Debug)]
struct Plain {
    base: u64,
    undone: Vec<bool>,
}

impl Plain {
    fn next(&self) -> u64 {
        self.base + self.undone.len() as u64
    }

    /// Counts offsets up to `offset` in, which is left out; those that were not there become `undone`.
    fn reach(&mut self, offset: u64, undone: bool) {
        let length = usize::try_from(offset - self.base).expect("tests stay near");
        self.undone.resize(self.undone.len().max(length), undone);
    }

    fn flag(&mut self, offset: u64) -> Option<&mut bool> {
        self.undone.get_mut(usize::try_from(offset.checked_sub(self.base)?).ok()?)
    }

    fn finish(&mut self, offset: u64) {
        if let Some(undone) = self.flag(offset) {
            *undone = false;
        }
    }

    fn offsets(&self) -> impl Iterator<Item = u64> {
        (self.base..).zip(&self.undone).filter_map(|(offset, undone)| undone.then_some(offset))
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Take,
    Done,
    TakeDone,
    DoneAhead,
    Skip(u64),
    Restart,
}

/// An act and the offset it is about, told from `next` on or from the base on.
fn acts() -> impl Strategy<Value = Vec<(Act, bool, u64)>> {
    let act = prop_oneof![
        4 => Just(Act::Take),
        4 => Just(Act::Done),
        3 => Just(Act::TakeDone),
        1 => Just(Act::DoneAhead),
        1 => (0_u64..8).prop_map(Act::Skip),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec((act, any::<bool>(), 0_u64..64), 0..60)
}

fn encoded(progress: &Progress) -> Vec<u8> {
    let mut stored = Vec::new();
    progress.encode(&mut stored);
    stored
}

fn act(progress: &mut Progress, plain: &mut Plain, act: Act, offset: u64) {
    let is_new = offset >= plain.next();
    match act {
        Act::Take => {
            progress.take(offset);
            if is_new {
                plain.reach(offset, false);
                plain.reach(offset + 1, true);
            }
        }
        Act::Done => {
            progress.done(offset);
            plain.finish(offset);
        }
        Act::TakeDone => {
            progress.take_done(offset);
            plain.reach((offset + 1).max(plain.base), false);
            plain.finish(offset);
        }
        Act::DoneAhead => {
            progress.done_ahead(offset);
            plain.reach((offset + 1).max(plain.base), true);
            plain.finish(offset);
        }
        Act::Skip(length) => {
            let gone: Vec<u64> = plain.offsets().filter(|held| (offset..offset + length).contains(held)).collect();
            assert_eq!(progress.skip(offset, offset + length), !gone.is_empty());
            for offset in gone {
                plain.finish(offset);
            }
        }
        Act::Restart => *progress = Progress::decode(&encoded(progress)).expect("it was encoded"),
    }
}

proptest! {
    /// Whatever is done with it, and wherever it is stored and read again: it knows of each offset whether it is done, and a
    /// new owner begins at the oldest that is not.
    #[test]
    fn agrees_with_a_flag_for_each_offset(
        base in prop_oneof![Just(0), 0_u64..1 << 40, Just(u64::MAX - 100_000)],
        acts in acts(),
    ) {
        let mut progress = Progress::starting_at(base);
        let mut plain = Plain { base, undone: Vec::new() };
        for (kind, ahead, distance) in acts {
            // Also offsets before the base, which are done and stay so.
            let offset = if ahead { plain.next() + distance % 4 } else { (base + distance).saturating_sub(4) };
            act(&mut progress, &mut plain, kind, offset);
            prop_assert_eq!(progress.next(), plain.next());
            prop_assert_eq!(progress.undone(), plain.offsets().count());
            prop_assert_eq!(progress.resume_at(), plain.offsets().next().unwrap_or(plain.next()));
            for offset in base.saturating_sub(2)..plain.next() + 2 {
                let done = offset < plain.next() && plain.flag(offset).is_none_or(|undone| !*undone);
                prop_assert_eq!(progress.is_done(offset), done, "offset {}", offset);
            }
        }
        prop_assert_eq!(Progress::decode(&encoded(&progress)), Some(progress));
    }

    /// One progress has one stored form: what can be read is what it would be written as.
    #[test]
    fn bytes_are_a_stored_form_or_none(
        stored in prop::collection::vec(prop_oneof![0_u8..4, 0x7e_u8..0x83, any::<u8>()], 0..24),
    ) {
        if let Some(progress) = Progress::decode(&stored) {
            prop_assert!(progress.undone() < stored.len());
            prop_assert!(progress.resume_at() <= progress.next());
            prop_assert_eq!(encoded(&progress), stored);
        }
    }
}
