//! How many of the newest records became dead letters.

/// Counts of the newest records. What is older weighs less and less: from twice the window on, both counts are halved.
#[derive(Debug, Default)]
pub(crate) struct LetterRate {
    records: u64,
    letters: u64,
}

impl LetterRate {
    /// A record is done with; `is_letter` when it is a dead letter now.
    pub(crate) fn note(&mut self, is_letter: bool) {
        self.records += 1;
        self.letters += u64::from(is_letter);
    }

    /// Whether more than so many of a hundred records are dead letters, where there were as many as the window asks for.
    pub(crate) fn is_exceeded(&mut self, percent: u32, window: u64) -> bool {
        if self.records >= window.max(1) * 2 {
            self.records /= 2;
            self.letters /= 2;
        }
        self.records >= window && self.letters * 100 > self.records * u64::from(percent)
    }
}
