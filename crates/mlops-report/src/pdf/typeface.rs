//! The two fonts of a PDF: measuring, encoding and embedding what is used of them.
//!
//! Each character that occurs gets a number of its own, which the file maps to a glyph and back to
//! the character: what is copied out of the file is the text that was put in, also where Noto Sans
//! has no glyph and a box is seen. Not for breaking lines: see `text`.

use std::collections::HashMap;

use ab_glyph::{Font, FontRef, GlyphId};
use mlops_core::{Error, Result};
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Finish, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;

use crate::font;

const SYSTEM: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// What is seen of a character: Noto Sans has no raised minus sign, but one that looks like it.
fn glyph(face: &FontRef<'_>, c: char) -> GlyphId {
    face.glyph_id(if c == '⁻' { '¯' } else { c })
}

/// Noto Sans in one weight, with the characters used so far.
pub(super) struct Typeface {
    face: &'static FontRef<'static>,
    bold: bool,
    /// Thousandths of the em for one unit of the font.
    unit: f64,
    advances: HashMap<char, f64>,
    numbers: HashMap<char, u16>,
    /// In the order of their numbers, which begin with 1.
    used: Vec<char>,
}

impl Typeface {
    pub(super) fn new(bold: bool) -> Result<Self> {
        let face = font::face(bold)?;
        let unit = 1000.0 / f64::from(face.units_per_em().unwrap_or(1000.0));
        let (advances, numbers) = (HashMap::new(), HashMap::new());
        Ok(Self { face, bold, unit, advances, numbers, used: Vec::new() })
    }

    /// The width of a character, as a share of the em.
    pub(super) fn advance(&mut self, c: char) -> f64 {
        let (face, unit) = (self.face, self.unit);
        let of = |c| f64::from(face.h_advance_unscaled(glyph(face, c))) * unit / 1000.0;
        *self.advances.entry(c).or_insert_with(|| of(c))
    }

    /// A text as the file spells it: two bytes for each character.
    pub(super) fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() * 2);
        for c in text.chars() {
            let (used, numbers) = (&mut self.used, &mut self.numbers);
            let number = *numbers.entry(c).or_insert_with(|| {
                // After 65,535 different characters there are boxes.
                let number = u16::try_from(used.len() + 1).unwrap_or(0);
                if number > 0 {
                    used.push(c);
                }
                number
            });
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    /// Writes the font with the glyphs that are used; `ids` gives numbers to objects.
    pub(super) fn embed(&self, pdf: &mut Pdf, id: Ref, ids: &mut Ref) -> Result<()> {
        let (data, name): (&[u8], _) = if self.bold {
            (notosans::BOLD_TTF, "NotoSans-Bold")
        } else {
            (notosans::REGULAR_TTF, "NotoSans-Regular")
        };
        let mut glyphs = GlyphRemapper::new();
        let mut map = vec![0, 0];
        for c in &self.used {
            map.extend(glyphs.remap(glyph(self.face, *c).0).to_be_bytes());
        }
        let subset = subsetter::subset(data, 0, &glyphs)
            .map_err(|e| Error::backend("subsetter", std::io::Error::other(e.to_string())))?;
        let base = format!("{}+{name}", self.tag());
        let (cid, descriptor, file) = (ids.bump(), ids.bump(), ids.bump());
        let (to_unicode, to_glyph) = (ids.bump(), ids.bump());
        pdf.type0_font(id)
            .base_font(Name(base.as_bytes()))
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(cid)
            .to_unicode(to_unicode);
        let mut font = pdf.cid_font(cid);
        font.subtype(CidFontType::Type2).base_font(Name(base.as_bytes())).system_info(SYSTEM);
        font.font_descriptor(descriptor).default_width(0.0).cid_to_gid_map_stream(to_glyph);
        let width =
            |c: char| font_unit(self.face.h_advance_unscaled(glyph(self.face, c)), self.unit);
        font.widths()
            .consecutive(0, std::iter::once(0.0).chain(self.used.iter().map(|c| width(*c))));
        font.finish();
        let bounds = Rect::new(-621.0, -389.0, 2800.0, 1067.0);
        pdf.font_descriptor(descriptor)
            .name(Name(base.as_bytes()))
            .flags(FontFlags::NON_SYMBOLIC)
            .bbox(bounds)
            .italic_angle(0.0)
            .ascent(font_unit(self.face.ascent_unscaled(), self.unit))
            .descent(font_unit(self.face.descent_unscaled(), self.unit))
            .cap_height(714.0)
            .stem_v(if self.bold { 140.0 } else { 80.0 })
            .font_file2(file);
        let packed = super::packed(&subset)?;
        let length = i32::try_from(subset.len()).unwrap_or(i32::MAX);
        let mut stream = pdf.stream(file, &packed);
        stream.filter(pdf_writer::Filter::FlateDecode).pair(Name(b"Length1"), length);
        stream.finish();
        let mut cmap = UnicodeCmap::new(Name(b"Characters"), SYSTEM);
        for (k, c) in self.used.iter().enumerate() {
            cmap.pair(u16::try_from(k + 1).unwrap_or(0), *c);
        }
        let packed = super::packed(cmap.finish().as_slice())?;
        pdf.stream(to_unicode, &packed).filter(pdf_writer::Filter::FlateDecode);
        let packed = super::packed(&map)?;
        pdf.stream(to_glyph, &packed).filter(pdf_writer::Filter::FlateDecode);
        Ok(())
    }

    /// Six letters that differ between subsets, made of what is in this one.
    fn tag(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for c in &self.used {
            hash = (hash ^ u64::from(u32::from(*c))).wrapping_mul(0x0100_0000_01b3);
        }
        let letter = |k: u32| char::from(b'A' + u8::try_from((hash >> (k * 8)) % 26).unwrap_or(0));
        (0..6).map(letter).collect()
    }
}

/// A length of the font in thousandths of the em, to a hundredth of them.
#[expect(clippy::cast_possible_truncation, reason = "lengths of fonts are small")]
fn font_unit(length: f32, unit: f64) -> f32 {
    ((f64::from(length) * unit * 100.0).round() / 100.0) as f32
}
