//! Whether rows lie where the reference has rows, so that what was found out there holds for them: not *that* a
//! distribution changed, but *how far*.
//!
//! Two limits for each column. The share of rows outside what the reference had (numbers beyond its lowest and
//! highest, values that it never had, missing values if it had none) may exceed what chance leaves
//! outside by [`MOST_OUTSIDE`]: for numbers 2 / (n + 1), for texts the share of the reference's rows whose value
//! occurs once (Good, "The population frequencies of species", Biometrika 40, 1953). And the reference,
//! weighted to look like the rows, must still be worth [`LEAST_SHARE`] of its number: Kish's effective
//! sample size, 1 / sum of s^2 / r over the cells of the drift test, with shares r of the reference and s of the
//! rows ("Survey Sampling", 1965). A normal column that moves by one standard deviation leaves 0.4, by one and a
//! half 0.2. Not for the test whether chance explains a difference: see [`super::data`].

use super::reference::{ColumnReference, PROBABILITY, Present, Reference};
use super::sample::Sample;
use crate::evaluation::refusal::{Compared, Refusal};

/// The share of rows that may lie outside the reference, besides those that chance leaves there.
pub const MOST_OUTSIDE: f64 = 0.05;
/// The least share of the reference that its effective size may be.
pub const LEAST_SHARE: f64 = 0.25;
/// Cells of fewer reference rows are taken together.
const RARE: u64 = 5;

/// Whether the `new` rows lie within the reference, by each of its columns.
///
/// # Errors
/// The limit that is exceeded the most.
pub fn within(reference: &Reference, new: &Sample) -> Result<(), Refusal> {
    let mut worst: Option<(f64, Refusal)> = None;
    for column in &reference.columns {
        let of = || match column.name.as_str() {
            PROBABILITY => Compared::Probabilities,
            name => Compared::Column(name.to_owned()),
        };
        let (share, chance) = column.outside(new);
        let limit = MOST_OUTSIDE + chance;
        let outside = (share / limit, Refusal::Outside { of: of(), share, limit });
        let share = column.effective_share(new).unwrap_or(1.0);
        let limit = LEAST_SHARE;
        let thin = (limit / share, Refusal::Thin { of: of(), share, limit });
        for (excess, refusal) in [outside, thin] {
            if excess > worst.as_ref().map_or(1.0, |(excess, _)| *excess) {
                worst = Some((excess, refusal));
            }
        }
    }
    worst.map_or(Ok(()), |(_, refusal)| Err(refusal))
}

impl ColumnReference {
    /// The share of the new rows outside this column's values, and the share that chance leaves outside.
    fn outside(&self, new: &Sample) -> (f64, f64) {
        let n = self.rows().max(1) as f64;
        let (mut out, mut missing, chance) = (0, 0, self.by_chance() / n);
        match &self.present {
            Present::Numeric { range, .. } => {
                let Some(column) = new.numeric.iter().find(|c| c.name == self.name) else {
                    return (0.0, chance);
                };
                for value in &column.values {
                    if !value.is_finite() {
                        missing += 1;
                    } else if range.is_none_or(|[low, high]| *value < low || *value > high) {
                        out += 1;
                    }
                }
            }
            Present::Categorical { levels, other, .. } => {
                let Some(column) = new.categorical.iter().find(|c| c.name == self.name) else {
                    return (0.0, chance);
                };
                let counts = column.counts();
                missing = counts.first().copied().unwrap_or(0);
                // Among more levels than are told apart, a new one may be one of the others.
                if *other == 0 {
                    let pairs = column.levels.iter().zip(&counts).skip(1);
                    let unknown = pairs.filter(|(level, _)| levels.binary_search(level).is_err());
                    out = unknown.map(|(_, count)| count).sum();
                }
            }
        }
        if self.missing == 0 {
            out += missing;
        }
        (out as f64 / new.rows().max(1) as f64, chance)
    }

