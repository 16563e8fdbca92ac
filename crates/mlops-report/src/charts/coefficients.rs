//! The coefficients as horizontal bars, the largest on top.
//!
//! Not for describing them in words: see `html::model`.

use mlops_core::Result;
use plotters::prelude::DrawingBackend;

use crate::canvas::{Align, Canvas, Text};
use crate::format;
use crate::picture::{self, Chart};
use crate::report::Coefficient;
use crate::theme;

/// The maximum number of bars.
const MOST: usize = 25;
const ROW: f64 = 20.0;
const TOP: f64 = 82.0;

/// The data of the coefficient chart.
#[derive(Debug, Clone, Copy)]
pub struct Coefficients<'a> {
    /// Names and values, in any order.
    pub features: &'a [Coefficient],
    /// The name of the class that a positive coefficient favours.
    pub positive: &'a str,
}

impl Coefficients<'_> {
    fn sorted(&self) -> Vec<&Coefficient> {
        weightiest(self.features)
    }
}

/// The features with a finite value, the largest absolute value first, names breaking ties.
pub(crate) fn weightiest(features: &[Coefficient]) -> Vec<&Coefficient> {
    let mut sorted: Vec<_> = features.iter().filter(|f| f.value.is_finite()).collect();
    sorted
        .sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()).then_with(|| a.name.cmp(&b.name)));
    sorted
}

impl Chart for Coefficients<'_> {
    fn alt(&self) -> String {
        let named: Vec<_> = self
            .sorted()
            .iter()
            .take(3)
            .map(|f| format!("{} {}", f.name, format::number(f.value)))
            .collect();
        match named.len() {
            0 => "Coefficients: not enough data".to_owned(),
            _ => format!("Coefficients, largest first: {}", named.join(", ")),
        }
    }

    fn height(&self) -> f64 {
        let rows = self.features.iter().filter(|f| f.value.is_finite()).count();
        match rows {
            0 => 240.0,
            n => {
                let more = if n > MOST { 22.0 } else { 0.0 };
                (TOP + n.min(MOST) as f64 * ROW + 22.0 + more).max(180.0)
            }
        }
    }

    fn paint<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        let sorted = self.sorted();
        let title = "Coefficients of the model";
        let Some(most) = sorted.first().map(|f| f.value.abs()) else {
            return picture::not_enough(canvas, title, "the model has no features");
        };
        picture::heading(canvas, title, "Longer bars have a larger effect")?;
        let label = Text::new(theme::LABEL_SIZE, theme::TEXT);
        let tick = Text::new(theme::TICK_SIZE, theme::MUTED);

        // Names on the left, values at both ends of the bars.
        let names = 164.0;
        let (left, right) = (names + 12.0 + 52.0, canvas.width - theme::MARGIN - 52.0);
        let zero = f64::midpoint(left, right);
        let reach = (right - left) / 2.0;
        let rows = sorted.len().min(MOST);
        let bottom = TOP + rows as f64 * ROW;

        canvas.text(zero - 12.0, 64.0, "less likely", tick.align(Align::Right))?;
        let more_likely = format!("“{}” more likely", self.positive);
        let room = canvas.width - theme::MARGIN - zero - 12.0;
        canvas.text_within(zero + 12.0, 64.0, room, &more_likely, tick)?;
        for (row, feature) in sorted.iter().take(MOST).enumerate() {
            let y = TOP + (row as f64 + 0.5) * ROW;
            let room = names - theme::MARGIN;
            canvas.text_within(names, y, room, &feature.name, label.align(Align::Right))?;
            let share = if most > 0.0 { feature.value.abs() / most } else { 0.0 };
            let length = (share * reach).max(1.0);
            let value = format::number(feature.value);
            if feature.value < 0.0 {
                canvas.rect(zero - length, y - 6.0, length, 12.0, theme::BLUE)?;
                canvas.text(zero - length - 6.0, y, &value, tick.align(Align::Right))?;
            } else {
                canvas.rect(zero, y - 6.0, length, 12.0, theme::ORANGE)?;
                canvas.text(zero + length + 6.0, y, &value, tick)?;
            }
        }
        canvas.line((zero, TOP - 4.0), (zero, bottom + 4.0), 1.0, theme::AXIS)?;
        if sorted.len() > MOST {
            let more = format!("and {} smaller ones", sorted.len() - MOST);
            canvas.text(theme::MARGIN, bottom + 20.0, &more, tick)?;
        }
        Ok(())
    }
}
