//! Cumulative gain, and the lift of each tenth of the rows under it.
//!
//! Not for computing the curve or the deciles: they are given.

use mlops_core::Result;
use mlops_core::evaluation::metrics::{Decile, GainPoint};
use plotters::prelude::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::{Align, Canvas, Text};
use crate::format;
use crate::picture::{self, Chart};
use crate::plot::Plot;
use crate::theme;

/// The data of the gain chart.
#[derive(Debug, Clone, Copy)]
pub struct Gain<'a> {
    /// The curve, in order.
    pub points: &'a [GainPoint],
    /// The tenths of the rows, the highest scores first; without all ten there are no bars.
    pub deciles: &'a [Decile],
    /// Number of rows scored.
    pub n: u64,
    /// Number of positives.
    pub positives: u64,
}

impl Gain<'_> {
    fn title(&self) -> String {
        let n = format::count(self.n);
        match self.deciles.first().map(|top| top.lift).filter(|lift| lift.is_finite()) {
            Some(lift) => {
                format!("Gain and lift, top tenth {} (n = {n})", times(lift))
            }
            None => format!("Gain and lift (n = {n})"),
        }
    }
}

/// A lift: `2.31×`.
fn times(lift: f64) -> String {
    if lift < 9.95 { format!("{lift:.2}×") } else { format!("{lift:.1}×") }
}

impl Chart for Gain<'_> {
    fn alt(&self) -> String {
        format!("{}: share of the positives against share of the rows", self.title())
    }

    fn height(&self) -> f64 {
        452.0
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let points = axes::within(self.points.iter().map(|p| (p.depth, p.gain)));
        if points.len() < 2 || self.positives == 0 || self.n == 0 {
            let why = "the curve needs scored rows of both classes";
            return picture::not_enough(canvas, &self.title(), why);
        }
        let subtitle = "The rows with the highest probabilities first";
        picture::heading(canvas, &self.title(), subtitle)?;
        let frame = Frame::down_to(288.0);
        frame.name_above(canvas, "Gain: share of all positives that are found")?;
        let mut plot = Plot::new(canvas, &frame, &axes::FIFTHS)?;
        plot.area(&points, theme::BLUE_TINT)?;
        plot.mesh(true, axes::share)?;
        let base = (self.positives as f64 / self.n as f64).clamp(0.0, 1.0);
        plot.line(&[(0.0, 0.0), (base, 1.0), (1.0, 1.0)], 1.2, theme::MUTED)?;
        plot.dashed([(0.0, 0.0), (1.0, 1.0)], 1.2, theme::AXIS)?;
        plot.line(&points, 2.4, theme::BLUE)?;
        let entries = [
            (Mark::Line, theme::BLUE, "model"),
            (Mark::Thin, theme::MUTED, "perfect"),
            (Mark::Dashes, theme::AXIS, "guessing"),
        ];
        let (right, bottom) = frame.at(0.985, 0.0);
        axes::legend(canvas, (right, bottom - 18.0 * entries.len() as f64 + 4.0), &entries)?;
        self.lifts(canvas, &frame)
    }
}

impl Gain<'_> {
    /// Draws the lift of each decile as a bar under the plot.
    fn lifts<B: DrawingBackend>(&self, canvas: &mut Canvas<B>, above: &Frame) -> Result<()> {
        let frame = Frame { top: above.top + above.height + 56.0, height: 66.0, ..*above };
        let look = Text::new(theme::TICK_SIZE, theme::MUTED);
        let whole = self.deciles.len() == 10 && self.deciles.iter().all(|d| d.lift.is_finite());
        if whole {
            let name = "Lift: how many times as frequent positives are as among all rows";
            canvas.text_within(theme::MARGIN, frame.top - 18.0, frame.width, name, look)?;
            let most = self.deciles.iter().fold(1.0_f64, |most, d| most.max(d.lift));
            // Room for the numbers above the bars.
            let top = most * 1.3;
            let mut plot = Plot::new(canvas, &frame, &[0.0, top])?;
            let bars = self.deciles.iter().enumerate().map(|(k, decile)| {
                let left = k as f64 / 10.0;
                (left + 0.012, left + 0.088, decile.lift.max(top / frame.height))
            });
            plot.bars(bars, theme::BLUE)?;
            plot.floor()?;
            plot.dashed([(0.0, 1.0), (1.0, 1.0)], 1.2, theme::AXIS)?;
            for (k, decile) in self.deciles.iter().enumerate() {
                let (x, y) = frame.at(k as f64 / 10.0 + 0.05, decile.lift / top);
                // On the line at 1, the number would be crossed out.
                let line = frame.at(0.0, 1.0 / top).1;
                let y = if (y - 8.0 - line).abs() < 8.0 { line - 9.0 } else { y - 8.0 };
                let text = if decile.lift < 9.95 {
                    format!("{:.2}", decile.lift)
                } else {
                    format!("{:.1}", decile.lift)
                };
                let tick = Text::new(theme::TICK_SIZE, theme::TEXT).align(Align::Center);
                canvas.text_shrunk(x, y, frame.width / 10.5, &text, tick)?;
            }
            let (x, y) = frame.at(0.0, 1.0 / top);
            canvas.text(x - 7.0, y, "1", look.align(Align::Right))?;
        }
        let name = if whole {
            "Share of all rows; each bar is a tenth of them"
        } else {
            "Share of all rows; fewer than ten have no tenths"
        };
        let (x, y) = frame.at(0.5, 0.0);
        canvas.text_within(x, y + 16.0, frame.width, name, look.align(Align::Center))
    }
}
