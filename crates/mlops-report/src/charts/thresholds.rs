//! F1, precision and recall at every threshold, with the one in use.
//!
//! Not for choosing a threshold, nor for computing the counts: they are given.

use mlops_core::Result;
use plotters::prelude::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::Canvas;
use crate::format;
use crate::picture::{self, Chart};
use crate::plot::Plot;
use crate::report::AtThreshold;
use crate::theme;

/// The data of the threshold chart.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds<'a> {
    /// The counts at thresholds, in ascending order.
    pub points: &'a [AtThreshold],
    /// The threshold in use: a row with a higher probability is predicted positive.
    pub threshold: f64,
    /// Number of rows scored.
    pub n: u64,
}

impl Thresholds<'_> {
    fn title(&self) -> String {
        format!("Scores by threshold (n = {})", format::count(self.n))
    }
}

impl Chart for Thresholds<'_> {
    fn alt(&self) -> String {
        format!(
            "{}: F1, precision and recall against the threshold, which is {}",
            self.title(),
            format::plain(self.threshold)
        )
    }

    fn height_at(&self, width: f64) -> f64 {
        if width < theme::NARROW { self.height() + 18.0 } else { self.height() }
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let curve = |of: fn(&AtThreshold) -> Option<f64>| {
            axes::within(self.points.iter().filter_map(|at| Some((at.threshold, of(at)?))))
        };
        let f1 = curve(|at| Some(at.matrix.f1()));
        let recall = curve(|at| Some(at.matrix.recall()));
        // Where nothing is predicted positive, there is no precision.
        let precision =
            curve(|at| (at.matrix.tp + at.matrix.fp > 0).then(|| at.matrix.precision()));
        let positives = self.points.iter().any(|at| at.matrix.positives() > 0);
        if f1.len() < 2 || !positives {
            let why = "the curves need scored rows of the positive class";
            return picture::not_enough(canvas, &self.title(), why);
        }
        let subtitle = "What another threshold would change on the test rows";
        picture::heading(canvas, &self.title(), subtitle)?;
        let frame = Frame::within(canvas.width, 330.0);
        frame.name_above(canvas, "F1, precision and recall")?;
        let narrow = canvas.width < theme::NARROW;
        frame.name_below(
            canvas,
            if narrow {
                "Threshold"
            } else {
                "Threshold: rows with a higher probability are predicted positive"
            },
        )?;
        let mut plot = Plot::new(canvas, &frame, &axes::FIFTHS)?;
        plot.mesh(true, axes::share)?;
        plot.line(&recall, 1.6, theme::GREEN)?;
        plot.line(&precision, 1.6, theme::ORANGE)?;
        plot.line(&f1, 2.4, theme::BLUE)?;
        let used = self.threshold;
        if used.is_finite() && (0.0..=1.0).contains(&used) {
            plot.dashed([(used, 0.0), (used, 1.0)], 1.4, theme::TEXT)?;
            let nearest =
                f1.iter().min_by(|a, b| (a.0 - used).abs().total_cmp(&(b.0 - used).abs()));
            plot.spots(&nearest.copied().into_iter().collect::<Vec<_>>(), 4.2, theme::BLUE)?;
        }
        let text = format!("in use: {}", format::plain(used));
        let entries = [
            (Mark::Line, theme::BLUE, "F1"),
            (Mark::Thin, theme::ORANGE, "precision"),
            (Mark::Thin, theme::GREEN, "recall"),
            (Mark::Dashes, theme::TEXT, text.as_str()),
        ];
        if narrow {
            axes::rows(canvas, &frame, &entries).map(drop)
        } else {
            axes::row(canvas, &frame, &entries)
        }
    }
}
