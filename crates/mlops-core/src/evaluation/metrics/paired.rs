//! The uncertainty of the difference of two models in any metric: paired bootstrap intervals.
//!
//! Rows are resampled with the answers of both models, so that what both share cancels. Metrics of
//! the confusion matrix are resampled as counts ([`super::difference`]), all others row by row. Where
//! several rows belong to one entity, entities are resampled with all their rows (Field and Welsh,
//! "Bootstrapping clustered data", 2007). Not for the value of a metric: see [`super::metric`].
//!
//! The same answers, level and seed give the same interval, for any number of threads.

use rand_distr::{Distribution, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::bootstrap::{RESAMPLES, percentile_interval};
use super::clusters::Clusters;
use super::metric::Metric;
use super::probability::{log_loss_of, squared_error};
use super::sorted::Sorted;
use super::{Interval, PairedCounts, check_probabilities, same_length};
use crate::error::Result;
use crate::platform::threads::each;

/// A model's answers for n rows.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// Whether each row is predicted positive.
    pub predicted: &'a [bool],
    /// The probability of the positive class for each row.
    pub probabilities: &'a [f64],
}

/// How many rows are drawn in all resamples together; fewer resamples are made of many rows, but
/// never fewer than [`FEWEST`].
const WORK: usize = 50_000_000;
/// With this many, the ends of an interval vary by about 7 % of its width between seeds.
const FEWEST: usize = 200;
/// The resamples are made in this many independent parts, whatever the number of threads.
const PARTS: usize = 8;

/// Interval of the `metric` of the second model minus that of the first, on the same n `labels`, of
/// which several may be of one entity; `level` is clamped to [0, 1].
///
/// Resamples of rows of one class, for which the metric may not exist, count as no difference.
///
/// # Errors
/// `Data` if there are no rows, the lengths differ, or a probability is NaN or outside [0, 1].
pub fn difference_interval(
    metric: Metric,
    labels: &[bool],
    answers: [Answers<'_>; 2],
    clusters: Option<&Clusters>,
    level: f64,
    (seed, threads): (u64, usize),
) -> Result<Interval> {
    let [first, second] = answers;
    if let Some(clusters) = clusters {
        same_length(labels.len(), clusters.rows())?;
    }
    let counts = PairedCounts::from_predictions(labels, first.predicted, second.predicted)?;
    let counted = metric.of_counts(&counts.champion()).is_some();
    if counted && clusters.is_none() {
        return Ok(counts.interval_of(metric, level, RESAMPLES, seed));
    }
    for Answers { probabilities, .. } in answers {
        if !counted {
            check_probabilities(labels, probabilities)?;
        }
    }
    let measure = Measure::of(metric, labels, answers)?;
    let resamples = (WORK / labels.len().max(1)).clamp(FEWEST, RESAMPLES);
    let part = |k: usize| {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(k as u64));
        let share = resamples / PARTS + usize::from(k < resamples % PARTS);
        measure.draws(labels.len(), clusters, share, random)
    };
    let jobs: Vec<_> = (0..PARTS).map(|k| move || part(k)).collect();
    let jobs: Vec<&(dyn Fn() -> Vec<f64> + Sync)> =
        jobs.iter().map(|job| job as &(dyn Fn() -> Vec<f64> + Sync)).collect();
    let draws = each(&jobs, threads).concat();
    Ok(percentile_interval(draws, level))
}

/// What is computed of a resample.
enum Measure {
    /// A metric of the counts: a label with the predictions of both models for each row.
    Counts(Metric, Vec<[bool; 3]>),
    /// The mean of a number for each row.
    Mean(Vec<f64>),
    /// A metric of the order of the rows, for both models.
    Order(Metric, [Sorted; 2]),
}

