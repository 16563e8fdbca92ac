//! Writes answers: small ones into one buffer, large ones piece by piece while they are sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use mlops_core::config::Reasons;
use mlops_core::evaluation::metrics::classify;
use mlops_core::model::Predictor;
use mlops_core::table::{Table, TextColumn};
use serde_json::Value;

use super::Wishes;
use super::explain::{Contributions, Field, Written};
use super::faults::Fault;
use super::rows::Notes;
use crate::budget::Share;
use crate::columns::Slot;
use crate::live::Loaded;

/// Larger answers are not built as a whole: while they are sent, their rows are held and accounted
/// for.
const WHOLE: usize = 256 << 10;
/// Bytes in a piece.
const PIECE: usize = 64 << 10;

/// Probabilities of the positive class, one per row, with notes on the rows.
#[derive(Debug, Default)]
pub(crate) struct Predicted {
    pub(crate) probabilities: Vec<f64>,
    /// The points of the scorecard, one per row; none without a scorecard.
    pub(crate) points: Vec<Option<i64>>,
    pub(crate) notes: Notes,
    /// The ids of the rows, if they are kept.
    pub(crate) ids: Vec<TextColumn>,
    /// The features of the rows, if they are kept.
    pub(crate) features: Option<Table>,
    /// What moved the predictions, if that was asked for.
    pub(crate) contributions: Option<Contributions>,
}

impl Predicted {
    /// Predicts the rows of `table`, which follow those predicted before. A row whose score is not
    /// finite is noted as a fault.
    pub(crate) fn append(
        &mut self,
        loaded: &Loaded,
        table: &Table,
        notes: &mut Notes,
        wishes: Wishes,
    ) {
        let predictor = Predictor::new(&loaded.model);
        let first = self.probabilities.len();
        let mut block = Vec::new();
        let target = if first == 0 { &mut self.probabilities } else { &mut block };
        let (_, unknown_categories) = predictor.probabilities(table, target);
        notes.unknown_categories += unknown_categories;
        if let Some(scorecard) = &loaded.scorecard {
            self.points.extend(scorecard.points(&loaded.model.encoder, table));
        }
        for (row, _) in target.iter().enumerate().filter(|(_, p)| p.is_nan()) {
            let numeric = |index: usize| {
                let this =
                    |slot: Slot| matches!(slot, Slot::Numeric { index: i, .. } if i == index);
                loaded.columns.iter().find(|(_, slot)| this(*slot)).map(|(name, _)| name.to_owned())
            };
            notes.faults.add(|| Fault {
                row: (first + row) as u64,
                line: None,
                column: predictor.beyond_numbers(table, row).and_then(numeric),
                reason: "the score of the row is not a number: its values are too large for this \
                         model"
                    .to_owned(),
            });
        }
        if self.probabilities.capacity() - first < block.len() {
            // A vector would double its capacity, which is too much for short rows.
            self.probabilities.reserve_exact(block.len() + first / 8);
        }
        self.probabilities.extend_from_slice(&block);
        if wishes.explain > 0 {
            let contributions = self.contributions.get_or_insert_default();
            for row in contributions.append(&loaded.model, table, wishes.explain) {
                if !self.probabilities[first + row].is_nan() {
                    notes.faults.add(|| Fault {
                        row: (first + row) as u64,
                        line: None,
                        column: None,
                        reason: "a contribution to the score is not a finite number: a value of the row is \
                                 too large to be explained"
                            .to_owned(),
                    });
                }
            }
        }
        if wishes.ids {
            self.ids.resize_with(table.ids.len(), TextColumn::default);
            for (all, column) in self.ids.iter_mut().zip(&table.ids) {
                column.iter().for_each(|text| all.push(text));
            }
        }
        if wishes.features {
            let new = || Table::new(&loaded.model.schema);
            self.features.get_or_insert_with(new).append_features(table);
        }
    }

    /// `{"predictions": […], "probabilities": […], "model_version": "…", …}`.
    pub(crate) fn json(self, loaded: &Arc<Loaded>, reasons: &Reasons, share: Share) -> Body {
        let Self { probabilities, points, notes, contributions, .. } = self;
        let mut out = b"],\"model_version\":\"".to_vec();
        out.extend_from_slice(loaded.id.as_str().as_bytes());
        out.extend_from_slice(b"\",\"rows\":");
        push_count(&mut out, probabilities.len() as u64);
        out.extend_from_slice(b",\"imputed\":{");
        let imputed = notes.imputed.iter().enumerate().filter(|(_, n)| **n > 0);
        push_counts(&mut out, imputed.map(|(c, n)| (loaded.columns.name(c), *n)));
        out.extend_from_slice(b"},\"unknown_categories\":");
        push_count(&mut out, notes.unknown_categories);
        out.extend_from_slice(b",\"ignored\":{");
        push_counts(&mut out, notes.ignored.iter().map(|(name, n)| (name.as_str(), *n)));
        out.push(b'}');
        let mut parts = vec![
            Part::Text(b"{\"predictions\":[".to_vec()),
            Part::Labels,
            Part::Text(b"],\"probabilities\":[".to_vec()),
            Part::Numbers,
        ];
        if loaded.scorecard.is_some() {
            parts.extend([Part::Text(b"],\"points\":[".to_vec()), Part::Points(points)]);
        }
        parts.push(Part::Text(out));
        if contributions.is_some() {
            parts.extend(explanations(loaded));
        }
        parts.push(Part::Text(b"}".to_vec()));
        let written = contributions.map(|contributions| contributions.with(reasons));
        Script::new(loaded, probabilities, parts, share).explained(written).body()
    }
}

