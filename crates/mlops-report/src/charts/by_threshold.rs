//! A figure at every threshold, with the one in use: what wrong predictions cost, or the lift.
//!
//! Not for choosing a threshold, nor for F1, precision and recall: see `thresholds`.

use mlops_core::Result;
use plotters::prelude::DrawingBackend;

use crate::axes::{self, Frame, Mark};
use crate::canvas::Canvas;
use crate::picture::{self, Chart};
use crate::report::AtThreshold;
use crate::scale::{self, Scale};
use crate::{format, theme};

/// The figure of the chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// What wrong predictions cost, per row.
    Cost {
        /// The cost of a false positive.
        false_positive: f64,
        /// The cost of a false negative.
        false_negative: f64,
    },
    /// How many times as frequent positives are among the rows predicted positive as among all.
    Lift,
}

impl Figure {
    /// The figure of these predictions, if it is defined.
    pub fn of(self, at: &AtThreshold) -> Option<f64> {
        let m = &at.matrix;
        match self {
            Self::Cost { false_positive, false_negative } => {
                let cost = false_positive * m.fp as f64 + false_negative * m.fn_ as f64;
                (m.n() > 0).then(|| cost / m.n() as f64)
            }
            Self::Lift => {
                let found = m.tp + m.fp;
                (found > 0 && m.positives() > 0).then(|| m.precision() / m.prevalence())
            }
        }
    }
}

/// The data of the chart.
#[derive(Debug, Clone, Copy)]
pub struct ByThreshold<'a> {
    /// The figure.
    pub figure: Figure,
    /// The counts at thresholds, in ascending order.
    pub points: &'a [AtThreshold],
    /// The threshold in use: a row with a higher probability is predicted positive.
    pub threshold: f64,
    /// Number of rows scored.
    pub n: u64,
}

impl ByThreshold<'_> {
    fn title(&self) -> String {
        let n = format::count(self.n);
        match self.figure {
            Figure::Cost { .. } => format!("Cost by threshold (n = {n})"),
            Figure::Lift => format!("Lift by threshold (n = {n})"),
        }
    }

    fn curve(&self) -> Vec<(f64, f64)> {
        let points = self.points.iter().filter_map(|at| Some((at.threshold, self.figure.of(at)?)));
        points.filter(|(x, y)| (0.0..=1.0).contains(x) && y.is_finite()).collect()
    }

    /// The point with the lowest cost; of equal ones the highest threshold, as training takes it.
    fn lowest(curve: &[(f64, f64)]) -> Option<(f64, f64)> {
        let best = |a: &(f64, f64), b: &(f64, f64)| if b.1 <= a.1 { *b } else { *a };
        curve.iter().copied().reduce(|a, b| best(&a, &b))
    }
}

impl Chart for ByThreshold<'_> {
    fn alt(&self) -> String {
        let used = format::plain(self.threshold);
        let curve = self.curve();
        match self.figure {
            Figure::Cost { .. } => match Self::lowest(&curve) {
                Some((threshold, cost)) => format!(
                    "{}: lowest at {}, {} per row; the threshold in use is {used}",
                    self.title(),
                    format::number(threshold),
                    format::number(cost)
                ),
                None => format!("{}: not enough data", self.title()),
            },
            Figure::Lift => format!("{}: the threshold in use is {used}", self.title()),
        }
    }

    fn height(&self) -> f64 {
        418.0
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let curve = self.curve();
        let positives = self.points.iter().any(|at| at.matrix.positives() > 0);
        if curve.len() < 2 || !positives {
            let why = "the curve needs scored rows of the positive class";
            return picture::not_enough(canvas, &self.title(), why);
        }
        let (subtitle, name) = match self.figure {
            Figure::Cost { false_positive, false_negative } => (
                format!(
                    "{} for a false positive, {} for a false negative",
                    format::plain(false_positive),
                    format::plain(false_negative)
                ),
                "Cost of wrong predictions, per row",
            ),
            Figure::Lift => {
                ("Positives among the rows predicted positive, against all rows".to_owned(), "Lift")
            }
        };
        picture::heading(canvas, &self.title(), &subtitle)?;
        let mut frame = Frame::within(canvas.width, 330.0);
        let most = curve.iter().fold(0.0_f64, |most, (_, y)| most.max(*y));
        let up = Scale::around(0.0, most, 5);
        let widest = up.marks.iter().map(|mark| up.label(*mark).chars().count()).max().unwrap_or(1);
        let left = (widest as f64 * 6.6 + 14.0).max(frame.left);
        (frame.left, frame.width) = (left, frame.width - (left - frame.left));
        let across = Scale::around(0.0, 1.0, if canvas.width < theme::NARROW { 3 } else { 6 });
        frame.name_above(canvas, name)?;
        let narrow = canvas.width < theme::NARROW;
        frame.name_below(
            canvas,
            if narrow {
                "Threshold"
            } else {
                "Threshold: rows with a higher probability are positive"
            },
        )?;
        scale::marks_below(canvas, &frame, &across)?;
        scale::grid(canvas, &frame, &up)?;
        let place = |(x, y): (f64, f64)| frame.at(across.share(x), up.share(y));
        let ink = match self.figure {
            Figure::Cost { .. } => theme::ORANGE,
            Figure::Lift => theme::BLUE,
        };
        let line: Vec<_> = curve.iter().copied().map(place).collect();
        canvas.path(&line, 2.4, ink)?;
        let used = self.threshold;
        if (0.0..=1.0).contains(&used) {
            let x = place((used, 0.0)).0;
            canvas.dashed((x, frame.top), (x, frame.top + frame.height), 1.4, theme::TEXT)?;
        }
        let in_use = format!("in use: {}", format::plain(used));
        let lowest = Self::lowest(&curve).filter(|_| matches!(self.figure, Figure::Cost { .. }));
        let best = lowest.map_or_else(String::new, |(threshold, cost)| {
            format!("lowest: {} at {}", format::number(cost), format::number(threshold))
        });
        let mut entries = vec![(Mark::Dashes, theme::TEXT, in_use.as_str())];
        if let Some(point) = lowest {
            let at = place(point);
            canvas.disc(at, 6.0, theme::PAPER)?;
            canvas.disc(at, 4.5, ink)?;
            entries.push((Mark::Disc, ink, best.as_str()));
        }
        axes::rows(canvas, &frame, &entries).map(drop)
    }
}
