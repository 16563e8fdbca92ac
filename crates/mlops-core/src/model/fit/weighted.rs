//! Weights that decrease with the age of a row, and their sums.
//!
//! Not for what a fit does with weights: see `kernel` and `scaler`; not for the choice of a half-life.

use std::f64::consts::LN_2;

use super::block::{BLOCK_ROWS, Block, Blocks, Weighed, read_checked};
use super::reduce::{Pass, reduce};
use crate::error::Result;
use crate::platform::math::exp_of_negative;

/// How fast rows lose their weight: a row that came this many rows before the newest one weighs half as
/// much as that, which has weight 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfLife(pub u64);

impl HalfLife {
    /// The weight of a row that came `age` rows before the newest one; never 0.
    pub fn weight(self, age: u64) -> f64 {
        exp_of_negative(-(age as f64) / (self.0.max(1) as f64) * LN_2)
    }
}

/// Rows in the order in which they came, with weights.
pub struct Weighted<'a> {
    source: &'a dyn Blocks,
    half_life: HalfLife,
    weighed: Weighed,
}

impl<'a> Weighted<'a> {
    /// Gives weights to the rows of `source`, whose blocks must be full but the last.
    ///
    /// # Errors
    /// Any error of the source.
    pub fn new(source: &'a dyn Blocks, half_life: HalfLife, threads: usize) -> Result<Self> {
        let mut found = Self { source, half_life, weighed: NOTHING };
        found.weighed = weigh(&found, threads)?;
        Ok(found)
    }

    /// The weight of row `row`.
    pub fn weight(&self, row: usize) -> f64 {
        self.half_life.weight(self.source.rows().saturating_sub(1 + row as u64))
    }
}

impl Blocks for Weighted<'_> {
    fn features(&self) -> usize {
        self.source.features()
    }

    fn rows(&self) -> u64 {
        self.source.rows()
    }

    fn positives(&self) -> u64 {
        self.source.positives()
    }

    fn name(&self, j: usize) -> String {
        self.source.name(j)
    }

    fn blocks(&self) -> usize {
        self.source.blocks()
    }

    fn rows_in(&self, index: usize) -> u64 {
        self.source.rows_in(index)
    }

    fn weighed(&self) -> Option<Weighed> {
        Some(self.weighed)
    }

    fn read(&self, index: usize, into: &mut Block) -> Result<()> {
        read_checked(self.source, index, into)?;
        let (first, rows) = (index * BLOCK_ROWS, into.rows());
        for (row, weight) in into.weights_mut()[..rows].iter_mut().enumerate() {
            *weight = self.weight(first + row);
        }
        Ok(())
    }
}

const NOTHING: Weighed = Weighed { by_class: [0.0; 2], squares: 0.0, least: f64::INFINITY };

/// Sums the weights of all rows.
pub(super) fn weigh(blocks: &dyn Blocks, threads: usize) -> Result<Weighed> {
    reduce(blocks, 1, threads, &Weigh)
}

struct Weigh;

impl Pass for Weigh {
    type Sums = Weighed;
    type Scratch = ();

    fn zero(&self) -> Weighed {
        NOTHING
    }

    fn scratch(&self) {}

    fn add(&self, _: usize, block: &Block, (): &mut (), sums: &mut Weighed) -> Result<()> {
        for (weight, label) in block.weights().into_iter().flatten().zip(block.labels()) {
            sums.by_class[usize::from(*label > 0.5)] += weight;
            sums.squares += weight * weight;
            sums.least = sums.least.min(*weight);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Weighed, following: Weighed) {
        into.by_class.iter_mut().zip(following.by_class).for_each(|(sum, more)| *sum += more);
        into.squares += following.squares;
        into.least = into.least.min(following.least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::choices::ClassWeight;
    use crate::model::fit::{LogisticRegression, PackedBlocks, Scaler};

    /// Rows with whole weights, given directly.
    struct Repeated<'a>(&'a PackedBlocks, Weighed);

    impl Blocks for Repeated<'_> {
        fn features(&self) -> usize {
            self.0.features()
        }
        fn rows(&self) -> u64 {
            self.0.rows()
        }
        fn positives(&self) -> u64 {
            self.0.positives()
        }
        fn blocks(&self) -> usize {
            self.0.blocks()
        }
        fn weighed(&self) -> Option<Weighed> {
            Some(self.1)
        }
        fn read(&self, index: usize, into: &mut Block) -> Result<()> {
            self.0.read(index, into)?;
            let rows = into.rows();
            let first = index * BLOCK_ROWS;
            for (i, weight) in into.weights_mut()[..rows].iter_mut().enumerate() {
                *weight = times(first + i) as f64;
            }
            Ok(())
        }
    }

    fn times(row: usize) -> usize {
        1 + row * 7 % 3
    }

    #[test]
    fn a_row_of_weight_three_is_the_row_three_times() {
        let row = |i: usize| [(i * 31 % 101) as f64 / 7.0, (i * 17 % 23) as f64];
        let label = |i: usize| row(i)[0] + (i * 13 % 11) as f64 > 12.0;
        let (mut once, mut often) = (PackedBlocks::new(2), PackedBlocks::new(2));
        for i in 0..700 {
            once.push_row(&row(i), label(i)).unwrap();
            (0..times(i)).for_each(|_| often.push_row(&row(i), label(i)).unwrap());
        }
        let mut weighted = Repeated(&once, NOTHING);
        weighted.1 = weigh(&weighted, 1).unwrap();
        for class_weight in [ClassWeight::None, ClassWeight::Balanced] {
            let model = LogisticRegression { class_weight, ..LogisticRegression::default() };
            let fit = |blocks: &dyn Blocks| {
                let scaler = Scaler::fit(blocks, &[true, false], 2).unwrap();
                let fitted = model.fit(blocks, &scaler).unwrap();
                let mut all = [scaler.mean, scaler.scale, fitted.coefficients].concat();
                all.extend([fitted.intercept, fitted.loss, model.prior_shift(blocks)]);
                all
            };
            for (a, b) in fit(&weighted).iter().zip(fit(&often)) {
                assert!((a - b).abs() < 1e-10 * b.abs().max(1.0), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_weight_is_halved_every_half_life() {
        let half = HalfLife(50);
        for (age, weight) in [(0, 1.0), (50, 0.5), (100, 0.25), (25, 0.5_f64.sqrt())] {
            assert!((half.weight(age) - weight).abs() < 1e-15, "{age}");
        }
        assert!(half.weight(u64::MAX) > 0.0);
        let mut rows = PackedBlocks::new(1);
        (0..600).for_each(|i| rows.push_row(&[f64::from(i)], i % 2 == 0).unwrap());
        let weighted = Weighted::new(&rows, HalfLife(1), 1).unwrap();
        let effective = weighted.weighed.effective_rows();
        assert!((effective - 3.0).abs() < 1e-9, "{effective}: (1 + 1/2 + ...)² / (1 + 1/4 + ...)");
    }
}
