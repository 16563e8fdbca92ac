//! A plotters backend that fills pixels, and PNG output, a band of rows at a time.
//!
//! Used instead of plotters' own bitmap backend because it places glyphs by their bearings and text
//! where SVG would, so that both outputs look the same, draws smooth edges at any width, and needs
//! no image library. Not for SVG, and not for the geometry of edges: see `anti_aliasing`.

use std::io::Write as _;

use ab_glyph::{Font, ScaleFont, point};
use mlops_core::{Error, Result};
use plotters::prelude::{DrawingBackend, FontStyle};
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};

use crate::anti_aliasing::Coverage;
use crate::font;

/// Rows of pixels that are in memory at a time.
const BAND: usize = 240;
/// Bytes of a part of a PNG file.
const PART: usize = 64 << 10;

/// A band of rows of a picture.
pub(crate) struct Raster {
    /// Pixels per device unit, in both directions.
    factor: f64,
    /// Size in device units, as plotters sees it.
    size: (u32, u32),
    width: usize,
    /// The first row of the band.
    top: usize,
    /// The rows of the band.
    pixels: Vec<[u8; 3]>,
    coverage: Coverage,
}

type Drawn = Result<(), DrawingErrorKind<Error>>;

/// The picture that `paint` draws, of `size` device units with `factor` of them to each pixel, as a PNG file. It is
/// drawn band by band, so that memory holds a part of its pixels only.
pub(crate) fn png(
    size: (u32, u32),
    factor: u32,
    paint: impl Fn(&mut Raster) -> Result<()>,
) -> Result<Vec<u8>> {
    in_bands(size, factor, BAND, paint)
}

