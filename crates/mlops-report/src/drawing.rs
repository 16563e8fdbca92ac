//! A plotters backend that keeps what is drawn as shapes, for the PDF to draw again.
//!
//! Texts have their positions from the same rules as in `raster`. Not for the syntax of PDF: see
//! `pdf`.

use mlops_core::Error;
use plotters::prelude::{DrawingBackend, FontStyle};
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};

use crate::font;
use crate::theme::Rgb;

/// A picture as shapes, from back to front, in device units with the origin at the top left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawing {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) shapes: Vec<Shape>,
}

/// A part of a picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A line with round ends through all points.
    Line(Vec<BackendCoord>, u32, Rgb),
    /// A filled polygon.
    Area(Vec<BackendCoord>, Rgb),
    /// A filled disc.
    Disc(BackendCoord, u32, Rgb),
    /// A text that starts at a point of its baseline.
    Text { start: (f64, f64), em: f64, bold: bool, ink: Rgb, text: String },
}

type Drawn = Result<(), DrawingErrorKind<Error>>;

impl Drawing {
    /// White paper.
    pub(crate) fn new((width, height): (u32, u32)) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    /// The lowest height, at most `most` below `from`, at which a cut goes through no text.
    pub(crate) fn cut(&self, from: f64, most: f64) -> f64 {
        let end = from + most;
        if end >= f64::from(self.height) {
            return f64::from(self.height);
        }
        let mut at = end;
        loop {
            let through = self.shapes.iter().filter_map(|shape| match shape {
                Shape::Text { start, em, .. } => {
                    let (top, bottom) = (start.1 - em, start.1 + 0.4 * em);
                    (top < at && at < bottom).then_some(top)
                }
                _ => None,
            });
            match through.min_by(f64::total_cmp) {
                Some(top) if top > from => at = top,
                // Nothing but text, from top to bottom.
                Some(_) => return end,
                None => return at,
            }
        }
    }
}

fn seen(color: BackendColor) -> Option<Rgb> {
    // What the charts draw is opaque or invisible.
    (color.alpha > 0.0).then_some(color.rgb)
}

/// Implemented for a reference, so that the shapes remain when plotters is done.
impl DrawingBackend for &mut Drawing {
    type ErrorType = Error;

    fn get_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        let corners = vec![(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)];
        self.shapes.extend(seen(color).map(|ink| Shape::Area(corners, ink)));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S) -> Drawn {
        self.draw_path([a, b], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        if fill {
            return self.fill_polygon(corners, style);
        }
        self.draw_path(corners.into_iter().chain([(left, top)]), style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points: Vec<_> = path.into_iter().collect();
        if points.len() > 1 {
            let line =
                seen(style.color()).map(|ink| Shape::Line(points, style.stroke_width(), ink));
            self.shapes.extend(line);
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        self.shapes.extend(seen(style.color()).map(|ink| Shape::Disc(center, radius, ink)));
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Drawn {
        let corners = vertices.into_iter().collect();
        self.shapes.extend(seen(style.color()).map(|ink| Shape::Area(corners, ink)));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        let bold = matches!(style.style(), FontStyle::Bold);
        let em = style.size() / 1.24;
        let width = font::advance(text, em, bold).map_err(DrawingErrorKind::DrawingError)?;
        let (x, y) = (f64::from(x), f64::from(y));
        let left = match style.anchor().h_pos {
            HPos::Left => x,
            HPos::Center => x - width / 2.0,
            HPos::Right => x - width,
        };
        let baseline = match style.anchor().v_pos {
            VPos::Top => y + 0.76 * em,
            VPos::Center => y + 0.5 * font::X_HEIGHT * em,
            VPos::Bottom => y - 0.5 * font::X_HEIGHT * em,
        };
        let ink = seen(style.color());
        let text = font::clean(text);
        self.shapes.extend(ink.filter(|_| !text.trim().is_empty()).map(|ink| Shape::Text {
            start: (left, baseline),
            em,
            bold,
            ink,
            text,
        }));
        Ok(())
    }
}
