//! The receiver operating characteristic: true positive rate against false positive rate.
//!
//! Not for computing the curve or the area: the points and the AUC are given.

use mlops_core::Result;
use mlops_core::evaluation::metrics::RocPoint;
use plotters::prelude::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::Canvas;
use crate::format;
use crate::picture::{self, Chart};
use crate::plot::Plot;
use crate::theme;

/// The data of the ROC chart.
#[derive(Debug, Clone, Copy)]
pub struct Roc<'a> {
    /// The curve, in order.
    pub points: &'a [RocPoint],
    /// Area under the curve, if there is one.
    pub auc: Option<f64>,
    /// Number of rows scored.
    pub n: u64,
    /// The point of the threshold in use.
    pub operating: Option<RocPoint>,
}

impl Roc<'_> {
    fn title(&self) -> String {
        let n = format::count(self.n);
        match self.auc.filter(|auc| auc.is_finite()) {
            Some(auc) => format!("ROC curve, AUC {} (n = {n})", format::score(auc)),
            None => format!("ROC curve (n = {n})"),
        }
    }
}

impl Chart for Roc<'_> {
    fn alt(&self) -> String {
        format!("{}: true positive rate against false positive rate", self.title())
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let points = axes::within(self.points.iter().map(|p| (p.fpr, p.tpr)));
        if points.len() < 2 {
            let why = "the curve needs scored rows of both classes";
            return picture::not_enough(canvas, &self.title(), why);
        }
        picture::heading(canvas, &self.title(), "The closer to the top left corner, the better")?;
        let frame = Frame::down_to(352.0);
        frame.name_above(canvas, "True positive rate: share of the positives found")?;
        let across = "False positive rate: share of the negatives predicted positive";
        frame.name_below(canvas, across)?;
        let mut plot = Plot::new(canvas, &frame, &axes::FIFTHS)?;
        plot.area(&points, theme::BLUE_TINT)?;
        plot.mesh(true, axes::share)?;
        plot.dashed([(0.0, 0.0), (1.0, 1.0)], 1.2, theme::AXIS)?;
        plot.line(&points, 2.4, theme::BLUE)?;
        let mut entries =
            vec![(Mark::Line, theme::BLUE, "model"), (Mark::Dashes, theme::AXIS, "guessing")];
        let spot = axes::within(self.operating.iter().map(|p| (p.fpr, p.tpr)));
        plot.spots(&spot, 5.0, theme::ORANGE)?;
        if !spot.is_empty() {
            entries.push((Mark::Disc, theme::ORANGE, "threshold in use"));
        }
        let (right, bottom) = frame.at(0.985, 0.0);
        axes::legend(canvas, (right, bottom - 18.0 * entries.len() as f64 + 4.0), &entries)
    }
}
