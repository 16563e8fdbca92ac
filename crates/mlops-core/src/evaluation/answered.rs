//! The probabilities of rows whose labels are not known yet, condensed to bounded memory.
//!
//! Up to [`MANY`] log-odds are kept as they are. Of more, those that share a bin of 1 / 1024 and the side of
//! the threshold become one point at their mean, which changes no score by more than rounding would in
//! its fifth digit. Not for estimating with them: see [`super::estimate`].

use super::metrics::calibration::log_odds;
use super::metrics::classify;

/// From this many points on they are condensed.
const MANY: usize = 200_000;
/// Bins for each unit of log-odds.
const FINENESS: f64 = 1024.0;

/// Rows with the same answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The log-odds of the positive class.
    pub log_odds: f64,
    /// They are predicted positive.
    pub positive: bool,
    /// The number of rows.
    pub rows: f64,
}

/// The probabilities that a model answered, at its threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    points: Vec<Point>,
    threshold: f64,
    rows: u64,
    positive: u64,
}

impl Answered {
    /// No rows yet, of a model with this threshold.
    pub fn new(threshold: f64) -> Self {
        Self { points: Vec::new(), threshold, rows: 0, positive: 0 }
    }

    /// Adds a row's probability of the positive class; none outside [0, 1].
    pub fn add(&mut self, probability: f64) {
        if !(0.0..=1.0).contains(&probability) {
            return;
        }
        let positive = classify(probability, self.threshold);
        self.points.push(Point { log_odds: log_odds(probability), positive, rows: 1.0 });
        self.rows += 1;
        self.positive += u64::from(positive);
        if self.points.len() >= MANY {
            self.condense();
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of rows predicted positive.
    pub fn positive(&self) -> u64 {
        self.positive
    }

    /// The points, ascending by log-odds.
    pub fn sorted(&self) -> Vec<Point> {
        let mut points = self.points.clone();
        points.sort_by(|a, b| a.log_odds.total_cmp(&b.log_odds));
        points
    }

    /// Joins the points of each bin.
    fn condense(&mut self) {
        let bin = |point: &Point| ((point.log_odds * FINENESS).floor(), point.positive);
        let mut joined: Vec<Point> = Vec::new();
        for point in self.sorted() {
            match joined.last_mut() {
                Some(last) if bin(last) == bin(&point) => {
                    let rows = last.rows + point.rows;
                    last.log_odds += (point.log_odds - last.log_odds) * point.rows / rows;
                    last.rows = rows;
                }
                _ => joined.push(point),
            }
        }
        self.points = joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_take_little_memory_and_none_is_lost() {
        let mut answered = Answered::new(0.5);
        let n = 3 * MANY;
        for i in 0..n {
            answered.add((i as f64 + 0.5) / n as f64);
        }
        assert!(answered.points.len() < MANY, "{}", answered.points.len());
        let points = answered.sorted();
        let rows: f64 = points.iter().map(|p| p.rows).sum();
        let positive: f64 = points.iter().filter(|p| p.positive).map(|p| p.rows).sum();
        assert_eq!((answered.rows(), answered.positive()), (n as u64, n as u64 / 2));
        assert!((rows - n as f64).abs() < 1e-6 && (positive - n as f64 / 2.0).abs() < 1e-6);
        assert!(points.is_sorted_by(|a, b| a.log_odds <= b.log_odds));
    }

    #[test]
    fn what_is_no_probability_is_left_out() {
        let mut answered = Answered::new(0.5);
        for p in [f64::NAN, -0.1, 1.1, 0.0, 1.0, 0.5] {
            answered.add(p);
        }
        assert_eq!((answered.rows(), answered.positive()), (3, 1));
        assert!(answered.sorted().iter().all(|p| p.log_odds.is_finite()));
    }
}