impl Measure {
    fn of(metric: Metric, labels: &[bool], [first, second]: [Answers<'_>; 2]) -> Result<Self> {
        let losses = |loss: fn(bool, f64) -> f64| {
            let pairs = first.probabilities.iter().zip(second.probabilities);
            let rows = labels.iter().zip(pairs);
            Self::Mean(rows.map(|(y, (a, b))| loss(*y, *b) - loss(*y, *a)).collect())
        };
        Ok(match metric {
            Metric::LogLoss => losses(log_loss_of),
            Metric::Brier => losses(squared_error),
            Metric::RocAuc
            | Metric::Gini
            | Metric::PrAuc
            | Metric::Ks
            | Metric::Lift
            | Metric::TopPrecision => {
                let sorted = |answers: Answers<'_>| Sorted::new(labels, answers.probabilities);
                Self::Order(metric, [sorted(first)?, sorted(second)?])
            }
            counted => {
                let pairs = first.predicted.iter().zip(second.predicted);
                let rows = labels.iter().zip(pairs).map(|(y, (a, b))| [*y, *a, *b]);
                Self::Counts(counted, rows.collect())
            }
        })
    }

    /// The differences in `resamples` resamples of `rows` rows, or of the entities that they belong
    /// to.
    fn draws(
        &self,
        rows: usize,
        clusters: Option<&Clusters>,
        resamples: usize,
        mut random: Xoshiro256PlusPlus,
    ) -> Vec<f64> {
        let units = clusters.map_or(rows, Clusters::len);
        // There are rows, which is all that the constructor requires.
        let Ok(pick) = Uniform::new(0, units) else { return vec![0.0; resamples] };
        let mut drawn = vec![0_u32; units];
        let mut times = Vec::new();
        let draw = |_| {
            drawn.fill(0);
            for _ in 0..units {
                drawn[pick.sample(&mut random)] += 1;
            }
            match clusters {
                None => self.difference(&drawn),
                Some(clusters) => {
                    times.clear();
                    times.extend(clusters.of_rows().map(|entity| drawn[entity]));
                    self.difference(&times)
                }
            }
        };
        (0..resamples).map(draw).collect()
    }

    /// The difference if row i is there `times[i]` times.
    fn difference(&self, times: &[u32]) -> f64 {
        match self {
            Self::Counts(metric, rows) => {
                let mut counts = PairedCounts::default();
                for ([label, first, second], times) in rows.iter().zip(times) {
                    counts.add_times(*label, *first, *second, u64::from(*times));
                }
                counts.difference_of(*metric)
            }
            Self::Mean(values) => {
                let sum: f64 = values.iter().zip(times).map(|(v, t)| v * f64::from(*t)).sum();
                let rows: u64 = times.iter().map(|t| u64::from(*t)).sum();
                sum / rows.max(1) as f64
            }
            Self::Order(metric, [first, second]) => {
                let of = |sorted: &Sorted| sorted.resampled(*metric, times);
                of(first).zip(of(second)).map_or(0.0, |(first, second)| second - first)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 240;

    fn rows() -> (Vec<bool>, [Vec<f64>; 2], [Vec<bool>; 2]) {
        let wobble = |i: usize, by: f64| (i as f64 * by).fract() - 0.5;
        let labels: Vec<bool> = (0..ROWS).map(|i| i % 3 == 0).collect();
        let of = |by: f64, noise: f64| -> Vec<f64> {
            let p = |i: usize| if i.is_multiple_of(3) { 0.6 } else { 0.35 } + noise * wobble(i, by);
            (0..ROWS).map(|i| p(i).clamp(0.0, 1.0)).collect()
        };
        let p = [of(0.618_034, 0.9), of(0.414_214, 0.6)];
        let predicted = [0, 1].map(|k| p[k].iter().map(|p| *p > 0.5).collect());
        (labels, p, predicted)
    }

    fn interval(metric: Metric, clusters: Option<&Clusters>, threads: usize) -> Interval {
        let (labels, p, predicted) = rows();
        let answers = [0, 1].map(|k| Answers { predicted: &predicted[k], probabilities: &p[k] });
        difference_interval(metric, &labels, answers, clusters, 0.95, (7, threads)).unwrap()
    }

    #[test]
    fn threads_change_nothing_and_equal_rows_of_an_entity_widen_the_interval() {
        let pairs: Vec<u128> = (0..ROWS as u128).map(|i| i / 6).collect();
        let clusters = Clusters::of(&pairs).unwrap();
        for metric in Metric::ALL {
            let one = interval(metric, None, 1);
            assert_eq!(one, interval(metric, None, 8), "{metric:?}");
            assert!(one.low < one.high, "{metric:?}: {one:?}");
            let of_entities = interval(metric, Some(&clusters), 2);
            assert_eq!(of_entities, interval(metric, Some(&clusters), 1), "{metric:?}");
            assert!(of_entities.low < of_entities.high, "{metric:?}: {of_entities:?}");
        }
    }

    /// Every row six times, as one entity: as if the rows were there once.
    #[test]
    fn copies_of_a_row_add_no_certainty() {
        let (labels, p, predicted) = rows();
        let six = |values: &[bool]| values.iter().flat_map(|v| [*v; 6]).collect::<Vec<bool>>();
        let labels = six(&labels);
        let predicted = [0, 1].map(|k| six(&predicted[k]));
        let p = [0, 1].map(|k| p[k].iter().flat_map(|p| [*p; 6]).collect::<Vec<f64>>());
        let answers = [0, 1].map(|k| Answers { predicted: &predicted[k], probabilities: &p[k] });
        let entities: Vec<u128> = (0..6 * ROWS as u128).map(|i| i / 6).collect();
        let clusters = Clusters::of(&entities).unwrap();
        for metric in [Metric::F1, Metric::RocAuc, Metric::LogLoss] {
            let width = |i: Interval| i.high - i.low;
            let once = width(interval(metric, None, 2));
            let of = |clusters| {
                width(
                    difference_interval(metric, &labels, answers, clusters, 0.95, (7, 2)).unwrap(),
                )
            };
            let (rows, clustered) = (of(None), of(Some(&clusters)));
            assert!((clustered / once - 1.0).abs() < 0.1, "{metric:?}: {clustered} {once}");
            assert!(rows < once / 2.0, "{metric:?}: {rows} {once}");
        }
    }
}
