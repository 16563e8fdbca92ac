//! From the reference to a prediction: what each column adds to the log-odds, as bars that go on where
//! the one before ended.
//!
//! Not for computing contributions: see `mlops_core::model::Explainer`.

use mlops_core::Result;
use plotters::prelude::DrawingBackend;

use crate::canvas::{Align, Canvas, Text};
use crate::picture::{self, Chart};
use crate::{format, theme};

const ROW: f64 = 26.0;
const TOP: f64 = 92.0;

/// What a column adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The column, with its value: `age = 42`.
    pub label: String,
    /// What it adds to the log-odds.
    pub value: f64,
}

/// The data of the chart.
#[derive(Debug, Clone, Copy)]
pub struct Waterfall<'a> {
    /// Log-odds of the row that others are compared with.
    pub reference: f64,
    /// The largest contributions, the largest first.
    pub steps: &'a [Step],
    /// The sum of all other contributions; 0 if there are none.
    pub others: f64,
    /// The number of the other columns.
    pub other_columns: usize,
    /// Log-odds of the row.
    pub log_odds: f64,
    /// The name of the positive class.
    pub positive: &'a str,
}

/// The probability of these log-odds.
pub(crate) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Room for a number beside a bar, on the side that has some.
const ROOM: f64 = 52.0;

impl Waterfall<'_> {
    /// Whether all numbers are there.
    fn is_whole(&self) -> bool {
        let numbers = [self.reference, self.others, self.log_odds];
        let steps = self.steps.iter().map(|step| step.value);
        !self.steps.is_empty() && numbers.into_iter().chain(steps).all(f64::is_finite)
    }

    fn rows(&self) -> usize {
        self.steps.len() + usize::from(self.other_columns > 0) + 2
    }
}

impl Chart for Waterfall<'_> {
    fn alt(&self) -> String {
        if !self.is_whole() {
            return "Reasons: not enough data".to_owned();
        }
        let most: Vec<_> = self
            .steps
            .iter()
            .take(3)
            .map(|step| format!("{} {}", step.label, signed(step.value)))
            .collect();
        format!(
            "From {} for the reference to {} for this row; most of all {}",
            format::percent(probability(self.reference)),
            format::percent(probability(self.log_odds)),
            most.join(", ")
        )
    }

    fn height(&self) -> f64 {
        if self.is_whole() { TOP + self.rows() as f64 * ROW + 14.0 } else { 200.0 }
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let title = "What moved this prediction";
        if !self.is_whole() {
            return picture::not_enough(canvas, title, "there are no contributions");
        }
        picture::heading(canvas, title, "Log-odds: to the right, more likely; to the left, less")?;
        let label = Text::new(theme::LABEL_SIZE, theme::TEXT);
        let tick = Text::new(theme::TICK_SIZE, theme::MUTED);
        let mut x = theme::MARGIN;
        let more = format!("“{}” more likely", self.positive);
        for (ink, text) in [(theme::ORANGE, more.as_str()), (theme::BLUE, "less likely")] {
            canvas.rect(x, 61.0, 9.0, 9.0, ink)?;
            let room = (canvas.width - 2.0 * theme::MARGIN - 120.0).max(60.0);
            canvas.text_within(x + 14.0, 66.0, room, text, tick)?;
            x += 14.0 + crate::font::width(text, tick.size, false)?.min(room) * 1.12 + 18.0;
        }
        let names = (canvas.width * 0.36).clamp((canvas.width * 0.42).min(170.0), 260.0);
        let (left, right) = (names + 10.0, canvas.width - theme::MARGIN);
        let mut ends = vec![self.reference];
        let others = (self.other_columns > 0).then_some(self.others);
        for value in self.steps.iter().map(|step| step.value).chain(others) {
            ends.push(ends.last().copied().unwrap_or(0.0) + value);
        }
        ends.push(self.log_odds);
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = (high - low).max(1e-9);
        let place = |value: f64| left + ROOM + (value - low) / span * (right - left - 2.0 * ROOM);
        let bottom = TOP + self.rows() as f64 * ROW;
        let from = place(self.reference);
        canvas.dashed((from, TOP), (from, bottom - ROW * 0.5), 1.0, theme::AXIS)?;
        let anchor = |canvas: &mut Canvas<B>, row: usize, name: &str, value: f64| -> Result<()> {
            let y = TOP + (row as f64 + 0.5) * ROW;
            let bold = label.bold().align(Align::Right);
            canvas.text_within(names, y, names - theme::MARGIN, name, bold)?;
            let at = place(value);
            canvas.line((at, y - 9.0), (at, y + 9.0), 3.0, theme::TEXT)?;
            let text = format::percent(probability(value));
            let look = Text::new(theme::TICK_SIZE, theme::TEXT).bold();
            canvas.text(at + 7.0, y, &text, look)
        };
        anchor(canvas, 0, "reference row", self.reference)?;
        let rest = format!("{} other columns", format::count(self.other_columns as u64));
        let steps = self.steps.iter().map(|step| (step.label.as_str(), step.value));
        let rest = others.map(|value| (rest.as_str(), value));
        for (row, (name, value)) in steps.chain(rest).enumerate() {
            let y = TOP + (row as f64 + 1.5) * ROW;
            canvas.text_within(names, y, names - theme::MARGIN, name, label.align(Align::Right))?;
            let (a, b) = (place(ends[row]), place(ends[row + 1]));
            let (start, end) = (a.min(b), a.max(b));
            let ink = if value < 0.0 { theme::BLUE } else { theme::ORANGE };
            canvas.rect(start, y - 7.0, (end - start).max(1.0), 14.0, ink)?;
            canvas.line((b, y + 7.0), (b, y + ROW - 7.0), 0.8, theme::AXIS)?;
            if value < 0.0 {
                canvas.text(start - 5.0, y, &signed(value), tick.align(Align::Right))?;
            } else {
                canvas.text(end + 5.0, y, &signed(value), tick)?;
            }
        }
        anchor(canvas, self.rows() - 1, "this row", self.log_odds)
    }
}

/// A number with its sign and three decimals: `+0.420`, `−1.300`.
pub(crate) fn signed(value: f64) -> String {
    if value.abs() >= 1000.0 || !value.is_finite() {
        let text = format::number(value);
        return if value > 0.0 { format!("+{text}") } else { text };
    }
    let sign = if value < 0.0 { "−" } else { "+" };
    format!("{sign}{:.3}", value.abs())
}