/// The member `explanations` of an answer, with the comma before it.
pub(crate) fn explanations(loaded: &Loaded) -> [Part; 3] {
    let reference = serde_json::json!(loaded.explained.reference());
    let head = format!(",\"explanations\":{{\"reference\":{reference},\"rows\":[");
    [Part::Text(head.into_bytes()), Part::Explanations(Field::Whole), Part::Text(b"]}".to_vec())]
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) enum Part {
    /// Literal text.
    Text(Vec<u8>),
    /// The predicted labels, separated by commas.
    Labels,
    /// The probabilities, separated by commas, in the shortest spelling that reads back exactly.
    Numbers,
    /// The points of a scorecard, separated by commas.
    Points(Vec<Option<i64>>),
    /// A value of each row's explanation, separated by commas.
    Explanations(Field),
}

/// An answer being written.
pub(crate) struct Script {
    loaded: Arc<Loaded>,
    probabilities: Vec<f64>,
    explanations: Option<Written>,
    parts: VecDeque<Part>,
    /// The next row of the current part.
    row: usize,
    _share: Share,
}

impl Script {
    pub(crate) fn new(
        loaded: &Arc<Loaded>,
        probabilities: Vec<f64>,
        parts: impl Into<VecDeque<Part>>,
        share: Share,
    ) -> Self {
        let (loaded, parts) = (Arc::clone(loaded), parts.into());
        Self { loaded, probabilities, explanations: None, parts, row: 0, _share: share }
    }

    /// The same with explanations, which its parts may then have.
    pub(crate) fn explained(mut self, explanations: Option<Written>) -> Self {
        self.explanations = explanations;
        self
    }

    /// The body of the answer.
    pub(crate) fn body(mut self) -> Body {
        let labels = &self.loaded.labels;
        let longest = labels[0].len().max(labels[1].len()) + 24;
        let size = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.len(),
            Part::Explanations(field) => {
                self.explanations.as_ref().map_or(0, |all| all.size(*field, &self.loaded))
            }
            _ => self.probabilities.len() * longest,
        });
        let size: usize = size.sum();
        if size > WHOLE {
            return Body::new(self);
        }
        let mut out = Vec::with_capacity(size);
        while self.write(&mut out, usize::MAX) {}
        out.into()
    }

    /// Writes until `out` has `enough` bytes; returns whether there was anything left.
    fn write(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        let Some(part) = self.parts.front_mut() else { return false };
        let threshold = self.loaded.model.training.threshold;
        match part {
            Part::Text(text) => out.append(text),
            Part::Labels => {
                while let Some(probability) = self.probabilities.get(self.row) {
                    if out.len() >= enough {
                        return true;
                    }
                    comma(out, self.row);
                    let label =
                        &self.loaded.labels[usize::from(!classify(*probability, threshold))];
                    out.extend_from_slice(label.as_bytes());
                    self.row += 1;
                }
            }
            Part::Points(points) => {
                let mut buffer = itoa::Buffer::new();
                while let Some(points) = points.get(self.row) {
                    if out.len() >= enough {
                        return true;
                    }
                    comma(out, self.row);
                    let number = points.map(|points| buffer.format(points));
                    out.extend_from_slice(number.unwrap_or("null").as_bytes());
                    self.row += 1;
                }
            }
            Part::Numbers => {
                let mut buffer = zmij::Buffer::new();
                while let Some(probability) = self.probabilities.get(self.row) {
                    if out.len() >= enough {
                        return true;
                    }
                    comma(out, self.row);
                    out.extend_from_slice(buffer.format(*probability).as_bytes());
                    self.row += 1;
                }
            }
            Part::Explanations(field) => {
                while let Some(all) = &self.explanations
                    && self.row < self.probabilities.len()
                {
                    if out.len() >= enough {
                        return true;
                    }
                    comma(out, self.row);
                    all.write(*field, self.row, &self.loaded, out);
                    self.row += 1;
                }
            }
        }
        self.row = 0;
        self.parts.pop_front();
        if self.parts.is_empty() {
            self.probabilities = Vec::new();
            self.explanations = None;
        }
        true
    }
}

impl HttpBody for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let script = self.get_mut();
        let mut out = Vec::with_capacity(PIECE + 1024);
        while out.len() < PIECE && script.write(&mut out, PIECE) {}
        Poll::Ready((!out.is_empty()).then(|| Ok(Frame::data(out.into()))))
    }
}

fn comma(out: &mut Vec<u8>, row: usize) {
    if row > 0 {
        out.push(b',');
    }
}

fn push_count(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn push_counts<'a>(out: &mut Vec<u8>, counts: impl Iterator<Item = (&'a str, u64)>) {
    for (i, (name, n)) in counts.enumerate() {
        comma(out, i);
        out.extend_from_slice(Value::from(name).to_string().as_bytes());
        out.push(b':');
        push_count(out, n);
    }
}
