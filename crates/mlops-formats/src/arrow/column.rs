//! A column of an Arrow batch: its cells, one after the other.
//!
//! Not for where its buffers lie: see [`super::batch`].

use std::io;
use std::sync::Arc;

use super::layout::{Integer, Kind, Scale};
use super::stored::{Bits, Pool, Stored, damaged};
use crate::spell;
use crate::typed::{self, Meaning, Speller};

/// The cells of a column from the next row on.
pub(super) struct Column {
    pub(super) kind: Kind,
    /// Whether it and the structures around it have a value; those that always have one are left out.
    pub(super) valid: Vec<Bits>,
    pub(super) values: Values,
    /// The values that its numbers stand for.
    pub(super) dictionary: Option<Arc<Dictionary>>,
}

/// The values that follow.
pub(super) enum Values {
    Nothing,
    Bits(Bits),
    Fixed(Stored),
    Text(Text),
    Views(Stored, Vec<Pool>),
}

/// Texts between offsets.
pub(super) struct Text {
    pub(super) offsets: Stored,
    pub(super) wide: bool,
    /// The offset at which the next text begins, once the first one was read.
    pub(super) next: Option<u64>,
    pub(super) bytes: Stored,
    /// Where these are.
    pub(super) at: u64,
}

/// The cells of a dictionary, as they are spelt.
#[derive(Debug, Default, Clone)]
pub(super) struct Dictionary {
    pub(super) text: Vec<u8>,
    /// Where each cell ends.
    pub(super) ends: Vec<usize>,
}

impl Dictionary {
    fn cell(&self, number: i128) -> io::Result<&[u8]> {
        let cell = usize::try_from(number).ok().and_then(|number| {
            let start = number.checked_sub(1).map_or(Some(&0), |last| self.ends.get(last))?;
            self.text.get(*start..*self.ends.get(number)?)
        });
        cell.ok_or_else(|| damaged("a value lies outside its dictionary"))
    }
}

impl Text {
    fn offset(&mut self) -> io::Result<u64> {
        let offset = if self.wide {
            i64::from_le_bytes(self.offsets.array()?)
        } else {
            i32::from_le_bytes(self.offsets.array()?).into()
        };
        u64::try_from(offset).map_err(|_| damaged("a text begins before its buffer"))
    }

    /// Appends the next text as a cell. Of one of more than `most` bytes as many and one more are appended.
    fn push(&mut self, most: usize, is_valid: bool, out: &mut Vec<u8>) -> io::Result<()> {
        let start = match self.next {
            Some(start) => start,
            None => self.offset()?,
        };
        let end = self.offset()?;
        self.next = Some(end);
        let backwards = || damaged("a text ends before it begins");
        self.bytes.skip(start.checked_sub(self.at).ok_or_else(backwards)?)?;
        let length = end.checked_sub(start).ok_or_else(backwards)?;
        self.at = end;
        if !is_valid {
            return self.bytes.skip(length);
        }
        if let Some(length) = usize::try_from(length).ok().filter(|length| *length <= most) {
            spell::push_cell(self.bytes.take(length)?, out);
        } else {
            self.bytes.skip(length)?;
            too_long(most, out);
        }
        Ok(())
    }
}

/// Stands for a cell that makes its row too long.
fn too_long(most: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + most + 1, b' ');
}

/// The integer in `bytes`, the lowest first; `None` if it has more than 128 bits.
fn little_endian(bytes: &[u8], signed: bool) -> Option<i128> {
    let filler = if signed && bytes.last().is_some_and(|b| *b >= 0x80) { 0xff } else { 0 };
    let (low, high) = bytes.split_at(bytes.len().min(16));
    let mut whole = [filler; 16];
    whole[..low.len()].copy_from_slice(low);
    let value = i128::from_le_bytes(whole);
    let fits = high.iter().all(|b| *b == filler) && (!signed || (value < 0) == (filler != 0));
    fits.then_some(value)
}

