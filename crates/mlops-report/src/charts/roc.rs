//! The receiver operating characteristic: how many are found at what price in false alarms.
//!
//! Not for computing the curve or the area: the points and the AUC are given.

use mlops_core::Result;
use mlops_core::metrics::RocPoint;
use plotters_backend::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::Canvas;
use crate::format;
use crate::picture::{self, Chart};
use crate::theme;

/// What the ROC chart shows.
#[derive(Debug, Clone, Copy)]
pub struct Roc<'a> {
    /// The curve, in order.
    pub points: &'a [RocPoint],
    /// Area under it, if there is one.
    pub auc: Option<f64>,
    /// Rows scored.
    pub n: u64,
    /// Where the threshold in use lies.
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

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<()> {
        let points = axes::within(self.points.iter().map(|p| (p.fpr, p.tpr)));
        if points.len() < 2 {
            let why = "the curve needs scored rows of both classes";
            return picture::not_enough(canvas, &self.title(), why);
        }
        picture::heading(canvas, &self.title(), "The closer to the top left corner, the better")?;
        let frame = Frame::down_to(352.0);
        let curve: Vec<_> = points.iter().map(|p| frame.at(p.0, p.1)).collect();
        let mut area = curve.clone();
        area.extend([frame.at(points[points.len() - 1].0, 0.0), frame.at(points[0].0, 0.0)]);
        canvas.polygon(&area, theme::BLUE_TINT)?;
        frame.unit_square(
            canvas,
            "False positive rate: share of the negatives named by mistake",
            "True positive rate: share of the positives found",
        )?;
        canvas.dashed(frame.at(0.0, 0.0), frame.at(1.0, 1.0), 1.2, theme::AXIS)?;
        canvas.path(&curve, 2.4, theme::BLUE)?;
        let mut entries =
            vec![(Mark::Line, theme::BLUE, "model"), (Mark::Dashes, theme::AXIS, "guessing")];
        let spot = axes::within(self.operating.iter().map(|p| (p.fpr, p.tpr)));
        if let Some(at) = spot.first() {
            axes::spot(canvas, frame.at(at.0, at.1), theme::ORANGE)?;
            entries.push((Mark::Disc, theme::ORANGE, "threshold in use"));
        }
        let (right, bottom) = frame.at(0.985, 0.0);
        axes::legend(canvas, (right, bottom - 18.0 * entries.len() as f64 + 4.0), &entries)
    }
}
