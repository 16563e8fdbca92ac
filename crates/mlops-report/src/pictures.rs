//! All pictures of a report, with names and captions.
//!
//! Not for drawing (see `charts`) and not for writing: the caller does that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mlops_core::config::choices::ThresholdRule;
use mlops_core::evaluation::metrics::{PrPoint, RocPoint};
use mlops_core::platform::threads::each;
use mlops_core::{Error, Result};

use crate::charts::{
    ByThreshold, Calibration, Coefficients, Confusion, Figure, Gain, Histogram, PrecisionRecall,
    Roc, Scorecard, Thresholds, Trend,
};
use crate::drawing::Drawing;
use crate::font;
use crate::picture::{self, Chart};
use crate::report::{Report, Score};

/// One picture in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file name without extension: `roc`.
    pub name: &'static str,
    /// One or two sentences on how to read it.
    pub caption: &'static str,
    /// The picture as an SVG document.
    pub svg: String,
    /// The picture as a PNG file; empty if only SVG was asked for.
    pub png: Vec<u8>,
}

/// One picture as shapes.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    pub(crate) name: &'static str,
    pub(crate) caption: &'static str,
    /// What it shows, for people who cannot see it.
    pub(crate) alt: String,
    pub(crate) drawing: Drawing,
}

/// How many bytes drawing one picture takes, at most: a band of its pixels, both files, and what the allocator keeps for
/// the thread that draws.
pub(crate) const BYTES_EACH: usize = 10 << 20;

/// All pictures of `report`, as SVG and PNG.
pub fn pictures(report: &Report) -> Result<Vec<Picture>> {
    within(report, usize::MAX)
}

/// The same, at most `at_once` of them drawn at the same time.
pub(crate) fn within(report: &Report, at_once: usize) -> Result<Vec<Picture>> {
    drawn(report, &Images { png: true }, at_once)
}

/// All pictures of `report`, as SVG only.
pub(crate) fn vector(report: &Report) -> Result<Vec<Picture>> {
    drawn(report, &Images { png: false }, usize::MAX)
}

/// All pictures of `report`, as shapes.
pub(crate) fn drawings(report: &Report) -> Result<Vec<Drawn>> {
    drawn(report, &Shapes, 1)
}

/// What becomes of a chart.
trait Maker: Sync {
    type Made: Send;

    fn make(
        &self,
        name: &'static str,
        caption: &'static str,
        chart: &impl Chart,
    ) -> Result<Self::Made>;
}

/// SVG and, if asked for, PNG.
struct Images {
    png: bool,
}

impl Maker for Images {
    type Made = Picture;

    fn make(
        &self,
        name: &'static str,
        caption: &'static str,
        chart: &impl Chart,
    ) -> Result<Picture> {
        let png = if self.png { picture::png(chart)? } else { Vec::new() };
        Ok(Picture { name, caption, svg: picture::svg(chart)?, png })
    }
}

/// Shapes, for the PDF.
struct Shapes;

impl Maker for Shapes {
    type Made = Drawn;

    fn make(&self, name: &'static str, caption: &'static str, chart: &impl Chart) -> Result<Drawn> {
        let alt = font::clean(&chart.alt());
        Ok(Drawn { name, caption, alt, drawing: picture::drawing(chart)? })
    }
}

