//! The typeface, Noto Sans: loaded once, measured, and elided to a width.
//!
//! Not for drawing: `raster` does that with these fonts. SVG text names a generic family instead,
//! so that its widths differ slightly between viewers; leave some room.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};
use mlops_core::{Error, Result};

/// Height of a lowercase letter as a share of the em; SVG centres text on it.
pub(crate) const X_HEIGHT: f64 = 0.536;

static REGULAR: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
static BOLD: OnceLock<Option<FontRef<'static>>> = OnceLock::new();

/// Noto Sans in regular or bold.
pub(crate) fn face(bold: bool) -> Result<&'static FontRef<'static>> {
    let (slot, bytes) =
        if bold { (&BOLD, notosans::BOLD_TTF) } else { (&REGULAR, notosans::REGULAR_TTF) };
    slot.get_or_init(|| FontRef::try_from_slice(bytes).ok())
        .as_ref()
        .ok_or_else(|| Error::backend("ab_glyph", "the embedded font cannot be read"))
}

/// The scale of `ab_glyph` at which the em is `em` pixels.
#[expect(clippy::cast_possible_truncation, reason = "sizes of text are small")]
pub(crate) fn scale(face: &FontRef<'_>, em: f64) -> PxScale {
    let units = face.units_per_em().unwrap_or(1000.0);
    PxScale::from(em as f32 * face.height_unscaled() / units)
}

/// The width of `text` at font size `em`.
pub fn width(text: &str, em: f64, bold: bool) -> Result<f64> {
    let face = face(bold)?;
    let scaled = face.as_scaled(scale(face, em));
    let mut previous = None;
    let mut width = 0.0;
    for c in text.chars() {
        let glyph = scaled.glyph_id(c);
        if let Some(previous) = previous {
            width += scaled.kern(previous, glyph);
        }
        width += scaled.h_advance(glyph);
        previous = Some(glyph);
    }
    Ok(f64::from(width))
}

/// The width of `text` at font size `em` where letters are not moved closer together.
pub(crate) fn advance(text: &str, em: f64, bold: bool) -> Result<f64> {
    let face = face(bold)?;
    let units = f64::from(face.units_per_em().unwrap_or(1000.0));
    let sum: f64 = text.chars().map(|c| f64::from(face.h_advance_unscaled(face.glyph_id(c)))).sum();
    Ok(sum / units * em)
}

/// `text` if it fits into `room`, otherwise its beginning with an ellipsis.
pub fn elide(text: &str, room: f64, em: f64, bold: bool) -> Result<String> {
    // Text of this length does not fit anywhere and need not be measured.
    if text.len() <= 1000 && width(text, em, bold)? <= room {
        return Ok(text.to_owned());
    }
    let face = face(bold)?;
    let scaled = face.as_scaled(scale(face, em));
    let advance = |c| f64::from(scaled.h_advance(scaled.glyph_id(c)));
    let mut left = room - advance('…');
    let fits = |c: &char| {
        left -= advance(*c);
        left >= 0.0
    };
    let kept: String = text.chars().take_while(fits).collect();
    Ok(format!("{}…", kept.trim_end()))
}

/// Text without characters that no document may contain: control characters and direction marks.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| {
            !matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        })
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
            c if c.is_control() => '\u{FFFD}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_is_left_alone() {
        assert_eq!(elide("left", 100.0, 12.0, false).unwrap(), "left");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis_and_fits() {
        let long = "a feature with a name that nobody can remember ".repeat(30);
        let elided = elide(&long, 100.0, 12.0, false).unwrap();
        assert!(elided.ends_with('…') && elided.chars().count() > 5);
        assert!(width(&elided, 12.0, false).unwrap() <= 101.0);
        assert_eq!(elide("anything", 0.0, 12.0, true).unwrap(), "…");
    }

    #[test]
    fn control_characters_go() {
        assert_eq!(clean("a\u{0}b\nc\u{202E}d"), "a\u{FFFD}b cd");
    }
}
