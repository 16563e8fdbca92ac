//! What charts draw with: shapes and text in design units, on any plotters backend.
//!
//! Not for axes or legends: see `axes`.

use mlops_core::{Error, Result};
use plotters_backend::text_anchor::{HPos, Pos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontFamily, FontStyle,
};

use crate::font;
use crate::theme::{self, Ink};

/// A drawing surface measured in design units, the origin at the top left.
pub struct Canvas<'a, B> {
    backend: &'a mut B,
    /// Width in design units.
    pub width: f64,
    /// Height in design units.
    pub height: f64,
}

/// Which end of a text its position names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// The position is where the text starts.
    Left,
    /// The position is the middle of the text.
    Center,
    /// The position is where the text ends.
    Right,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// Size of the em.
    pub size: f64,
    /// Bold rather than regular.
    pub bold: bool,
    /// Colour.
    pub ink: Ink,
    /// Which end the position names.
    pub align: Align,
}

impl Text {
    /// Regular text that starts at its position.
    pub const fn new(size: f64, ink: Ink) -> Self {
        Self { size, bold: false, ink, align: Align::Left }
    }

    /// The same in bold.
    #[must_use]
    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The same, with another end at its position.
    #[must_use]
    pub const fn align(self, align: Align) -> Self {
        Self { align, ..self }
    }
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    /// The whole of `backend`, painted with paper.
    pub fn new(backend: &'a mut B) -> Result<Self> {
        let (width, height) = backend.get_size();
        let scale = f64::from(theme::SCALE);
        let (width, height) = (f64::from(width) / scale, f64::from(height) / scale);
        let mut canvas = Self { backend, width, height };
        canvas.rect(0.0, 0.0, width, height, theme::PAPER)?;
        Ok(canvas)
    }

    /// A filled rectangle.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, ink: Ink) -> Result<()> {
        let (a, b) = (device(x, y), device(x + width, y + height));
        self.backend.draw_rect(a, b, &Stroke::fill(ink), true).map_err(failed)
    }

    /// A straight line.
    pub fn line(&mut self, a: (f64, f64), b: (f64, f64), width: f64, ink: Ink) -> Result<()> {
        let stroke = Stroke::line(ink, width);
        self.backend.draw_line(device(a.0, a.1), device(b.0, b.1), &stroke).map_err(failed)
    }

    /// A straight line of dashes.
    pub fn dashed(&mut self, a: (f64, f64), b: (f64, f64), width: f64, ink: Ink) -> Result<()> {
        const PERIOD: f64 = 6.0;
        const DASH: f64 = 3.5;
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        let along = |t: f64| (a.0 + (b.0 - a.0) * t / length, a.1 + (b.1 - a.1) * t / length);
        let mut from = 0.0;
        while from < length {
            self.line(along(from), along((from + DASH).min(length)), width, ink)?;
            from += PERIOD;
        }
        Ok(())
    }

    /// A line through many points; points too close to see are left out.
    pub fn path(&mut self, points: &[(f64, f64)], width: f64, ink: Ink) -> Result<()> {
        let points = thinned(points.iter().map(|p| device(p.0, p.1)));
        self.backend.draw_path(points, &Stroke::line(ink, width)).map_err(failed)
    }

    /// A filled polygon.
    pub fn polygon(&mut self, corners: &[(f64, f64)], ink: Ink) -> Result<()> {
        let corners = thinned(corners.iter().map(|p| device(p.0, p.1)));
        self.backend.fill_polygon(corners, &Stroke::fill(ink)).map_err(failed)
    }

    /// A filled disc.
    pub fn disc(&mut self, centre: (f64, f64), radius: f64, ink: Ink) -> Result<()> {
        let radius = length(radius);
        self.backend
            .draw_circle(device(centre.0, centre.1), radius, &Stroke::fill(ink), true)
            .map_err(failed)
    }

    /// Text whose capitals are centred on the height `y`.
    pub fn text(&mut self, x: f64, y: f64, text: &str, look: Text) -> Result<()> {
        // SVG centres small letters; capitals and digits reach further up.
        let at = device(x, y + 0.09 * look.size);
        self.backend.draw_text(&font::clean(text), &Lettering(look), at).map_err(failed)
    }

    /// The same, made smaller until it fits: for numbers, which must not be cut.
    pub fn text_shrunk(&mut self, x: f64, y: f64, room: f64, text: &str, look: Text) -> Result<()> {
        let width = font::width(text, look.size, look.bold)?;
        let size = if width > room { look.size * room / width } else { look.size };
        self.text(x, y, text, Text { size, ..look })
    }

    /// The same, elided to a width.
    pub fn text_within(&mut self, x: f64, y: f64, room: f64, text: &str, look: Text) -> Result<()> {
        let elided = font::elide(&font::clean(text), room, look.size, look.bold)?;
        self.text(x, y, &elided, look)
    }
}

/// Leaves out points that repeat the last one or lie between their neighbours on a straight run.
fn thinned(points: impl Iterator<Item = BackendCoord>) -> Vec<BackendCoord> {
    let mut kept: Vec<BackendCoord> = Vec::new();
    for p in points {
        if let Some(last) = kept.last()
            && (p.0 - last.0).abs() + (p.1 - last.1).abs() == 0
        {
            continue;
        }
        if let [.., a, b] = kept[..] {
            let between = |a: i32, b: i32, c: i32| (a <= b && b <= c) || (a >= b && b >= c);
            let upright = a.0 == b.0 && b.0 == p.0 && between(a.1, b.1, p.1);
            let level = a.1 == b.1 && b.1 == p.1 && between(a.0, b.0, p.0);
            if upright || level {
                kept.pop();
            }
        }
        kept.push(p);
    }
    kept
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn device(x: f64, y: f64) -> BackendCoord {
    let scale = f64::from(theme::SCALE);
    ((x * scale).round() as i32, (y * scale).round() as i32)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn length(value: f64) -> u32 {
    (value * f64::from(theme::SCALE)).round() as u32
}

fn failed<E: std::error::Error + Send + Sync>(error: DrawingErrorKind<E>) -> Error {
    Error::backend("plotters", error)
}

struct Stroke {
    ink: Ink,
    width: u32,
}

impl Stroke {
    const fn fill(ink: Ink) -> Self {
        Self { ink, width: 1 }
    }

    fn line(ink: Ink, width: f64) -> Self {
        Self { ink, width: length(width).max(1) }
    }
}

impl BackendStyle for Stroke {
    fn color(&self) -> BackendColor {
        BackendColor { alpha: 1.0, rgb: self.ink.light }
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

struct Lettering(Text);

impl BackendTextStyle for Lettering {
    type FontError = std::convert::Infallible;

    fn color(&self) -> BackendColor {
        BackendColor { alpha: 1.0, rgb: self.0.ink.light }
    }

    fn size(&self) -> f64 {
        // Both backends divide by 1.24 to get the em.
        self.0.size * f64::from(theme::SCALE) * 1.24
    }

    fn style(&self) -> FontStyle {
        if self.0.bold { FontStyle::Bold } else { FontStyle::Normal }
    }

    fn anchor(&self) -> Pos {
        let h = match self.0.align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        Pos::new(h, VPos::Center)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::SansSerif
    }

    fn layout_box(&self, _text: &str) -> Result<((i32, i32), (i32, i32)), Self::FontError> {
        Ok(((0, 0), (0, 0))) // neither backend asks
    }

    fn draw<E, D: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        _text: &str,
        _pos: BackendCoord,
        _draw: D,
    ) -> Result<Result<(), E>, Self::FontError> {
        Ok(Ok(())) // both backends write text themselves
    }
}
