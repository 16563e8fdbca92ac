//! A mean over rows, with an interval that holds where several rows are of one entity.
//!
//! The variance is that of the entities' sums of deviations (Liang and Zeger 1986, for a mean), and the
//! quantile Student's for their number. Not for shares and other figures between bounds: see
//! [`super::interval`].

use super::clusters::student;
use super::interval::{Interval, LEVEL, Method};

/// The mean of `values` and its 95 % interval; `entities` has the number of the entity of each value.
/// `None` for no values, or values of a single entity.
pub fn mean_interval(values: &[f64], entities: &[u32]) -> Option<(f64, Interval)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|row| entities.get(*row));
    let (mut squares, mut count) = (0.0, 0.0);
    for of_one in order.chunk_by(|a, b| entities.get(*a) == entities.get(*b)) {
        squares += of_one.iter().map(|row| values[*row] - mean).sum::<f64>().powi(2);
        count += 1.0;
    }
    if count < 2.0 {
        return None;
    }
    let error = (squares * count / (count - 1.0)).sqrt() / n;
    let away = student(count - 1.0) * error;
    let interval =
        Interval { low: mean - away, high: mean + away, level: LEVEL, method: Method::Wald };
    Some((mean, interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_rows_have_the_interval_of_a_textbook_and_repeated_ones_no_narrower() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * 7 % 11)).collect();
        let singles: Vec<u32> = (0..50).collect();
        let (mean, interval) = mean_interval(&values, &singles).unwrap();
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 49.0;
        // Student's 0.975 quantile for 49 degrees of freedom, from R.
        let expected = 2.009_575_237_129_235 * (variance / 50.0).sqrt();
        assert!(((interval.high - mean) / expected - 1.0).abs() < 1e-4);
        let twice: Vec<f64> = values.iter().chain(&values).copied().collect();
        let numbers: Vec<u32> = singles.iter().chain(&singles).copied().collect();
        let (again, same) = mean_interval(&twice, &numbers).unwrap();
        assert!((again - mean).abs() < 1e-12 && (same.low - interval.low).abs() < 1e-12);
        assert!(mean_interval(&values, &[0; 50]).is_none() && mean_interval(&[], &[]).is_none());
    }
}
