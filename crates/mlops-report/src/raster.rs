//! A plotters backend that fills pixels in memory, and the PNG that comes of it.
//!
//! Pictures are drawn larger than asked for and averaged down, which gives smooth edges without
//! any cleverness. plotters has a bitmap backend of its own; this one places glyphs by their
//! bearings and text where SVG would put it, so that both outputs look the same, and needs no
//! image library. Not for SVG.

use ab_glyph::{Font, ScaleFont, point};
use mlops_core::{Error, Result};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle,
};

use crate::font;

/// A picture in memory, three bytes a pixel.
pub(crate) struct Raster {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

type Drawn = Result<(), DrawingErrorKind<Error>>;

impl Raster {
    /// White paper.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self { width, height, rgb: vec![0xFF; width as usize * height as usize * 3] }
    }

    /// The picture at `1 / factor` of its size, as the bytes of a PNG file.
    pub(crate) fn into_png(self, factor: u32) -> Result<Vec<u8>> {
        let small = self.averaged(factor.max(1));
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, small.width, small.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let failed = |e: png::EncodingError| Error::backend("png", e);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&small.rgb).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }

    fn averaged(&self, factor: u32) -> Self {
        let (width, height) = (self.width / factor, self.height / factor);
        let mut small = Self::new(width, height);
        let step = factor as usize;
        let stride = self.width as usize * 3;
        for (y, row) in small.rgb.chunks_exact_mut(width as usize * 3).enumerate() {
            for (x, byte) in row.iter_mut().enumerate() {
                let (column, channel) = (x / 3, x % 3);
                let mut sum = 0_usize;
                for dy in 0..step {
                    let from = (y * step + dy) * stride + column * step * 3 + channel;
                    sum += (0..step).map(|dx| usize::from(self.rgb[from + dx * 3])).sum::<usize>();
                }
                *byte = u8::try_from((sum + step * step / 2) / (step * step)).unwrap_or(u8::MAX);
            }
        }
        small
    }

    fn blend(&mut self, x: i32, y: i32, color: BackendColor) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if x < self.width && y < self.height {
            let at = (y as usize * self.width as usize + x as usize) * 3;
            mix(&mut self.rgb[at..at + 3], color);
        }
    }

    /// Fills the pixels of row `y` from `from` up to, not including, `to`.
    fn span(&mut self, y: i32, from: i32, to: i32, color: BackendColor) {
        let clip = |x: i32| u32::try_from(x.max(0)).unwrap_or(0).min(self.width) as usize;
        let (from, to) = (clip(from), clip(to));
        let Ok(y) = u32::try_from(y) else { return };
        if y >= self.height || from >= to {
            return;
        }
        let row = y as usize * self.width as usize;
        for pixel in self.rgb[(row + from) * 3..(row + to) * 3].chunks_exact_mut(3) {
            mix(pixel, color);
        }
    }

    /// Fills a polygon by scan lines, inside and outside alternating at each edge.
    fn fill(&mut self, corners: &[(f64, f64)], color: BackendColor) {
        let Some(last) = corners.last() else { return };
        let low = corners.iter().map(|c| c.1).fold(f64::INFINITY, f64::min);
        let high = corners.iter().map(|c| c.1).fold(f64::NEG_INFINITY, f64::max);
        let rows = i32::try_from(self.height).unwrap_or(i32::MAX);
        let mut crossings = Vec::new();
        for y in whole(low).max(0)..=whole(high).min(rows - 1) {
            let middle = f64::from(y) + 0.5;
            crossings.clear();
            let mut a = *last;
            for &b in corners {
                if (a.1 <= middle) != (b.1 <= middle) {
                    crossings.push(a.0 + (middle - a.1) * (b.0 - a.0) / (b.1 - a.1));
                }
                a = b;
            }
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                self.span(y, whole(pair[0] + 0.5), whole(pair[1] + 0.5), color);
            }
        }
    }

    /// A line with round ends.
    fn stroke(&mut self, a: BackendCoord, b: BackendCoord, width: u32, color: BackendColor) {
        let (a, b) = (float(a), float(b));
        let radius = f64::from(width) / 2.0;
        let along = (b.1 - a.1).atan2(b.0 - a.0);
        let half = |centre: (f64, f64), start: f64| {
            (0..=12_u8).map(move |k| {
                let angle = start + f64::from(k) * std::f64::consts::PI / 12.0;
                (centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin())
            })
        };
        let quarter = std::f64::consts::FRAC_PI_2;
        let corners: Vec<_> = half(b, along - quarter).chain(half(a, along + quarter)).collect();
        self.fill(&corners, color);
    }
}

fn mix(pixel: &mut [u8], color: BackendColor) {
    let (r, g, b) = color.rgb;
    for (old, new) in pixel.iter_mut().zip([r, g, b]) {
        let mixed = f64::from(*old) + (f64::from(new) - f64::from(*old)) * color.alpha;
        *old = if color.alpha >= 1.0 { new } else { byte(mixed) };
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn byte(value: f64) -> u8 {
    value.round() as u8
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn whole(value: f64) -> i32 {
    value.floor() as i32
}

fn float((x, y): BackendCoord) -> (f64, f64) {
    (f64::from(x), f64::from(y))
}

impl DrawingBackend for Raster {
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
        self.blend(x, y, color);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S) -> Drawn {
        self.stroke(a, b, style.stroke_width(), style.color());
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if fill {
            for y in top..bottom {
                self.span(y, left, right, style.color());
            }
            return Ok(());
        }
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        self.draw_path(corners, style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points: Vec<_> = path.into_iter().collect();
        for pair in points.windows(2) {
            self.stroke(pair[0], pair[1], style.stroke_width(), style.color());
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
        self.stroke(center, center, radius * 2, style.color());
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Drawn {
        let corners: Vec<_> = vertices.into_iter().map(float).collect();
        self.fill(&corners, style.color());
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        pos: BackendCoord,
    ) -> Drawn {
        let bold = matches!(style.style(), FontStyle::Bold);
        // The same two numbers as in plotters' SVG: 1.24 of height to the em, and half an x-height.
        let em = style.size() / 1.24;
        let width = font::width(text, em, bold).map_err(DrawingErrorKind::DrawingError)?;
        let (x, y) = float(pos);
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

impl Raster {
    #[expect(clippy::cast_possible_truncation, reason = "positions are within a picture")]
    fn glyphs(
        &mut self,
        text: &str,
        em: f64,
        bold: bool,
        (start, baseline): (f64, f64),
        color: BackendColor,
    ) -> Result<()> {
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
                let alpha = color.alpha * f64::from(covered.clamp(0.0, 1.0));
                let (x, y) = (x.cast_signed() + left, y.cast_signed() + top);
                self.blend(x, y, BackendColor { alpha, rgb: color.rgb });
            });
        }
        Ok(())
    }
}
