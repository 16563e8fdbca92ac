//! Frames, axis names and legends around the plots.
//!
//! Axis names are horizontal: the vertical axis has its name above it. Not for the plot itself: see
//! `plot`.

use mlops_core::Result;
use plotters::prelude::DrawingBackend;

use crate::canvas::{Align, Canvas, Text};
use crate::theme::{self, Ink};

/// The area of a plot, in design units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

const TICK: Text = Text::new(theme::TICK_SIZE, theme::MUTED);

impl Frame {
    /// The usual area below the heading, ending at `bottom`.
    pub(crate) fn down_to(bottom: f64) -> Self {
        Self::within(theme::WIDTH, bottom)
    }

    /// The same on a canvas of this width.
    pub(crate) fn within(width: f64, bottom: f64) -> Self {
        let (left, top) = (44.0, 78.0);
        Self { left, top, width: width - left - 20.0, height: bottom - top }
    }

    /// The point at two shares of the area.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + x * self.width, self.top + (1.0 - y) * self.height)
    }

    /// Writes what the vertical axis shows, above it.
    pub(crate) fn name_above<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<B>,
        name: &str,
    ) -> Result<()> {
        canvas.text_within(theme::MARGIN, self.top - 14.0, self.width, name, TICK)
    }

    /// Writes what the horizontal axis shows, below its labels.
    pub(crate) fn name_below<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<B>,
        name: &str,
    ) -> Result<()> {
        let (x, y) = self.at(0.5, 0.0);
        canvas.text_within(x, y + 32.0, self.width, name, TICK.align(Align::Center))
    }
}

/// Grid lines of a share from 0 to 1.
pub(crate) const FIFTHS: [f64; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];

/// The label of a share at a grid line.
pub(crate) fn share(value: f64) -> String {
    format!("{value:.1}")
}

/// The mark of an entry in a legend.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Line,
    Thin,
    Dashes,
    Disc,
}

/// A legend whose right edge is at `right` and whose first line is at `top`.
pub(crate) fn legend<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    (right, top): (f64, f64),
    entries: &[(Mark, Ink, &str)],
) -> Result<()> {
    const LINE: f64 = 18.0;
    let mut widest: f64 = 0.0;
    for (_, _, text) in entries {
        widest = widest.max(crate::font::width(text, theme::TICK_SIZE, false)?);
    }
    // A viewer's font may be wider than the one that was measured.
    let width = SAMPLE + 8.0 + widest * 1.12;
    let left = right - width;
    canvas.rect(
        left - 6.0,
        top - 11.0,
        width + 12.0,
        LINE * entries.len() as f64 + 4.0,
        theme::PAPER,
    )?;
    let mut y = top;
    for (mark, ink, text) in entries {
        let (a, b) = ((left, y), (left + SAMPLE, y));
        sample(canvas, *mark, *ink, a, b)?;
        canvas.text(left + SAMPLE + 8.0, y, text, Text::new(theme::TICK_SIZE, theme::TEXT))?;
        y += LINE;
    }
    Ok(())
}

/// A legend in one row below the name of the horizontal axis, for plots without a free corner.
pub(crate) fn row<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    below: &Frame,
    entries: &[(Mark, Ink, &str)],
) -> Result<()> {
    let slot = below.width / entries.len().max(1) as f64;
    let y = below.at(0.0, 0.0).1 + 56.0;
    let look = Text::new(theme::TICK_SIZE, theme::TEXT);
    for (k, (mark, ink, text)) in entries.iter().enumerate() {
        let x = below.left + slot * k as f64;
        sample(canvas, *mark, *ink, (x, y), (x + SAMPLE, y))?;
        canvas.text_within(x + SAMPLE + 8.0, y, slot - SAMPLE - 10.0, text, look)?;
    }
    Ok(())
}

/// A legend below the name of the horizontal axis, in as many rows as it needs; returns their number.
pub(crate) fn rows<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    below: &Frame,
    entries: &[(Mark, Ink, &str)],
) -> Result<usize> {
    const GAP: f64 = 16.0;
    let look = Text::new(theme::TICK_SIZE, theme::TEXT);
    let right = canvas.width - theme::MARGIN;
    let (mut x, mut y, mut lines) = (theme::MARGIN, below.at(0.0, 0.0).1 + 56.0, 1);
    for (mark, ink, text) in entries {
        let width = SAMPLE + 8.0 + crate::font::width(text, look.size, false)? * 1.12;
        if x > theme::MARGIN && x + width > right {
            (x, y, lines) = (theme::MARGIN, y + 18.0, lines + 1);
        }
        sample(canvas, *mark, *ink, (x, y), (x + SAMPLE, y))?;
        canvas.text_within(x + SAMPLE + 8.0, y, right - x - SAMPLE - 8.0, text, look)?;
        x += width + GAP;
    }
    Ok(lines)
}

/// Length of a sample in a legend.
const SAMPLE: f64 = 22.0;

/// Draws what an entry of a legend stands for.
fn sample<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    mark: Mark,
    ink: Ink,
    a: (f64, f64),
    b: (f64, f64),
) -> Result<()> {
    match mark {
        Mark::Line => canvas.line(a, b, 2.4, ink),
        Mark::Thin => canvas.line(a, b, 1.5, ink),
        Mark::Dashes => canvas.dashed(a, b, 1.2, ink),
        Mark::Disc => canvas.disc((a.0.midpoint(b.0), a.1), 4.5, ink),
    }
}

/// Points with finite coordinates, clamped to the unit square.
pub(crate) fn within(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    points
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|(x, y)| (x.clamp(0.0, 1.0), y.clamp(0.0, 1.0)))
        .collect()
}
