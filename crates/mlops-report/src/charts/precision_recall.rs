//! The precision-recall curve: how precision falls as recall rises.
//!
//! Not for computing the curve or the average precision: they are given.

use mlops_core::Result;
use mlops_core::evaluation::metrics::PrPoint;
use plotters::prelude::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::Canvas;
use crate::format;
use crate::picture::{self, Chart};
use crate::plot::Plot;
use crate::theme;

/// The data of the precision-recall chart.
#[derive(Debug, Clone, Copy)]
pub struct PrecisionRecall<'a> {
    /// The curve, by ascending or descending recall.
    pub points: &'a [PrPoint],
    /// Average precision, if there is one.
    pub auc: Option<f64>,
    /// Number of rows scored.
    pub n: u64,
    /// Number of positives.
    pub positives: u64,
    /// The point of the threshold in use.
    pub operating: Option<PrPoint>,
}

impl PrecisionRecall<'_> {
    fn title(&self) -> String {
        let n = format::count(self.n);
        match self.auc.filter(|auc| auc.is_finite()) {
            Some(auc) => format!("Precision and recall, AP {} (n = {n})", format::score(auc)),
            None => format!("Precision and recall (n = {n})"),
        }
    }
}

impl Chart for PrecisionRecall<'_> {
    fn alt(&self) -> String {
        format!("{}: precision against recall", self.title())
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let mut points = axes::within(self.points.iter().map(|p| (p.recall, p.precision)));
        if points.len() < 2 || self.positives == 0 {
            let why = "the curve needs scored rows of the positive class";
            return picture::not_enough(canvas, &self.title(), why);
        }
        if points[0].0 > points[points.len() - 1].0 {
            points.reverse();
        }
        let subtitle = "The higher and the further right, the better";
        picture::heading(canvas, &self.title(), subtitle)?;
        let frame = Frame::down_to(352.0);
        // Nothing is known between two thresholds, so the curve has steps, as its average precision
        // has.
        let mut curve = vec![points[0]];
        for pair in points.windows(2) {
            curve.extend([(pair[0].0, pair[1].1), pair[1]]);
        }
        frame
            .name_above(canvas, "Precision: share of the positive predictions that are correct")?;
        frame.name_below(canvas, "Recall: share of the positives found")?;
        let mut plot = Plot::new(canvas, &frame, &axes::FIFTHS)?;
        plot.area(&curve, theme::BLUE_TINT)?;
        plot.mesh(true, axes::share)?;
        let base = self.positives as f64 / (self.n.max(self.positives)) as f64;
        plot.dashed([(0.0, base), (1.0, base)], 1.2, theme::AXIS)?;
        plot.line(&curve, 2.4, theme::BLUE)?;
        let guessing = format!("guessing: {}", format::percent(base));
        let mut entries =
            vec![(Mark::Line, theme::BLUE, "model"), (Mark::Dashes, theme::AXIS, &guessing)];
        let spot = axes::within(self.operating.iter().map(|p| (p.recall, p.precision)));
        plot.spots(&spot, 5.0, theme::ORANGE)?;
        if !spot.is_empty() {
            entries.push((Mark::Disc, theme::ORANGE, "threshold in use"));
        }
        // At the bottom of the plot, or at its top if the base rate is at the bottom.
        let height = 18.0 * entries.len() as f64;
        let foot = frame.at(0.0, 0.0).1 - height + 4.0;
        let line = frame.at(0.0, base).1;
        let top = if line > foot - 16.0 { line - height - 4.0 } else { foot };
        axes::legend(canvas, (frame.left + 170.0, top), &entries)
    }
}
