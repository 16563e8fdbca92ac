//! An axis between two round numbers, and the grid of a plot with it.
//!
//! For plots whose axes do not run from 0 to 1: see `plot` for those that do.

use mlops_core::Result;
use plotters::prelude::DrawingBackend;

use crate::axes::Frame;
use crate::canvas::{Align, Canvas, Text};
use crate::theme;

/// An axis from the first to the last of its marks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    /// Where its grid lines are, ascending; at least two.
    pub(crate) marks: Vec<f64>,
    /// Digits after the point that its marks need.
    decimals: usize,
}

impl Scale {
    /// A scale that contains `low` and `high`, with about `most` marks at round numbers.
    pub(crate) fn around(low: f64, high: f64, most: u32) -> Self {
        let (low, high) =
            if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let (low, high) = (low.min(high), low.max(high));
        // Equal values are shown with some room around them.
        let span = if high - low > 1e-12 * high.abs().max(1e-300) {
            high - low
        } else {
            high.abs().max(1.0) * 0.2
        };
        let rough = span / f64::from(most.max(2) - 1);
        let power = rough.log10().floor();
        let unit = 10.0_f64.powf(power);
        let step = [1.0, 2.0, 2.5, 5.0].into_iter().map(|m| m * unit).find(|s| *s >= rough * 0.999);
        let step = step.unwrap_or(10.0 * unit);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let last = last.max(first + 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "about `most`")]
        let steps = (last - first).min(1000.0) as u32;
        let marks = (0..=steps).map(|k| (first + f64::from(k)) * step).collect();
        let decimals = (0..12).find(|d| {
            let scaled = step * 10.0_f64.powi(*d);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        });
        let decimals = decimals.map_or(3, |d| usize::try_from(d).unwrap_or(3));
        Self { marks, decimals }
    }

    /// The same without marks below 0 or above 1, for shares and scores.
    pub(crate) fn of_shares(low: f64, high: f64, most: u32) -> Self {
        let mut scale = Self::around(low.max(0.0), high.min(1.0), most);
        scale.marks.retain(|mark| (-1e-9..=1.0 + 1e-9).contains(mark));
        if scale.marks.len() < 2 { Self::around(0.0, 1.0, most) } else { scale }
    }

    /// Where `value` is, as a share of the axis, within it.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let (Some(first), Some(last)) = (self.marks.first(), self.marks.last()) else { return 0.0 };
        ((value - first) / (last - first)).clamp(0.0, 1.0)
    }

    /// The label of a mark.
    pub(crate) fn label(&self, mark: f64) -> String {
        let text = format!("{:.*}", self.decimals, mark.abs());
        let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
        if mark < 0.0 && !zero { format!("−{text}") } else { text }
    }
}

/// Draws the grid lines of the vertical axis with their labels, and the bottom line.
pub(crate) fn grid<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    frame: &Frame,
    up: &Scale,
) -> Result<()> {
    let look = Text::new(theme::TICK_SIZE, theme::MUTED).align(Align::Right);
    for (k, mark) in up.marks.iter().enumerate() {
        let (left, y) = frame.at(0.0, up.share(*mark));
        let ink = if k == 0 { theme::AXIS } else { theme::GRID };
        canvas.line((left, y), (left + frame.width, y), if k == 0 { 1.0 } else { 0.7 }, ink)?;
        canvas.text(left - 7.0, y, &up.label(*mark), look)?;
    }
    Ok(())
}

/// Draws the labels of the horizontal axis, and grid lines at its marks.
pub(crate) fn marks_below<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    frame: &Frame,
    across: &Scale,
) -> Result<()> {
    let look = Text::new(theme::TICK_SIZE, theme::MUTED).align(Align::Center);
    for mark in &across.marks {
        let (x, bottom) = frame.at(across.share(*mark), 0.0);
        canvas.line((x, frame.top), (x, bottom), 0.7, theme::GRID)?;
        canvas.text(x, bottom + 14.0, &across.label(*mark), look)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_contain_the_values() {
        for (low, high, first, last, label) in [
            (0.0, 1.0, 0.0, 1.0, "0.00"),
            (0.43, 0.71, 0.4, 0.8, "0.4"),
            (-3.2, 1.7, -4.0, 2.0, "−4"),
            (0.0, 12_345.0, 0.0, 15_000.0, "0"),
            (0.012, 0.019, 0.012, 0.02, "0.012"),
        ] {
            let scale = Scale::around(low, high, 5);
            let ends = (scale.marks[0], scale.marks[scale.marks.len() - 1]);
            assert!((ends.0 - first).abs() < 1e-9 && (ends.1 - last).abs() < 1e-9, "{scale:?}");
            assert_eq!(scale.label(scale.marks[0]), label, "{scale:?}");
            assert!(scale.marks.len() <= 7, "{scale:?}");
        }
    }

    #[test]
    fn any_values_give_a_scale() {
        for (low, high) in [
            (0.0, 0.0),
            (5.0, 5.0),
            (f64::NAN, 1.0),
            (1.0, -1.0),
            (-1e300, 1e300),
            (1e-300, 2e-300),
        ] {
            let scale = Scale::around(low, high, 5);
            assert!(scale.marks.len() >= 2 && scale.marks.len() < 20, "{low} {high}: {scale:?}");
            assert!((0.0..=1.0).contains(&scale.share(low)) || low.is_nan(), "{scale:?}");
        }
        let shares = Scale::of_shares(0.97, 1.2, 5);
        assert!(shares.marks.iter().all(|mark| (0.0..=1.0).contains(mark)), "{shares:?}");
    }
}
