//! Carries out a pass for another machine, unit by unit, over rows that this one can read.
//!
//! The passes are those of a fit on one machine. Not for merging units: whoever asked does that, in order.

use std::ops::Range;

use super::block::{Block, Blocks};
use super::conjugate::{Curved, Times};
use super::kernel::Likelihood;
use super::newton::{AllFinite, Moves};
use super::question::{Place, Question, Sums, Written, not_sums};
use super::reduce::{self, Pass, sum_unit};
use super::scaler::{MomentPass, Scaler, Spread};
use crate::error::Result;

/// The sums of each of `units`, as bytes.
///
/// # Errors
/// Any error of the source; also for a question about other rows than those of `source`.
pub(crate) fn answer(
    source: &dyn Blocks,
    question: &Question,
    units: Range<usize>,
) -> Result<Vec<Vec<u8>>> {
    let stride = question.stride;
    let all = stride.min(1) * reduce::units(source, stride.max(1));
    if units.start > units.end || units.end > all {
        return Err(not_sums());
    }
    let fits = |at: &Place| {
        let features = source.features();
        let same = at.mean.0.len() == features && at.scale.0.len() == features;
        if same && at.beta.0.len() == features + 1 { Ok(()) } else { Err(not_sums()) }
    };
    let scaler = |at: &Place| Scaler { mean: at.mean.0.clone(), scale: at.scale.0.clone() };
    let each = Each { source, stride, units };
    match &question.sums {
        Sums::Moments => each.of(&MomentPass(source)),
        Sums::Spread { mean, features, unit } => {
            let known = mean.0.len() == source.features() && unit.0.len() == features.len();
            if !known || features.iter().any(|j| *j >= mean.0.len()) {
                return Err(not_sums());
            }
            each.of(&Spread { mean: &mean.0, features, unit: unit.0.clone() })
        }
        Sums::Likelihood { at, weights, hessian } => {
            fits(at)?;
            let (scaler, weights) = (scaler(at), weights.map(f64::from_bits));
            each.of(&Likelihood { scaler: &scaler, beta: &at.beta.0, weights, hessian: *hessian })
        }
        Sums::Product { at, weights, vector } => {
            fits(at)?;
            let vector = vector.as_ref().map(|vector| vector.0.as_slice());
            if vector.is_some_and(|vector| vector.len() != at.beta.0.len()) {
                return Err(not_sums());
            }
            let curved = Curved {
                blocks: source,
                scaler: &scaler(at),
                beta: &at.beta.0,
                weights: weights.map(f64::from_bits),
                penalty: 0.0,
                threads: 1,
            };
            each.of(&Times { at: &curved, vector })
        }
        Sums::Moves(at) => {
            fits(at)?;
            each.of(&Moves { scaler: &scaler(at), direction: &at.beta.0 })
        }
        Sums::Finite => each.of(&AllFinite(source)),
        Sums::Digits(_) | Sums::Totals { .. } => Err(not_sums()),
    }
}

/// Units of a source.
struct Each<'a> {
    source: &'a dyn Blocks,
    stride: usize,
    units: Range<usize>,
}

impl Each<'_> {
    fn of<P: Pass>(self, pass: &P) -> Result<Vec<Vec<u8>>> {
        let Self { source, stride, units } = self;
        let (mut block, mut scratch) = (Block::new(source.features()), pass.scratch());
        let sum = |unit| {
            let sums = sum_unit(source, (stride, unit), pass, &mut block, &mut scratch)?;
            let mut written = Written::default();
            pass.write(&sums, &mut written);
            Ok(written.0)
        };
        units.map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fit::question::Reading;
    use crate::model::fit::{Numbers, PackedBlocks};

    fn rows() -> PackedBlocks {
        let mut blocks = PackedBlocks::new(2);
        for i in 0..20_000_u32 {
            blocks.push_row(&[f64::from(i % 17) / 3.0, f64::from(i % 5)], i % 3 == 0).unwrap();
        }
        blocks
    }

    fn likelihood(beta: usize) -> Sums {
        let at = Place {
            mean: Numbers(vec![0.5; 2]),
            scale: Numbers(vec![2.0; 2]),
            beta: Numbers(vec![0.25; beta]),
        };
        Sums::Likelihood { at, weights: [1.0_f64; 2].map(f64::to_bits), hessian: true }
    }

    #[test]
    fn units_that_are_merged_in_order_are_the_sums_of_one_machine() {
        let rows = rows();
        for stride in [1, 2] {
            let question = Question { stride, sums: likelihood(3) };
            let units = reduce::units(&rows, stride);
            assert!(units > 1);
            let scaler = Scaler { mean: vec![0.5; 2], scale: vec![2.0; 2] };
            let pass =
                Likelihood { scaler: &scaler, beta: &[0.25; 3], weights: [1.0; 2], hessian: true };
            let mut total = None;
            // One unit at a time, the last one first, as if by others.
            let mut answers: Vec<Vec<u8>> = (0..units)
                .rev()
                .flat_map(|unit| answer(&rows, &question, unit..unit + 1).unwrap())
                .collect();
            answers.reverse();
            assert_eq!(answers, answer(&rows, &question, 0..units).unwrap());
            for bytes in &answers {
                let mut reading = Reading(bytes);
                let sums = pass.read(&mut reading).unwrap();
                reading.finish().unwrap();
                match &mut total {
                    Some(total) => pass.merge(total, sums),
                    none => *none = Some(sums),
                }
            }
            let expected = reduce::reduce(&rows, stride, 3, &pass).unwrap();
            let bytes = [total.unwrap(), expected].map(|sums| {
                let mut written = Written::default();
                pass.write(&sums, &mut written);
                written.0
            });
            assert_eq!(bytes[0], bytes[1]);
        }
    }

    #[test]
    fn questions_about_other_rows_are_errors() {
        let rows = rows();
        let ask = |stride, sums, units| answer(&rows, &Question { stride, sums }, units);
        assert!(ask(1, likelihood(3), 0..3).is_ok());
        assert!(ask(1, likelihood(3), 0..4).is_err());
        assert!(ask(0, likelihood(3), 0..1).is_err());
        assert!(ask(1, likelihood(2), 0..1).is_err());
        let spread = |features| Sums::Spread {
            mean: Numbers(vec![0.0; 2]),
            features,
            unit: Numbers(vec![1.0]),
        };
        assert!(ask(1, spread(vec![1]), 0..3).is_ok());
        assert!(ask(1, spread(vec![2]), 0..3).is_err());
        assert!(ask(1, spread(vec![0, 1]), 0..3).is_err());
    }
}
