//! A pass over rows that other machines hold: what it asks for, and sums as bytes, to the bit.
//!
//! Not for carrying a pass out: see [`super::answer`]; not for who the others are.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// Whoever holds rows and answers questions about them.
pub trait Holders: Debug + Send + Sync {
    /// In how many pieces work that can be cut anywhere is cut best.
    fn pieces(&self) -> usize;

    /// Has each of `units` units answer `question`, and passes the answers to `take`, in order.
    ///
    /// # Errors
    /// Any error of a pass, of the others, and of `take`.
    fn ask(
        &self,
        question: &Question,
        units: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()>;

    /// What was made of the answers to `question` before, by this training or by one that was cut off.
    ///
    /// # Errors
    /// If it cannot be read.
    fn recall(&self, question: &Question) -> Result<Option<Vec<u8>>>;

    /// Keeps what was made of the answers, for [`Holders::recall`].
    ///
    /// # Errors
    /// If it cannot be written.
    fn keep(&self, question: &Question, total: &[u8]) -> Result<()>;
}

/// A pass over every `stride`-th block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The distance between two blocks that are read.
    pub stride: usize,
    /// What is summed.
    pub sums: Sums,
}

/// What a pass sums, with all that determines it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Sums {
    /// Range and moments of each feature.
    Moments,
    /// Squares of distances from means.
    Spread {
        /// One mean for each feature.
        mean: Numbers,
        /// The features that are summed.
        features: Vec<usize>,
        /// A power of two for each of them.
        unit: Numbers,
    },
    /// Loss, gradient and perhaps the Hessian.
    Likelihood {
        /// The scaler, and the coefficients with the intercept.
        at: Place,
        /// The weights of a negative and of a positive row.
        weights: [u64; 2],
        /// Whether the Hessian is asked for.
        hessian: bool,
    },
    /// The Hessian times a vector, or its diagonal.
    Product {
        /// The scaler, and the coefficients with the intercept.
        at: Place,
        /// The weights of a negative and of a positive row.
        weights: [u64; 2],
        /// The vector; none for the diagonal.
        vector: Option<Numbers>,
    },
    /// The smallest and the largest move of a row along the direction in the place of coefficients.
    Moves(Place),
    /// Nothing but whether all values are finite.
    Finite,
    /// How many keys of columns that are not encoded have each next digit.
    Digits(Digits),
    /// The values present in columns that are not encoded, without rounding.
    Totals {
        /// How many columns, from the first on.
        columns: usize,
        /// In how many pieces the blocks are summed.
        pieces: usize,
    },
}

/// A scaler, and numbers for each scaled feature and the intercept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The means of the features.
    pub mean: Numbers,
    /// Their scales.
    pub scale: Numbers,
    /// One number for each feature, and one more.
    pub beta: Numbers,
}

/// Counts of digits of keys, see `model::ranks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digits {
    /// The bits of a digit.
    pub bits: u32,
    /// For each table its column, the bits of the key that are known, and the number of others.
    pub tables: Vec<(usize, u64, u32)>,
    /// For each column with a table the bits of its keys (64 for those of any number), and the bits of its lowest
    /// value.
    pub keys: Vec<(usize, u32, u64)>,
    /// In how many pieces the blocks are counted.
    pub pieces: usize,
}

/// Numbers that are sent bit for bit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers(pub Vec<f64>);

impl Numbers {
    pub(crate) fn of(values: &[f64]) -> Self {
        Self(values.to_vec())
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|value| value.to_le_bytes()).collect();
        STANDARD.encode(bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        let (numbers, []) = bytes.as_chunks::<8>() else {
            return Err(D::Error::custom("numbers take 8 bytes each"));
        };
        Ok(Self(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()))
    }
}

/// Sums as bytes.
#[derive(Debug, Default)]
pub(crate) struct Written(pub(crate) Vec<u8>);

impl Written {
    pub(crate) fn whole(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn wide(&mut self, value: i128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn number(&mut self, value: f64) {
        self.numbers(&[value]);
    }

    pub(crate) fn numbers(&mut self, values: &[f64]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

/// Bytes of sums that are being read.
#[derive(Debug)]
pub(crate) struct Reading<'a>(pub(crate) &'a [u8]);

impl Reading<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or_else(not_sums)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn whole(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn wide(&mut self) -> Result<i128> {
        self.take().map(i128::from_le_bytes)
    }

    pub(crate) fn number(&mut self) -> Result<f64> {
        self.take().map(f64::from_le_bytes)
    }

    pub(crate) fn numbers(&mut self, into: &mut [f64]) -> Result<()> {
        into.iter_mut().try_for_each(|to| self.number().map(|value| *to = value))
    }

    pub(crate) fn finish(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(not_sums()) }
    }
}

/// An error for bytes that are no sums of the pass.
pub(crate) fn not_sums() -> Error {
    Error::remote(
        "the cluster answered with other sums than were asked for: run the same version of mlops-cluster on all \
         machines. Nothing was changed",
    )
}

/// An error for a pass that needs the rows on this machine.
pub(crate) fn needs_rows() -> Error {
    Error::data(
        "a cluster does not do this yet: values so extreme, or a fit by these means. Remove \"engine\" to train on one \
         machine; nothing was changed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_arrive_bit_for_bit() {
        let all = [0.1, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 8.0, 1e308];
        let text = serde_json::to_string(&Numbers::of(&all)).unwrap();
        let back: Numbers = serde_json::from_str(&text).unwrap();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back.0), bits(&all));
        assert!(serde_json::from_str::<Numbers>("\"AAAA\"").is_err());

        let mut written = Written::default();
        written.whole(7);
        written.wide(-1 << 100);
        written.numbers(&all);
        let mut reading = Reading(&written.0);
        assert_eq!((reading.whole().unwrap(), reading.wide().unwrap()), (7, -1 << 100));
        let mut found = [0.0; 6];
        assert!(reading.finish().is_err());
        reading.numbers(&mut found).unwrap();
        assert_eq!(bits(&found), bits(&all));
        assert!(reading.finish().is_ok() && reading.number().is_err());
    }
}