impl Column {
    /// Whether it has values of its own, so that it tells where its rows end.
    pub(super) fn is_stored(&self) -> bool {
        !matches!(self.values, Values::Nothing)
    }

    /// Appends the next cell, nothing if it is missing. A row with one of more than `most` bytes is too long.
    pub(super) fn push(
        &mut self,
        speller: Speller,
        most: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut is_valid = true;
        for bits in &mut self.valid {
            is_valid &= bits.next()?;
        }
        match &mut self.values {
            Values::Nothing => {}
            Values::Bits(bits) => {
                let bit = bits.next()?;
                if is_valid {
                    out.extend_from_slice(if bit { b"true" } else { b"false" });
                }
            }
            Values::Text(text) => text.push(most, is_valid, out)?,
            Values::Views(views, pools) => {
                let view: [u8; 16] = views.array()?;
                if is_valid {
                    push_view(view, pools, most, out)?;
                }
            }
            Values::Fixed(values) => {
                let bytes = values.take(self.kind.width())?;
                if is_valid {
                    push_fixed(bytes, self.kind, self.dictionary.as_deref(), speller, out)?;
                }
            }
        }
        Ok(())
    }
}

impl Kind {
    /// The bytes of a value.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Integer(integer, ..) | Self::Index(integer, _) => integer.width,
            Self::Half => 2,
            Self::Single => 4,
            Self::Double => 8,
            Self::Fixed(width) => width,
            Self::Uuid | Self::View => 16,
            Self::Missing | Self::Bool | Self::Text(_) => 0,
        }
    }
}

fn push_view(view: [u8; 16], pools: &mut [Pool], most: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let number = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&view[at..at + 4]);
        u32::from_le_bytes(bytes)
    };
    let length = number(0) as usize;
    if length <= 12 {
        spell::push_cell(&view[4..4 + length], out);
    } else if length > most {
        too_long(most, out);
    } else {
        let pool = pools.get_mut(number(8) as usize);
        let pool = pool.ok_or_else(|| damaged("a text lies in a buffer that is not there"))?;
        spell::push_cell(pool.get(number(12).into(), length)?, out);
    }
    Ok(())
}

fn push_fixed(
    bytes: &[u8],
    kind: Kind,
    dictionary: Option<&Dictionary>,
    speller: Speller,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let array4 = || <[u8; 4]>::try_from(bytes).unwrap_or_default();
    let array8 = || <[u8; 8]>::try_from(bytes).unwrap_or_default();
    match kind {
        Kind::Integer(Integer { signed, .. }, meaning, scale) => {
            match little_endian(bytes, signed) {
                Some(value) => push_integer(value, meaning, scale, speller, out),
                None => out.extend_from_slice(typed::TOO_MANY_DIGITS),
            }
        }
        Kind::Index(Integer { signed, .. }, _) => {
            let dictionary = dictionary.ok_or_else(|| damaged("a dictionary is missing"))?;
            let number = little_endian(bytes, signed).unwrap_or(-1);
            out.extend_from_slice(dictionary.cell(number)?);
        }
        Kind::Half => {
            let value = half::f16::from_le_bytes(bytes.try_into().unwrap_or_default());
            speller.single(value.to_f32(), out);
        }
        Kind::Single => speller.single(f32::from_le_bytes(array4()), out),
        Kind::Double => speller.double(f64::from_le_bytes(array8()), out),
        Kind::Uuid => typed::push_uuid(bytes, out),
        _ => spell::push_cell(bytes, out),
    }
    Ok(())
}

fn push_integer(value: i128, meaning: Meaning, scale: Scale, speller: Speller, out: &mut Vec<u8>) {
    let value = match scale {
        Scale::One => value,
        Scale::Thousand => value.saturating_mul(1000),
        Scale::PerDay => value.div_euclid(86_400_000),
    };
    speller.integer(value, meaning, out);
}
