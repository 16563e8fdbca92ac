//! The canvas of the charts: plotters' elements on a drawing area measured in design units.
//!
//! Not for charts with two axes: see `plot`.

use mlops_core::{Error, Result};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::element::{
    Circle, DashedPathElement, Drawable, PathElement, PointCollection, Polygon,
};
use plotters::prelude::{
    Cartesian2d, Color, DrawingArea, DrawingBackend, FontDesc, FontFamily, FontStyle,
    IntoDrawingArea, RGBColor, Rectangle, Text as Label, TextStyle,
};
use plotters::style::ShapeStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::font;
use crate::theme::{self, Ink};

/// A drawing surface measured in design units, the origin at the top left.
pub struct Canvas<B: DrawingBackend> {
    /// The same surface in device units.
    root: DrawingArea<B, Shift>,
    page: DrawingArea<B, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    /// Width in design units.
    pub width: f64,
    /// Height in design units.
    pub height: f64,
}

/// Which part of a text is at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// The position is where the text starts.
    Left,
    /// The position is the middle of the text.
    Center,
    /// The position is where the text ends.
    Right,
}

/// The look of a text.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// Font size: the em in design units.
    pub size: f64,
    /// Bold rather than regular.
    pub bold: bool,
    /// Colour.
    pub ink: Ink,
    /// Which part of the text is at its position.
    pub align: Align,
}

impl Text {
    /// Regular text that starts at its position.
    pub const fn new(size: f64, ink: Ink) -> Self {
        Self { size, bold: false, ink, align: Align::Left }
    }

    /// The same look in bold.
    #[must_use]
    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The same look with another alignment.
    #[must_use]
    pub const fn align(self, align: Align) -> Self {
        Self { align, ..self }
    }

    /// The look in plotters' terms.
    pub(crate) fn style(self) -> TextStyle<'static> {
        let weight = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        // Both backends divide by 1.24 to get the em.
        let size = self.size * f64::from(theme::SCALE) * 1.24;
        let anchor = match self.align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        TextStyle {
            font: FontDesc::new(FontFamily::SansSerif, size, weight),
            color: color(self.ink).to_backend_color(),
            pos: Pos::new(anchor, VPos::Center),
        }
    }
}

impl<B: DrawingBackend> Canvas<B> {
    /// A canvas of the whole of `backend`, painted with the paper colour.
    pub fn new(backend: B) -> Result<Self> {
        let root = backend.into_drawing_area();
        root.fill(&color(theme::PAPER)).map_err(failed)?;
        let (across, down) = root.get_pixel_range();
        let scale = f64::from(theme::SCALE);
        let (width, height) = (f64::from(across.end) / scale, f64::from(down.end) / scale);
        let page = root.apply_coord_spec(Cartesian2d::new(0.0..width, 0.0..height, (across, down)));
        Ok(Self { root, page, width, height })
    }

    /// The surface in device units.
    pub(crate) fn root(&self) -> &DrawingArea<B, Shift> {
        &self.root
    }

    fn draw<E>(&self, element: &E) -> Result<()>
    where
        for<'e> &'e E: PointCollection<'e, (f64, f64)>,
        E: Drawable<B>,
    {
        self.page.draw(element).map_err(failed)
    }

    /// A filled rectangle.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, ink: Ink) -> Result<()> {
        self.draw(&Rectangle::new([(x, y), (x + width, y + height)], fill(ink)))
    }

    /// A straight line.
    pub fn line(&mut self, a: (f64, f64), b: (f64, f64), width: f64, ink: Ink) -> Result<()> {
        self.draw(&PathElement::new([a, b], stroke(ink, width)))
    }

    /// A straight dashed line.
    pub fn dashed(&mut self, a: (f64, f64), b: (f64, f64), width: f64, ink: Ink) -> Result<()> {
        let (dash, gap) = dashes(width);
        self.draw(&DashedPathElement::new([a, b], dash, gap, stroke(ink, width)))
    }

    /// A line through points.
    pub fn path(&mut self, points: &[(f64, f64)], width: f64, ink: Ink) -> Result<()> {
        self.draw(&PathElement::new(points, stroke(ink, width)))
    }

    /// A filled area with these corners.
    pub fn area(&mut self, corners: &[(f64, f64)], ink: Ink) -> Result<()> {
        self.draw(&Polygon::new(corners, fill(ink)))
    }

    /// A filled disc.
    pub fn disc(&mut self, centre: (f64, f64), radius: f64, ink: Ink) -> Result<()> {
        self.draw(&Circle::new(centre, device(radius), fill(ink)))
    }

    /// Text whose capitals are centred vertically on `y`.
    pub fn text(&mut self, x: f64, y: f64, text: &str, look: Text) -> Result<()> {
        let at = (x, y + CAPITALS * look.size);
        self.draw(&Label::new(font::clean(text), at, look.style()))
    }

    /// Text shrunk until it fits: for numbers, which must not be cut.
    pub fn text_shrunk(&mut self, x: f64, y: f64, room: f64, text: &str, look: Text) -> Result<()> {
        let width = font::width(text, look.size, look.bold)?;
        let size = if width > room { look.size * room / width } else { look.size };
        self.text(x, y, text, Text { size, ..look })
    }

    /// Text elided to a width.
    pub fn text_within(&mut self, x: f64, y: f64, room: f64, text: &str, look: Text) -> Result<()> {
        let elided = font::elide(&font::clean(text), room, look.size, look.bold)?;
        self.text(x, y, &elided, look)
    }
}

/// SVG centres lowercase letters; capitals and digits extend further up by this share of the em.
pub(crate) const CAPITALS: f64 = 0.09;

/// A length in device units.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub(crate) fn device(length: f64) -> i32 {
    (length * f64::from(theme::SCALE)).round() as i32
}

/// Dash and gap in device units; round ends make dashes longer by the width of the line.
pub(crate) fn dashes(width: f64) -> (i32, i32) {
    (device(3.5 - width), device(2.5 + width))
}

fn color(ink: Ink) -> RGBColor {
    let (red, green, blue) = ink.light;
    RGBColor(red, green, blue)
}

pub(crate) fn fill(ink: Ink) -> ShapeStyle {
    color(ink).filled()
}

pub(crate) fn stroke(ink: Ink, width: f64) -> ShapeStyle {
    color(ink).stroke_width(device(width).max(1).unsigned_abs())
}

pub(crate) fn failed<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> Error {
    Error::backend("plotters", error)
}
