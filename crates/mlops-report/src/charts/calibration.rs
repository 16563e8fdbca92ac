//! The calibration curve: do 30 % of the rows given a probability of 30 % turn out positive?
//!
//! Not for binning: the bins are given.

use mlops_core::Result;
use mlops_core::evaluation::metrics::CalibrationBin;
use plotters::prelude::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::{Align, Canvas, Text};
use crate::format;
use crate::picture::{self, Chart};
use crate::plot::Plot;
use crate::theme;

/// The data of the calibration chart.
#[derive(Debug, Clone, Copy)]
pub struct Calibration<'a> {
    /// The bins; empty ones are left out.
    pub bins: &'a [CalibrationBin],
    /// Brier score, if there is one.
    pub brier: Option<f64>,
    /// Number of rows scored.
    pub n: u64,
}

impl Calibration<'_> {
    fn title(&self) -> String {
        let n = format::count(self.n);
        match self.brier.filter(|brier| brier.is_finite()) {
            Some(brier) => format!("Calibration, Brier score {} (n = {n})", format::score(brier)),
            None => format!("Calibration (n = {n})"),
        }
    }
}

impl Chart for Calibration<'_> {
    fn alt(&self) -> String {
        format!("{}: share of positives against predicted probability", self.title())
    }

    fn height(&self) -> f64 {
        384.0
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let mut bins: Vec<_> = self
            .bins
            .iter()
            .filter(|b| {
                b.count > 0 && b.mean_predicted.is_finite() && b.fraction_of_positives.is_finite()
            })
            .copied()
            .collect();
        bins.sort_by(|a, b| a.mean_predicted.total_cmp(&b.mean_predicted));
        if bins.is_empty() {
            return picture::not_enough(canvas, &self.title(), "there are no scored rows to bin");
        }
        let subtitle = "On the dashed line, predicted probabilities equal observed shares";
        picture::heading(canvas, &self.title(), subtitle)?;

        let frame = Frame::down_to(288.0);
        frame.name_above(canvas, "Observed share of positives")?;
        let mut plot = Plot::new(canvas, &frame, &axes::FIFTHS)?;
        plot.mesh(true, axes::share)?;
        plot.dashed([(0.0, 0.0), (1.0, 1.0)], 1.2, theme::AXIS)?;
        let points = axes::within(bins.iter().map(|b| (b.mean_predicted, b.fraction_of_positives)));
        plot.line(&points, 2.0, theme::BLUE)?;
        plot.spots(&points, 4.2, theme::BLUE)?;
        let entries = [(Mark::Line, theme::BLUE, "model"), (Mark::Dashes, theme::AXIS, "perfect")];
        axes::legend(canvas, (frame.left + 96.0, frame.top + 16.0), &entries)?;
        strip(canvas, &frame, &bins)
    }
}

/// Draws the number of rows behind each point, as bars under the plot.
fn strip<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    above: &Frame,
    bins: &[CalibrationBin],
) -> Result<()> {
    let frame = Frame { top: above.top + above.height + 30.0, height: 34.0, ..*above };
    let most = bins.iter().map(|b| b.count).max().unwrap_or(1).max(1);
    // As wide as the closest two allow, within limits.
    let closest = bins
        .windows(2)
        .map(|w| (w[1].mean_predicted - w[0].mean_predicted) * frame.width)
        .fold(f64::INFINITY, f64::min);
    let width = (closest - 2.0).clamp(3.0, 30.0);
    let width = width / frame.width;
    let mut plot = Plot::new(canvas, &frame, &[0.0, 1.0])?;
    let bars = bins.iter().map(|bin| {
        let left = (bin.mean_predicted - width / 2.0).clamp(0.0, 1.0 - width);
        let share = bin.count as f64 / most as f64;
        (left, left + width, share.max(1.0 / frame.height))
    });
    plot.bars(bars, theme::BLUE)?;
    plot.floor()?;
    let tick = Text::new(theme::TICK_SIZE, theme::MUTED);
    let (x, y) = frame.at(0.0, 1.0);
    canvas.text(x - 7.0, y + 4.0, &format::count(most), tick.align(Align::Right))?;
    let (x, y) = frame.at(0.0, 0.0);
    canvas.text(x - 7.0, y, "0", tick.align(Align::Right))?;
    let (x, y) = frame.at(0.5, 0.0);
    let name = "Predicted probability; the bars count the rows behind each point";
    canvas.text(x, y + 18.0, name, tick.align(Align::Center))
}
