//! The distribution of scores of the two classes, with the threshold.
//!
//! Each class has its own panel and is shown as shares of itself, so that a rare class remains
//! visible beside a common one. Not for binning: the counts are given.

use mlops_core::Result;
use mlops_core::evaluation::metrics::ScoreHistogram;
use plotters::prelude::DrawingBackend;

use crate::axes::Frame;
use crate::canvas::{Canvas, Text};
use crate::picture::{self, Chart};
use crate::plot::Plot;
use crate::theme::{self, Ink};
use crate::{font, format};

/// The data of the score distribution.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<'a> {
    /// Counts by class and bin.
    pub scores: &'a ScoreHistogram,
    /// The threshold: a row with a higher probability is predicted positive.
    pub threshold: f64,
    /// The name of the negative class.
    pub negative: &'a str,
    /// The name of the positive class.
    pub positive: &'a str,
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
}

impl Histogram<'_> {
    fn title(&self) -> String {
        let n = total(&self.scores.negative).saturating_add(total(&self.scores.positive));
        format!("Scores by class (n = {})", format::count(n))
    }
}

/// Draws the bars of one class.
fn panel<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    frame: &Frame,
    (name, counts, ink): (&str, &[u64], Ink),
    highest: f64,
    labelled: bool,
) -> Result<()> {
    let all = total(counts);
    let slot = 1.0 / counts.len().max(1) as f64;
    let gap = (slot * 0.12).min(1.5 / frame.width);
    let bars = counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(k, n)| {
        let left = k as f64 * slot + gap / 2.0;
        let share = *n as f64 / all.max(1) as f64;
        (left, left + slot - gap, share.max(highest / frame.height))
    });
    let mut plot = Plot::new(canvas, frame, &[0.0, highest / 2.0, highest])?;
    let percent = |share: f64| {
        if share > 0.0 { format::percent(share) } else { "0".to_owned() }
    };
    plot.mesh(labelled, percent)?;
    plot.bars(bars, ink)?;
    plot.floor()?;
    let text = format!("{}: {}", name, format::counted(all, "row", "rows"));
    let look = Text::new(theme::LABEL_SIZE, theme::TEXT).bold();
    canvas.rect(theme::MARGIN, frame.top - 20.0, 9.0, 9.0, ink)?;
    let room = frame.width * 0.6;
    canvas.text_within(theme::MARGIN + 15.0, frame.top - 15.0, room, &text, look)
}

/// The smallest round share that is at least `share` and has a round half.
fn rounded_up(share: f64) -> f64 {
    [0.02, 0.04, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8].into_iter().find(|r| share <= *r).unwrap_or(1.0)
}

impl Chart for Histogram<'_> {
    fn alt(&self) -> String {
        format!(
            "{}: predicted probabilities of {} and of {} rows, threshold {}",
            self.title(),
            self.negative,
            self.positive,
            format::plain(self.threshold)
        )
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let (negative, positive) = (&self.scores.negative, &self.scores.positive);
        if total(negative).saturating_add(total(positive)) == 0 {
            return picture::not_enough(canvas, &self.title(), "there are no scored rows");
        }
        let subtitle = "Share of each class at each predicted probability";
        picture::heading(canvas, &self.title(), subtitle)?;
        let highest = [negative, positive]
            .into_iter()
            .flat_map(|counts| {
                let all = total(counts).max(1) as f64;
                counts.iter().map(move |n| *n as f64 / all)
            })
            .fold(0.0, f64::max);
        let highest = rounded_up(highest);
        let lower = Frame { left: 54.0, top: 246.0, width: theme::WIDTH - 74.0, height: 106.0 };
        let upper = Frame { top: 92.0, ..lower };
        panel(canvas, &upper, (self.positive, positive, theme::ORANGE), highest, false)?;
        panel(canvas, &lower, (self.negative, negative, theme::BLUE), highest, true)?;
        lower.name_below(canvas, "Predicted probability")?;
        if self.threshold.is_finite() && (0.0..=1.0).contains(&self.threshold) {
            let x = lower.at(self.threshold, 0.0).0;
            for frame in [upper, lower] {
                let (bottom, top) = (frame.at(0.0, 0.0).1, frame.at(0.0, 1.0).1);
                canvas.line((x, top - 5.0), (x, bottom), 1.6, theme::TEXT)?;
            }
            let text = format!("threshold {}", format::plain(self.threshold));
            let look = Text::new(theme::TICK_SIZE, theme::TEXT);
            let (right, y) = (upper.left + upper.width, upper.top - 21.0);
            let sample = right - font::width(&text, look.size, false)? * 1.1 - 8.0;
            canvas.text(sample + 7.0, y, &text, look)?;
            canvas.line((sample, y - 6.0), (sample, y + 6.0), 1.6, theme::TEXT)?;
        }
        Ok(())
    }
}
