//! The confusion matrix: predicted against actual classes, as counts and as shares of a row.
//!
//! Not for counting: the matrix is given.

use mlops_core::Result;
use mlops_core::evaluation::metrics::{ConfusionMatrix, Interval};
use plotters::prelude::DrawingBackend;

use crate::canvas::{Align, Canvas, Text};
use crate::format;
use crate::picture::{self, Chart};
use crate::theme;

/// The data of the confusion matrix.
#[derive(Debug, Clone, Copy)]
pub struct Confusion<'a> {
    /// The counts.
    pub matrix: ConfusionMatrix,
    /// The name of the negative class.
    pub negative: &'a str,
    /// The name of the positive class.
    pub positive: &'a str,
    /// F1 of these counts.
    pub f1: f64,
    /// Confidence interval of F1, if there is one.
    pub interval: Option<Interval>,
}

impl Confusion<'_> {
    fn rows(&self) -> [[u64; 2]; 2] {
        [[self.matrix.tn, self.matrix.fp], [self.matrix.fn_, self.matrix.tp]]
    }

    fn total(&self) -> u64 {
        self.rows().iter().flatten().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn subtitle(&self) -> String {
        let f1 = format!("F1 {}", format::score(self.f1));
        match &self.interval {
            Some(interval) => format!("{f1} ({})", format::interval(interval)),
            None => f1,
        }
    }
}

impl Chart for Confusion<'_> {
    fn alt(&self) -> String {
        let m = self.matrix;
        let of = |n, what: &str| format::counted(n, what, &format!("{what}s"));
        let (found, missed) = (of(m.tp, "true positive"), of(m.fn_, "false negative"));
        let (alarms, rest) = (of(m.fp, "false positive"), of(m.tn, "true negative"));
        format!(
            "Confusion matrix: of the {} rows {found} and {missed}; of the {} rows {alarms} and {rest}",
            self.positive, self.negative
        )
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        const WORDS: [[&str; 2]; 2] =
            [["true negative", "false positive"], ["false negative", "true positive"]];
        let title = format!("Confusion matrix (n = {})", format::count(self.total()));
        if self.total() == 0 {
            return picture::not_enough(canvas, &title, "no rows were scored");
        }
        picture::heading(canvas, &title, &self.subtitle())?;
        let (left, top, gap) = (118.0, 104.0, 4.0);
        let width = (canvas.width - left - 16.0 - gap) / 2.0;
        let height = (canvas.height - top - 16.0 - gap) / 2.0;
        let names = [self.negative, self.positive];
        let muted = Text::new(theme::TICK_SIZE, theme::MUTED);
        let strong = Text::new(theme::LABEL_SIZE, theme::TEXT).bold();

        canvas.text(left + width + gap / 2.0, 70.0, "predicted", muted.align(Align::Center))?;
        canvas.text(left - 12.0, 70.0, "actual", muted.align(Align::Right))?;
        for (k, name) in names.into_iter().enumerate() {
            let x = left + k as f64 * (width + gap) + width / 2.0;
            canvas.text_within(x, 90.0, width - 8.0, name, strong.align(Align::Center))?;
        }
        for (r, (row, name)) in self.rows().into_iter().zip(names).enumerate() {
            let y = top + r as f64 * (height + gap);
            let all = row[0].saturating_add(row[1]);
            let room = left - 12.0 - theme::MARGIN;
            let middle = y + height / 2.0;
            canvas.text_within(
                left - 12.0,
                middle - 8.0,
                room,
                name,
                strong.align(Align::Right),
            )?;
            let rows = format::counted(all, "row", "rows");
            canvas.text_shrunk(
                left - 12.0,
                middle + 10.0,
                room,
                &rows,
                muted.align(Align::Right),
            )?;
            for (c, n) in row.into_iter().enumerate() {
                let x = left + c as f64 * (width + gap);
                let share = if all == 0 { f64::NAN } else { n as f64 / all as f64 };
                let (fill, ink) = theme::cell(share);
                canvas.rect(x, y, width, height, fill)?;
                let centre = x + width / 2.0;
                let big = Text::new(26.0, ink).bold().align(Align::Center);
                let small = Text::new(theme::LABEL_SIZE, ink).align(Align::Center);
                canvas.text_shrunk(centre, middle - 20.0, width - 12.0, &format::count(n), big)?;
                let percent = match all {
                    0 => "no such rows".to_owned(),
                    _ => format!("{} of the row", format::percent(share)),
                };
                canvas.text_within(centre, middle + 6.0, width - 12.0, &percent, small)?;
                canvas.text_within(centre, middle + 25.0, width - 12.0, WORDS[r][c], small)?;
            }
        }
        Ok(())
    }
}
