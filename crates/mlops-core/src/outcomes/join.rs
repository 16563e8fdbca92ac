//! Finds the label of a prediction among the labels of its key.
//!
//! Labels are stored in [`super::store`].

/// The time of a label that has none: it belongs to all predictions of its key.
pub(super) const ALWAYS: i64 = i64::MAX;

/// A label of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// The time until which predictions have it, in milliseconds since 1970.
    pub(super) time: i64,
    /// When it was known.
    pub(super) known: i64,
    /// Its number in the order of reading.
    pub(super) seq: i64,
    /// The positive label.
    pub(super) positive: bool,
}

impl Label {
    /// What decides which of two labels wins.
    fn rank(&self) -> (i64, i64) {
        (self.time, self.seq)
    }
}

/// The label of a prediction that was made at `at`, among those of its key.
pub(super) fn of(labels: &[Label], at: i64) -> Option<&Label> {
    labels.iter().filter(|label| label.time >= at).max_by_key(|label| label.rank())
}

/// How many milliseconds after a prediction its label was known; `None` if it was known before, as is
/// that of rows that are predicted on trial.
pub(super) fn delay(label: &Label, at: i64) -> Option<i64> {
    let known = if label.time == ALWAYS { label.known } else { label.time };
    Some(known - at).filter(|delay| *delay >= 0)
}

/// Whether `labels` say already that predictions made until `time` have this label, or the newest of them does.
pub(super) fn is_known(labels: &[Label], time: i64, positive: bool) -> bool {
    let of_time = labels.iter().filter(|label| label.time == time).max_by_key(|label| label.seq);
    of_time.into_iter().chain(newest(labels)).any(|label| label.positive == positive)
}

/// The label that wins among all of a key.
pub(super) fn newest(labels: &[Label]) -> Option<&Label> {
    labels.iter().max_by_key(|label| label.rank())
}
