//! How much less information rows of one entity give than the same number of rows of different entities,
//! because they resemble each other.
//!
//! The design effect of a figure is its variance with the rows of an entity taken together, divided
//! by the variance that independent rows would have. Intervals then count rows / design effect, and
//! take the quantile of Student's t with as many degrees of freedom as there are entities, less one
//! (Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
//! counts estimated from survey data", Survey Methodology 24, 1998; `docs/intervals.md` has the
//! coverage). Not for finding out which rows belong together: see [`crate::evaluation::entity`].

use std::collections::HashMap;
use std::f64::consts::FRAC_PI_2;
use std::hash::BuildHasherDefault;

use crate::csv::reader::Taken;

/// Which rows belong to one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    /// The number of each row's entity.
    of_row: Vec<u32>,
    /// How many entities there are.
    entities: usize,
}

/// How much the rows behind a figure tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The design effect, by which numbers of rows are divided; at least 1.
    pub design: f64,
    /// The quantile that stands for 95 %: the half-width of an interval in standard errors.
    pub quantile: f64,
}

/// The standard normal quantile of 0.975.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// Up to this many degrees of freedom the expansion of Student's quantile is off by more than rounding is.
const FEW_DEGREES: f64 = 1_000.0;
/// The probability between the quantile and its negative.
const INSIDE: f64 = 0.95;
/// Newton steps from the expansion; each doubles the number of right digits.
const STEPS: usize = 6;

/// From this many rows on, entities with several are looked for in a part of them first.
const MANY: usize = 100_000;

impl Sampling {
    /// Independent rows.
    pub const ROWS: Self = Self { design: 1.0, quantile: Z };
}

impl Clusters {
    /// The entities of rows, given as hashes; `None` if every row has one of its own, or there are
    /// too many rows to number.
    ///
    /// Of many rows a 64th of the entities is looked at first: if each of these has a single row,
    /// repeats are too rare to matter, and the rest is passed over to save time.
    pub fn of(entities: &[u128]) -> Option<Self> {
        if entities.len() > MANY {
            let mut some: Vec<u128> = entities.iter().copied().filter(|e| e % 64 == 0).collect();
            some.sort_unstable();
            if some.windows(2).all(|pair| pair[0] < pair[1]) {
                return None;
            }
        }
        // They are hashes already.
        let mut numbers: HashMap<u128, u32, BuildHasherDefault<Taken>> = HashMap::default();
        numbers.reserve(entities.len());
        let mut of_row = Vec::with_capacity(entities.len());
        for entity in entities {
            let next = u32::try_from(numbers.len()).ok()?;
            of_row.push(*numbers.entry(*entity).or_insert(next));
        }
        (numbers.len() < entities.len()).then_some(Self { of_row, entities: numbers.len() })
    }

    /// The entities of some of the rows; `None` if each of these has one of its own.
    pub fn among(&self, rows: &[usize]) -> Option<Self> {
        let entities: Vec<u128> = rows.iter().map(|row| u128::from(self.of_row[*row])).collect();
        Self::of(&entities)
    }

    /// The number of entities.
    pub fn len(&self) -> usize {
        self.entities
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.entities == 0
    }

    /// The number of the entity of each row, from 0.
    pub(super) fn of_rows(&self) -> impl Iterator<Item = usize> {
        self.of_row.iter().map(|of| *of as usize)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.of_row.len()
    }

    /// How much the rows tell about a figure, to which row i contributes `influence(i)`, the
    /// deviation of the figure that it causes up to a factor; `None` for rows that do not count.
    ///
    /// If no row deviates, as where all answers are right, an entity tells no more than one row.
    pub fn sampling(&self, influence: impl Fn(usize) -> Option<f64>) -> Sampling {
        let mut sums = vec![(0.0, false); self.entities];
        let (mut squares, mut rows) = (0.0, 0_u64);
        for (row, of) in self.of_row.iter().enumerate() {
            if let Some(value) = influence(row) {
                let (sum, counts) = &mut sums[*of as usize];
                *sum += value;
                *counts = true;
                squares += value * value;
                rows += 1;
            }
        }
        let entities = sums.iter().filter(|(_, counts)| *counts).count() as f64;
        if entities < 2.0 {
            // Nothing is known about other entities.
            return Sampling { design: (rows as f64).max(1.0), quantile: student(1.0) };
        }
        let degrees = entities - 1.0;
        let between: f64 = sums.iter().map(|(sum, _)| sum * sum).sum();
        let design = if squares > 0.0 {
            between / squares * entities / degrees
        } else {
            rows as f64 / entities
        };
        Sampling { design: design.max(1.0), quantile: student(degrees) }
    }
}