    /// The number of as many rows as the reference has that are outside it by chance.
    fn by_chance(&self) -> f64 {
        match &self.present {
            Present::Numeric { .. } => 2.0,
            Present::Categorical { counts, .. } => {
                counts.iter().filter(|count| **count == 1).count() as f64
            }
        }
    }

    /// The effective size of the reference, weighted to look like the new rows, as a share of its size;
    /// `None` if nothing can be compared.
    fn effective_share(&self, new: &Sample) -> Option<f64> {
        let cells = self.beside(new)?.cells;
        let mut counts: Vec<(u64, u64)> = Vec::new();
        let mut rare = (0, 0);
        for cell in &cells {
            if cell.reference < RARE {
                rare = (rare.0 + cell.reference, rare.1 + cell.new);
            } else {
                counts.push((cell.reference, cell.new));
            }
        }
        // Rows where the reference has none at all are outside.
        counts.extend(Some(rare).filter(|(reference, _)| *reference > 0));
        let (n, m) = counts.iter().fold((0, 0), |(n, m), (r, s)| (n + r, m + s));
        if m < 2 {
            return None;
        }
        let (n, pairs) = (n as f64, m as f64 * (m - 1) as f64);
        // The square of a share, without bias.
        let square = |s: u64| s as f64 * (s as f64 - 1.0).max(0.0) / pairs;
        let sum: f64 = counts.iter().map(|(r, s)| square(*s) / (*r as f64 / n)).sum();
        (sum > 0.0).then(|| (1.0 / sum).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::sample::tests::sample;

    fn rows(count: u32, scale: f64, above: f64, text: &str) -> Sample {
        let numbers: Vec<f64> =
            (0..count).map(|i| scale * f64::from(i * 37 % 101) + above).collect();
        let texts: Vec<&str> = (0..count).map(|i| if i % 3 == 0 { text } else { "b" }).collect();
        sample(&numbers, &texts)
    }

    #[test]
    fn rows_within_the_reference_may_be_distributed_otherwise() {
        let reference = Reference::of(&rows(2_000, 1.0, 0.0, "a"));
        assert_eq!(within(&reference, &rows(700, 1.0, 0.0, "a")), Ok(()));
        // Only the lower half.
        assert_eq!(within(&reference, &rows(700, 0.5, 0.0, "b")), Ok(()));
        for few in [0, 1, 2] {
            assert_eq!(within(&reference, &rows(few, 1.0, 0.0, "a")), Ok(()), "{few}");
        }
    }

    #[test]
    fn what_left_it_is_named_with_what_was_exceeded() {
        let reference = Reference::of(&rows(2_000, 1.0, 0.0, "a"));
        let refused = |new: &Sample| within(&reference, new).expect_err("refused").to_string();
        let beyond = refused(&rows(700, 1.0, 40.0, "a"));
        assert!(
            beyond.contains("of them lie outside what the training rows had in the column x"),
            "{beyond}"
        );
        let unknown = refused(&rows(700, 1.0, 0.0, "new"));
        assert!(unknown.contains("33.4 % of them lie outside"), "{unknown}");
        let thin = refused(&rows(700, 0.05, 1.0, "a"));
        assert!(thin.contains("drifted too far in the column x"), "{thin}");
        let mut numbers = vec![50.0; 100];
        numbers.extend([f64::NAN; 20]);
        let gaps = refused(&sample(&numbers, &["a"; 120]));
        assert!(gaps.contains("the column x"), "{gaps}");
    }

    #[test]
    fn values_that_occur_once_make_unknown_ones_likely() {
        let texts: Vec<String> = (0..1_000).map(|i| format!("v{}", i % 800)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let reference = Reference::of(&sample(&[], &texts));
        let (_, chance) = reference.columns[1].outside(&sample(&[], &["a"]));
        assert!((chance - 0.6).abs() < 1e-12);
        let mut new = vec!["v1"; 500];
        new.extend(["unknown"; 500]);
        assert!((reference.columns[1].outside(&sample(&[], &new)).0 - 0.5).abs() < 1e-12);
    }
}