/// The same in bands of `band` rows.
fn in_bands(
    size: (u32, u32),
    factor: u32,
    band: usize,
    paint: impl Fn(&mut Raster) -> Result<()>,
) -> Result<Vec<u8>> {
    let factor = factor.max(1);
    let (width, height) = (size.0 / factor, size.1 / factor);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Takes a tenth of the time of better settings, for files half as large again.
    encoder.set_compression(png::Compression::Fast);
    // Choosing the best filter for each row would take longer than everything else, for files
    // smaller by a twentieth.
    encoder.set_filter(png::Filter::Paeth);
    let failed = |e: png::EncodingError| Error::backend("png", e);
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut stream = writer.stream_writer_with_size(PART).map_err(failed)?;
    let written = |e| Error::backend("png", e);
    let (width, height) = (width as usize, height as usize);
    let mut raster = Raster::new(size, factor, band.min(height));
    for top in (0..height).step_by(band) {
        raster.clear(top);
        paint(&mut raster)?;
        let rows = band.min(height - top);
        let shown = raster.pixels.get(..rows * width).unwrap_or_default();
        stream.write_all(shown.as_flattened()).map_err(written)?;
    }
    stream.finish().map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

impl Raster {
    /// White paper, `rows` pixels high, of a picture of `size` device units.
    fn new(size: (u32, u32), factor: u32, rows: usize) -> Self {
        let width = (size.0 / factor) as usize;
        Self {
            factor: f64::from(factor),
            size,
            width,
            top: 0,
            pixels: vec![[0xFF; 3]; width * rows],
            coverage: Coverage::new(width, rows),
        }
    }

    /// Makes the paper white again, and the band begin at row `top`.
    fn clear(&mut self, top: usize) {
        self.top = top;
        self.pixels.fill([0xFF; 3]);
        self.coverage.move_to(top);
    }

    /// Whether the rows from `low` to `high` are all outside the band.
    fn misses(&self, low: f64, high: f64) -> bool {
        let bottom = self.top + self.pixels.len() / self.width.max(1);
        high < self.top as f64 || low > bottom as f64
    }

    /// A point in pixels.
    fn pixel(&self, (x, y): BackendCoord) -> (f64, f64) {
        (f64::from(x) / self.factor, f64::from(y) / self.factor)
    }

    /// Adds a line with round ends.
    fn stroke(&mut self, a: BackendCoord, b: BackendCoord, width: u32) {
        let (a, b) = (self.pixel(a), self.pixel(b));
        let radius = f64::from(width) / self.factor / 2.0;
        if self.misses(a.1.min(b.1) - radius - 1.0, a.1.max(b.1) + radius + 1.0) {
            return;
        }
        let along = (b.1 - a.1).atan2(b.0 - a.0);
        let half = |centre: (f64, f64), start: f64| {
            (0..=12_u8).map(move |k| {
                let angle = start + f64::from(k) * std::f64::consts::PI / 12.0;
                (centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin())
            })
        };
        let quarter = std::f64::consts::FRAC_PI_2;
        let corners: Vec<_> = half(b, along - quarter).chain(half(a, along + quarter)).collect();
        self.coverage.add(&corners);
    }

    /// Colours the covered pixels and clears the coverage.
    fn ink(&mut self, color: BackendColor) {
        let Self { coverage, pixels, width, .. } = self;
        coverage.drain(|row, from, cells| {
            let pixels = &mut pixels[row * *width + from..][..cells.len()];
            let (r, g, b) = color.rgb;
            let opaque = color.alpha >= 1.0;
            for (pixel, covered) in pixels.iter_mut().zip(cells) {
                match *covered {
                    0 => {}
                    255 if opaque => *pixel = [r, g, b],
                    covered => mix(pixel, color, f64::from(covered) / 255.0),
                }
            }
        });
    }

    #[expect(clippy::cast_possible_truncation, reason = "positions are within a picture")]
    fn glyphs(
        &mut self,
        text: &str,
        em: f64,
        bold: bool,
        (start, baseline): (f64, f64),
        color: BackendColor,
    ) -> Result<()> {
        // No glyph reaches further than that.
        if self.misses(baseline - 2.0 * em, baseline + 2.0 * em) {
            return Ok(());
        }
        let face = font::face(bold)?;
        let scaled = face.as_scaled(font::scale(face, em));
        let mut caret = start as f32;
        let mut previous = None;
        for c in text.chars() {
            let mut glyph = scaled.scaled_glyph(c);
            if let Some(previous) = previous {
                caret += scaled.kern(previous, glyph.id);
            }
            previous = Some(glyph.id);
            glyph.position = point(caret, baseline as f32);
            caret += scaled.h_advance(glyph.id);
            let Some(outline) = scaled.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            let (left, top) = (corner.x as i32, corner.y as i32);
            outline.draw(|x, y, covered| {
                let at = (x.cast_signed() + left, y.cast_signed() + top);
                if let (Ok(x), Ok(y)) = (usize::try_from(at.0), usize::try_from(at.1))
                    && x < self.width
                    && let Some(row) = y.checked_sub(self.top)
                    && let Some(pixel) = self.pixels.get_mut(row * self.width + x)
                {
                    mix(pixel, color, f64::from(covered.clamp(0.0, 1.0)));
                }
            });
        }
        Ok(())
    }
}

fn mix(pixel: &mut [u8; 3], color: BackendColor, covered: f64) {
    let (r, g, b) = color.rgb;
    let alpha = covered * color.alpha;
    for (old, new) in pixel.iter_mut().zip([r, g, b]) {
        let mixed = f64::from(*old) + (f64::from(new) - f64::from(*old)) * alpha;
        *old = if alpha >= 1.0 { new } else { byte(mixed) };
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn byte(value: f64) -> u8 {
    (value + 0.5) as u8
}

/// Implemented for a reference, so that the picture remains when plotters is done.
impl DrawingBackend for &mut Raster {
    type ErrorType = Error;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.coverage.add(&[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)].map(|c| self.pixel(c)));
        self.ink(color);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S) -> Drawn {
        self.stroke(a, b, style.stroke_width());
        self.ink(style.color());
        Ok(())
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
        if style.color().alpha <= 0.0 {
            return Ok(());
        }
        let points: Vec<_> = path.into_iter().collect();
        for pair in points.windows(2) {
            self.stroke(pair[0], pair[1], style.stroke_width());
        }
        self.ink(style.color());
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        self.stroke(center, center, radius * 2);
        self.ink(style.color());
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Drawn {
        let corners: Vec<_> = vertices.into_iter().map(|c| self.pixel(c)).collect();
        self.coverage.add(&corners);
        self.ink(style.color());
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        pos: BackendCoord,
    ) -> Drawn {
        let bold = matches!(style.style(), FontStyle::Bold);
        // The same two numbers as in plotters' SVG: 1.24 of height per em, and half an x-height.
        let em = style.size() / 1.24 / self.factor;
        let width = font::width(text, em, bold).map_err(DrawingErrorKind::DrawingError)?;
        let (x, y) = self.pixel(pos);
        let start = match style.anchor().h_pos {
            HPos::Left => x,
            HPos::Center => x - width / 2.0,
            HPos::Right => x - width,
        };
        let baseline = match style.anchor().v_pos {
            VPos::Top => y + 0.76 * em,
            VPos::Center => y + 0.5 * font::X_HEIGHT * em,
            VPos::Bottom => y - 0.5 * font::X_HEIGHT * em,
        };
        self.glyphs(text, em, bold, (start, baseline), style.color())
            .map_err(DrawingErrorKind::DrawingError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{Canvas, Text};
    use crate::theme;

    #[test]
    fn no_seam_is_between_bands() {
        let whole = |band| {
            in_bands((1200, 900), 2, band, |raster| {
                let mut canvas = Canvas::new(raster)?;
                canvas.text(10.0, 60.0, "ÅÄgjpq|", Text::new(90.0, theme::TEXT))?;
                canvas.line((3.0, 2.0), (190.0, 141.0), 7.0, theme::BLUE)?;
                canvas.rect(20.0, 33.0, 80.0, 61.5, theme::BLUE_TINT)
            })
            .unwrap()
        };
        let expected = whole(450);
        for band in [1, 7, 64, 449] {
            assert!(whole(band) == expected, "bands of {band} rows");
        }
    }
}
