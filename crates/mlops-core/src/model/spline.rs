//! Natural cubic splines: a numeric column becomes a few features, so that its effect may bend.
//!
//! The basis is that of Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning"
//! (2nd edition, formulas 5.4 and 5.5) without the constant: the value itself, and for K knots K - 2
//! terms that are cubic between the knots and linear beyond the first and the last one. In these
//! terms the knots reach from 0 to 1, which changes their coefficients and no prediction. Every fit
//! and every prediction computes them with [`Spline::term`]. Not for finding the values at the
//! quantiles: see `ranks`.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The share of the values below each knot, in ten-thousandths, for 3 to 7 knots: Harrell,
/// "Regression Modeling Strategies" (2nd edition, table 2.3).
const PLACES: [&[u64]; 5] = [
    &[1_000, 5_000, 9_000],
    &[500, 3_500, 6_500, 9_500],
    &[500, 2_750, 5_000, 7_250, 9_500],
    &[500, 2_300, 4_100, 5_900, 7_700, 9_500],
    &[250, 1_833, 3_417, 5_000, 6_583, 8_167, 9_750],
];

/// The fewest knots: with two, the curve is a line.
const FEWEST: usize = 3;

/// A natural cubic spline.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct Spline {
    /// Ascending, at least three; their range is a finite number.
    knots: Vec<f64>,
}

impl Spline {
    /// The ranks, from 0, of the values that become `knots` (3 to 7) knots among `count` sorted
    /// values: those of numpy's `quantile` with `method="lower"`. Every knot is then a value of the
    /// column, so that there are never more knots than different values.
    pub(super) fn ranks(knots: usize, count: u64) -> Vec<u64> {
        let places = PLACES[knots.clamp(FEWEST, FEWEST + PLACES.len() - 1) - FEWEST];
        places.iter().map(|place| count.saturating_sub(1) * place / 10_000).collect()
    }

    /// The spline with these knots, equal ones once; `None` for fewer than three different knots,
    /// or if they are too far apart for their distance to be a number.
    pub(super) fn through(mut knots: Vec<f64>) -> Option<Self> {
        knots.sort_by(f64::total_cmp);
        knots.dedup();
        let spline = Self { knots };
        spline.is_sound().then_some(spline)
    }

    /// Whether the knots are as they must be.
    pub(super) fn is_sound(&self) -> bool {
        let knots = &self.knots;
        let range = knots.last().zip(knots.first()).map_or(0.0, |(last, first)| last - first);
        knots.len() >= FEWEST && knots.windows(2).all(|two| two[0] < two[1]) && range.is_normal()
    }

    /// The knots, ascending.
    pub fn knots(&self) -> &[f64] {
        &self.knots
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.knots.len() - 1
    }

    /// Feature `j` for the value `x`: `x` itself for feature 0, and then the terms
    /// d_j - d_(K-1), where d_j(u) = ((u - t_j)³₊ - (u - t_K)³₊) / (t_K - t_j), and u and the knots
    /// t are measured from the first knot in units of the distance to the last. NaN gives NaN.
    pub fn term(&self, j: usize, x: f64) -> f64 {
        let [first, .., before, last] = self.knots.as_slice() else { return x };
        if j == 0 {
            return x;
        }
        let unit = |value: f64| (value - first) / (last - first);
        let (knot, before, u) = (unit(self.knots[j - 1]), unit(*before), unit(x));
        if u <= knot {
            return 0.0;
        }
        if u >= 1.0 {
            // The same polynomial with its cubes and squares, which cancel, left out.
            return (before - knot) * (3.0 * u - knot - before - 1.0);
        }
        let cube = |v: f64| v * v * v;
        cube(u - knot) / (1.0 - knot) - cube((u - before).max(0.0)) / (1.0 - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spline() -> Spline {
        Spline::through(vec![70.0, 20.0, 35.0, 35.0, 50.0]).unwrap()
    }

    /// The formulas as they are printed.
    fn printed(knots: &[f64], j: usize, x: f64) -> f64 {
        let last = knots.len() - 1;
        let cube = |v: f64| v.max(0.0).powi(3);
        let d = |k: usize| (cube(x - knots[k]) - cube(x - knots[last])) / (knots[last] - knots[k]);
        d(j - 1) - d(last - 1)
    }

    #[test]
    fn terms_are_those_of_the_book() {
        let spline = spline();
        assert_eq!((spline.knots(), spline.width()), (&[20.0, 35.0, 50.0, 70.0][..], 3));
        for x in [-100.0, 20.0, 21.5, 35.0, 49.0, 50.0, 69.0, 70.0, 71.0, 300.0] {
            assert_eq!(spline.term(0, x).to_bits(), x.to_bits());
            for j in 1..3 {
                let expected = printed(spline.knots(), j, x) / 2_500.0;
                let found = spline.term(j, x);
                assert!((found - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{j} {x}");
            }
        }
        assert!(spline.term(1, f64::NAN).is_nan());
    }

    #[test]
    fn the_curve_is_a_line_beyond_the_knots_and_smooth_at_them() {
        let spline = spline();
        for j in 1..3 {
            let at = |x: f64| spline.term(j, x);
            assert_eq!((at(-5.0), at(20.0)), (0.0, 0.0));
            let second = at(1e6) - 2.0 * at(2e6) + at(3e6);
            assert!(second.abs() < 1e-6, "{second}");
            for knot in [20.0, 35.0, 50.0, 70.0] {
                let h = 1e-3;
                let slopes = [at(knot) - at(knot - h), at(knot + h) - at(knot)].map(|d| d / h);
                assert!((slopes[0] - slopes[1]).abs() < 1e-4, "{slopes:?} at {knot}");
            }
        }
    }

    #[test]
    fn knots_stand_at_harrells_quantiles_of_the_values_there_are() {
        assert_eq!(Spline::ranks(4, 101), [5, 35, 65, 95]);
        assert_eq!(Spline::ranks(3, 1), [0, 0, 0]);
        assert_eq!(Spline::ranks(7, 10_001), [250, 1_833, 3_417, 5_000, 6_583, 8_167, 9_750]);
        assert_eq!(Spline::through(vec![1.0, 1.0, 2.0, 2.0]), None);
        assert_eq!(Spline::through(vec![-f64::MAX, 0.0, f64::MAX]), None);
    }
}