fn drawn<M: Maker>(report: &Report, maker: &M, at_once: usize) -> Result<Vec<M::Made>> {
    let Report { score, curves, model, .. } = report;
    let (positive, negative) = (report.positive_label.as_str(), report.negative_label.as_str());
    let confusion = Confusion {
        matrix: score.confusion,
        negative,
        positive,
        f1: score.f1,
        interval: score.f1_interval,
    };
    let roc = Roc {
        points: &curves.roc,
        auc: score.roc_auc,
        n: score.n,
        operating: operating_roc(score),
    };
    let pr = PrecisionRecall {
        points: &curves.pr,
        auc: score.pr_auc,
        n: score.n,
        positives: score.positives,
        operating: operating_pr(score),
    };
    let scores =
        Histogram { scores: &curves.histogram, threshold: score.threshold, negative, positive };
    let calibration = Calibration { bins: &curves.calibration, brier: score.brier, n: score.n };
    let deciles = score.evaluation.as_ref().map_or(&[][..], |e| &e.deciles);
    let gain = Gain { points: &curves.gain, deciles, n: score.n, positives: score.positives };
    let (points, threshold, n) = (curves.thresholds.as_slice(), score.threshold, score.n);
    let thresholds = Thresholds { points, threshold, n };
    // Where the threshold was chosen for the lowest cost, that is what another one would change.
    let cost = model.cutoff.as_ref().and_then(|cutoff| match cutoff.rule {
        ThresholdRule::Cost { false_positive, false_negative } => {
            let figure = Figure::Cost { false_positive, false_negative };
            Some(ByThreshold { figure, points, threshold, n })
        }
        _ => None,
    });
    let coefficients = Coefficients { features: &model.features, positive };
    let (scale, columns) = (model.scorecard.as_ref(), model.attributes.as_slice());
    let scorecard = Scorecard { scale, columns, positive };
    let trend = Trend { performance: &report.performance };
    // Drawing a picture takes a fraction of a second, and pictures are independent.
    let jobs: [&(dyn Fn() -> Result<M::Made> + Sync); 10] = [
        &|| one(maker, "confusionmatrix", CONFUSION, &confusion),
        &|| one(maker, "score_distribution", HISTOGRAM, &scores),
        &|| one(maker, "roc", ROC, &roc),
        &|| one(maker, "precision_recall", PR, &pr),
        &|| one(maker, "gain", GAIN, &gain),
        &|| match &cost {
            Some(cost) => one(maker, "thresholds", COST, cost),
            None => one(maker, "thresholds", THRESHOLDS, &thresholds),
        },
        &|| one(maker, "calibration", CALIBRATION, &calibration),
        &|| one(maker, "coefficients", COEFFICIENTS, &coefficients),
        &|| one(maker, "trend", TREND, &trend),
        // The last one, which few models have.
        &|| one(maker, "scorecard", SCORECARD, &scorecard),
    ];
    let there = if scale.is_some() { &jobs[..] } else { &jobs[..jobs.len() - 1] };
    each(there, at_once).into_iter().collect()
}

const CONFUSION: &str = "Rows are the actual classes, columns the predicted ones. The stronger a \
                         cell's colour, the larger its share of the row; a good model is strongest \
                         from top left to bottom right.";
const HISTOGRAM: &str = "Rows to the right of the threshold are predicted positive. The less the \
                         two distributions overlap, the better the model separates the classes.";
const ROC: &str = "Every point is a threshold: lower ones find more positives, at the price of more \
    false positives.";
const PR: &str = "Every point is a threshold: lower ones find more positives, but more of the positive \
    predictions are wrong.";
const GAIN: &str = "How many of the positives are among the rows with the highest probabilities, and how \
    much more frequent they are in each tenth of the rows than among all.";
const THRESHOLDS: &str = "A higher threshold finds fewer positives (recall), and more of those that it \
    finds are right (precision). F1 balances both.";
const COST: &str = "What false positives and false negatives cost together at other thresholds. The one in use was \
    chosen from other rows than these, so that it need not be the lowest point.";
const CALIBRATION: &str = "Points above the dashed line: the predicted probability is too low. Below \
    it: too high.";
const COEFFICIENTS: &str = "Coefficients of the standardised features: the longer a bar, the more \
                            the feature changes the prediction.";
const TREND: &str = "The blue line is the score of the live release on the rows that were held out when it was \
    trained, with its interval as a band. Points are scores on rows that came later; triangles are decisions.";
const SCORECARD: &str = "A row’s points are the base points and those of one bin or level of each column. \
    Each is rounded to a whole number before they are added up.";

fn one<M: Maker>(
    maker: &M,
    name: &'static str,
    caption: &'static str,
    chart: &impl Chart,
) -> Result<M::Made> {
    catch_unwind(AssertUnwindSafe(|| maker.make(name, caption, chart)))
        .unwrap_or_else(|_| Err(Error::backend("plotters", "a drawing failed")))
}

fn share(part: u64, rest: u64) -> Option<f64> {
    let all = part.saturating_add(rest);
    (all > 0).then(|| part as f64 / all as f64)
}

fn operating_roc(score: &Score) -> Option<RocPoint> {
    let m = score.confusion;
    Some(RocPoint { fpr: share(m.fp, m.tn)?, tpr: share(m.tp, m.fn_)? })
}

fn operating_pr(score: &Score) -> Option<PrPoint> {
    let m = score.confusion;
    Some(PrPoint { recall: share(m.tp, m.fn_)?, precision: share(m.tp, m.fp)? })
}
