//! Precision against recall: how right the model is when it names more or fewer.
//!
//! Not for computing the curve or the average precision: they are given.

use mlops_core::Result;
use mlops_core::metrics::PrPoint;
use plotters_backend::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::Canvas;
use crate::format;
use crate::picture::{self, Chart};
use crate::theme;

/// What the precision-recall chart shows.
#[derive(Debug, Clone, Copy)]
pub struct PrecisionRecall<'a> {
    /// The curve, in order of recall, rising or falling.
    pub points: &'a [PrPoint],
    /// Average precision, if there is one.
    pub auc: Option<f64>,
    /// Rows scored.
    pub n: u64,
    /// Positives among them.
    pub positives: u64,
    /// Where the threshold in use lies.
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

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<'_, B>) -> Result<()> {
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
        // Between two thresholds nothing is known: the curve goes in steps, as its average does.
        let mut curve = vec![frame.at(points[0].0, points[0].1)];
        for pair in points.windows(2) {
            curve.push(frame.at(pair[0].0, pair[1].1));
            curve.push(frame.at(pair[1].0, pair[1].1));
        }
        let mut area = curve.clone();
        area.extend([frame.at(points[points.len() - 1].0, 0.0), frame.at(points[0].0, 0.0)]);
        canvas.polygon(&area, theme::BLUE_TINT)?;
        frame.unit_square(
            canvas,
            "Recall: share of the positives found",
            "Precision: share of the named that are really positive",
        )?;
        let base = self.positives as f64 / (self.n.max(self.positives)) as f64;
        canvas.dashed(frame.at(0.0, base), frame.at(1.0, base), 1.2, theme::AXIS)?;
        canvas.path(&curve, 2.4, theme::BLUE)?;
        let guessing = format!("guessing: {}", format::percent(base));
        let mut entries =
            vec![(Mark::Line, theme::BLUE, "model"), (Mark::Dashes, theme::AXIS, &guessing)];
        let spot = axes::within(self.operating.iter().map(|p| (p.recall, p.precision)));
        if let Some(at) = spot.first() {
            axes::spot(canvas, frame.at(at.0, at.1), theme::ORANGE)?;
            entries.push((Mark::Disc, theme::ORANGE, "threshold in use"));
        }
        // At the foot of the plot, or at its top where the base rate passes through the foot.
        let height = 18.0 * entries.len() as f64;
        let foot = frame.at(0.0, 0.0).1 - height + 4.0;
        let line = frame.at(0.0, base).1;
        let top = if line > foot - 16.0 { line - height - 4.0 } else { foot };
        axes::legend(canvas, (frame.left + 170.0, top), &entries)
    }
}