/// The quantile of 0.975 of Student's t distribution for a whole number of degrees of freedom.
///
/// Cornish and Fisher's expansion in 1 / degrees (Abramowitz and Stegun, 26.7.5) is off by up to 1e-4 for few degrees;
/// up to [`FEW_DEGREES`] Newton's method on the distribution itself corrects it.
pub(super) fn student(degrees: f64) -> f64 {
    let z = Z;
    let square = z * z;
    let terms = [
        z * (square + 1.0) / 4.0,
        z * ((5.0 * square + 16.0) * square + 3.0) / 96.0,
        z * (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0,
        z * ((((79.0 * square + 776.0) * square + 1482.0) * square - 1920.0) * square - 945.0)
            / 92_160.0,
    ];
    let degrees = degrees.max(1.0);
    let inverse = 1.0 / degrees;
    let expansion = z + terms.iter().rev().fold(0.0, |sum, term| (sum + term) * inverse);
    if degrees > FEW_DEGREES {
        return expansion;
    }
    // With the angle a = arctan(t / sqrt(degrees)), t lies between -t and t with the probability that the integral of
    // cos^(degrees - 1) from 0 to a has of that from 0 to a quarter turn. Both follow from those of the power that is
    // lower by 2 (26.7.3 and 26.7.4).
    let mut angle = (expansion / degrees.sqrt()).atan();
    for _ in 0..STEPS {
        let (sine, cosine) = angle.sin_cos();
        let odd = degrees % 2.0 > 0.0;
        let (mut part, mut whole) = if odd { (angle, FRAC_PI_2) } else { (sine, 1.0) };
        // cos^(n - 1) and n.
        let (mut power, mut n) = if odd { (cosine, 2.0) } else { (cosine * cosine, 3.0) };
        while n < degrees {
            part = (power * sine + (n - 1.0) * part) / n;
            whole *= (n - 1.0) / n;
            power *= cosine * cosine;
            n += 2.0;
        }
        angle += (INSIDE * whole - part) / (power / cosine).max(f64::MIN_POSITIVE);
    }
    degrees.sqrt() * angle.tan()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.t.ppf(0.975, degrees)`.
    #[test]
    fn quantiles_are_those_of_scipy() {
        for (degrees, quantile) in [
            (1.0, 12.706_204_736_174_694),
            (2.0, 4.302_652_729_749_462),
            (5.0, 2.570_581_835_636_315),
            (6.0, 2.446_911_851_144_978_6),
            (9.0, 2.262_157_162_798_205),
            (29.0, 2.045_229_642_132_703),
            (999.0, 1.962_341_461_133_449_3),
            (1_000.0, 1.962_339_080_826_408_3),
            (1_001.0, 1.962_336_705_280_879_8),
            (1e6, 1.959_966_356_814_107),
        ] {
            let off = (student(degrees) - quantile).abs();
            assert!(off < 1e-12 * quantile, "{degrees}: {}", student(degrees));
        }
    }

    #[test]
    fn rows_that_repeat_each_other_count_once() {
        assert_eq!(Clusters::of(&[3, 1, 2]), None);
        assert_eq!(Clusters::of(&[]), None);
        let many: Vec<u128> = (0..200_000).collect();
        assert_eq!(Clusters::of(&many), None);
        let twice = Clusters::of(&[many.clone(), many].concat()).unwrap();
        assert_eq!((twice.len(), twice.rows()), (200_000, 400_000));
        // Forty entities of five rows, all with the same answer.
        let entities: Vec<u128> = (0..200).map(|i| i / 5).collect();
        let clusters = Clusters::of(&entities).unwrap();
        assert_eq!((clusters.len(), clusters.rows()), (40, 200));
        let of = |i: usize| if (i / 5).is_multiple_of(2) { 0.5 } else { -0.5 };
        let same = clusters.sampling(|i| Some(of(i)));
        assert!((same.design - 5.0 * 40.0 / 39.0).abs() < 1e-12, "{same:?}");
        assert!((same.quantile - 2.022_69).abs() < 1e-4);
        // Rows that differ within their entity.
        let apart = clusters.sampling(|i| Some(if i % 2 == 0 { 0.5 } else { -0.5 }));
        assert!((apart.design - 1.0).abs() < 1e-12, "{apart:?}");
        // Without any deviation, and with a single entity.
        let sure = clusters.sampling(|i| (i < 100).then_some(0.0));
        assert!((sure.design - 5.0).abs() < 1e-12, "{sure:?}");
        let one = clusters.sampling(|i| (i < 5).then_some(1.0));
        assert!((one.design - 5.0).abs() < 1e-12 && one.quantile > 12.0, "{one:?}");
    }
}
