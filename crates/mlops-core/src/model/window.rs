//! The window of the data set that a model was trained on, as its file records it.
//!
//! Not for choosing one: see `evaluation::window`.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::config::Window;

/// The rows that a model was trained on, where these are not all with the same weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct TrainedWindow {
    /// What was taken; never `All` or `Auto`.
    pub window: Window,
    /// The places of the rows in the data set, as ranges without their ends; no ranges for all rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<(u64, u64)>,
    /// The number of rows of the data set that are not in it.
    pub left_out: u64,
    /// As many rows of weight 1 tell as much: the square of the sum of the weights divided by the sum of
    /// their squares.
    pub effective_rows: f64,
}

impl TrainedWindow {
    /// Whether it is one that a training produces.
    pub(super) fn is_sound(&self) -> bool {
        let ordered = self.places.iter().all(|(first, end)| first < end)
            && self.places.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        let known = !matches!(self.window, Window::All | Window::Auto);
        ordered && known && self.effective_rows.is_finite() && self.effective_rows >= 0.0
    }
}
