//! The answer of `/prediction`, written number by number into one buffer.

use mlops_core::metrics::classify;
use serde_json::Value;

use super::rows::Notes;
use crate::live::Loaded;

/// Probabilities of the positive class, one for each row, with what is to be said of the rows.
#[derive(Debug, Default)]
pub(crate) struct Predicted {
    pub(crate) probabilities: Vec<f64>,
    pub(crate) notes: Notes,
}

impl Predicted {
    /// `{"predictions": […], "probabilities": […], "model_version": "…", …}`.
    pub(crate) fn json(&self, loaded: &Loaded) -> Vec<u8> {
        let longest = loaded.labels[0].len().max(loaded.labels[1].len()) + 24;
        let mut out = Vec::with_capacity(self.probabilities.len() * longest + 256);
        out.extend_from_slice(b"{\"predictions\":[");
        push_labels(&mut out, loaded, &self.probabilities);
        out.extend_from_slice(b"],\"probabilities\":[");
        push_numbers(&mut out, &self.probabilities);
        out.extend_from_slice(b"],\"model_version\":\"");
        out.extend_from_slice(loaded.id.as_str().as_bytes());
        out.extend_from_slice(b"\",\"rows\":");
        push_count(&mut out, self.probabilities.len() as u64);
        out.extend_from_slice(b",\"imputed\":{");
        let imputed = self.notes.imputed.iter().enumerate().filter(|(_, n)| **n > 0);
        push_counts(&mut out, imputed.map(|(c, n)| (loaded.columns.name(c), *n)));
        out.extend_from_slice(b"},\"unknown_categories\":");
        push_count(&mut out, self.notes.unknown_categories);
        out.extend_from_slice(b",\"ignored\":{");
        push_counts(&mut out, self.notes.ignored.iter().map(|(name, n)| (name.as_str(), *n)));
        out.extend_from_slice(b"}}");
        out
    }
}

/// The predicted labels, between commas.
pub(crate) fn push_labels(out: &mut Vec<u8>, loaded: &Loaded, probabilities: &[f64]) {
    let threshold = loaded.model.training.threshold;
    for (i, probability) in probabilities.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let label = &loaded.labels[usize::from(!classify(*probability, threshold))];
        out.extend_from_slice(label.as_bytes());
    }
}

/// Probabilities, between commas, in the shortest spelling that reads back to the same bits.
pub(crate) fn push_numbers(out: &mut Vec<u8>, numbers: &[f64]) {
    let mut buffer = zmij::Buffer::new();
    for (i, number) in numbers.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(buffer.format(*number).as_bytes());
    }
}

fn push_count(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn push_counts<'a>(out: &mut Vec<u8>, counts: impl Iterator<Item = (&'a str, u64)>) {
    for (i, (name, n)) in counts.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(Value::from(name).to_string().as_bytes());
        out.push(b':');
        push_count(out, n);
    }
}
