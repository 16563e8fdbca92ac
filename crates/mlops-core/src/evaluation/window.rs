//! Windows of the training rows, compared by what models on them predict for the newest rows.
//!
//! All rows are used unless another window has a lower log loss by more than chance explains: more rows
//! mean less variance, and leaving rows out only helps if they are no longer representative. The fits are in
//! `model::fit`; the rows of a window are selected in the training stage.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::Interval;
use super::metrics::mean::mean_interval;
use crate::config::Window;
use crate::text;

/// A window, and the losses of its models for the newest rows.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The window.
    pub window: Window,
    /// The number of its training rows.
    pub rows: u64,
    /// As many rows of weight 1 tell as much.
    pub effective_rows: f64,
    /// The place of a tested row in the data set, its entity, and its log loss, by place.
    pub losses: Vec<(u64, u32, f64)>,
}

/// Windows that were compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowChoice {
    /// All rows first.
    pub candidates: Vec<WindowCandidate>,
    /// The number of the newest rows that they were tested on.
    pub tested_rows: u64,
    /// The number of entities of these rows.
    pub entities: u64,
    /// The number of folds.
    pub folds: u64,
    /// Each fold was tested on rows that are later than those that it was trained on.
    pub forward: bool,
}

/// A window that was compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowCandidate {
    /// The window.
    pub window: Window,
    /// The number of its training rows.
    pub rows: u64,
    /// As many rows of weight 1 tell as much: the square of the sum of the weights divided by the sum of
    /// their squares.
    pub effective_rows: f64,
    /// The mean log loss of its models on the newest rows, in nats, each by the fold that does not know
    /// its entity.
    pub log_loss: f64,
    /// The interval of that.
    pub interval: Option<Interval>,
    /// By how much the log loss is lower than that of all rows; above 0 is better.
    pub gain: f64,
    /// The interval of that.
    pub gain_interval: Option<Interval>,
    /// It was taken.
    pub chosen: bool,
}

impl WindowChoice {
    /// Compares `tried`, of which the first has all rows, on the rows that all of them were tested on; the
    /// entities are those of the first. `None` if there are no such rows.
    pub fn of(tried: &[Tried], folds: u64, forward: bool) -> Option<Self> {
        let (first, others) = tried.split_first()?;
        let at = |tried: &Tried, place: u64| {
            let found = tried.losses.binary_search_by_key(&place, |(place, ..)| *place);
            found.ok().map(|at| tried.losses[at].2)
        };
        let common = first
            .losses
            .iter()
            .filter(|(place, ..)| others.iter().all(|other| at(other, *place).is_some()));
        let common: Vec<&(u64, u32, f64)> = common.collect();
        let entities: Vec<u32> = common.iter().map(|(_, entity, _)| *entity).collect();
        let mut different = entities.clone();
        different.sort_unstable();
        different.dedup();
        let candidate = |tried: &Tried| {
            let losses = common.iter().map(|(place, ..)| at(tried, *place).unwrap_or_default());
            let losses: Vec<f64> = losses.collect();
            let gains: Vec<f64> =
                common.iter().zip(&losses).map(|((.., all), loss)| all - loss).collect();
            let of = |values: &[f64]| {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                (mean, mean_interval(values, &entities).map(|(_, interval)| interval))
            };
            let ((log_loss, interval), (gain, gain_interval)) = (of(&losses), of(&gains));
            WindowCandidate {
                window: tried.window,
                rows: tried.rows,
                effective_rows: tried.effective_rows,
                log_loss,
                interval,
                gain,
                gain_interval,
                chosen: false,
            }
        };
        let mut candidates: Vec<WindowCandidate> = tried.iter().map(candidate).collect();
        let better = |candidate: &WindowCandidate| {
            candidate.gain_interval.is_some_and(|interval| interval.low > 0.0)
        };
        let best = (1..candidates.len())
            .filter(|i| better(&candidates[*i]))
            .min_by(|a, b| candidates[*a].log_loss.total_cmp(&candidates[*b].log_loss));
        candidates[best.unwrap_or(0)].chosen = true;
        (!common.is_empty()).then_some(Self {
            candidates,
            tested_rows: common.len() as u64,
            entities: different.len() as u64,
            folds,
            forward,
        })
    }

    /// The window that is taken.
    pub fn chosen(&self) -> Window {
        let chosen = self.candidates.iter().find(|candidate| candidate.chosen);
        chosen.map_or(Window::All, |candidate| candidate.window)
    }
}

impl fmt::Display for WindowChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Rows to train on: {}, by the log loss on the newest {} of {} entities ({} folds{}); another window than \
             all rows must be better by more than chance.",
            self.chosen(),
            text::plural(self.tested_rows, "training row"),
            text::count(self.entities),
            self.folds,
            if self.forward { ", each later than what it is trained on" } else { "" }
        )?;
        let head =
            ["window", "rows", "effective", "log loss", "95 % interval", "gain", "95 % interval"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let between = |interval: &Option<Interval>, sign: bool| match interval {
            Some(i) if sign => format!("{:+.4} to {:+.4}", i.low, i.high),
            Some(i) => format!("{:.4} to {:.4}", i.low, i.high),
            None => String::new(),
        };
        for candidate in &self.candidates {
            let all = candidate.window == Window::All;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rows")]
            let effective = candidate.effective_rows.round() as u64;
            rows.push(vec![
                candidate.window.to_string(),
                text::count(candidate.rows),
                text::count(effective),
                format!("{:.4}", candidate.log_loss),
                between(&candidate.interval, false),
                if all { String::new() } else { format!("{:+.4}", candidate.gain) },
                if all { String::new() } else { between(&candidate.gain_interval, true) },
            ]);
        }
        f.write_str(&text::table(&rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Since;

    fn tried(window: Window, loss: impl Fn(u64) -> f64, places: std::ops::Range<u64>) -> Tried {
        let losses = places.map(|place| (place, u32::try_from(place / 2).unwrap(), loss(place)));
        Tried { window, rows: 100, effective_rows: 80.4, losses: losses.collect() }
    }

    #[test]
    fn another_window_must_be_better_by_more_than_chance() {
        let noise = |place: u64| (place * 37 % 41) as f64 / 41.0;
        let all = || tried(Window::All, |_| 0.7, 0..200);
        let since = Window::Since(Since::Drift);
        let choose = |others: Vec<Tried>| {
            let tried: Vec<Tried> = std::iter::once(all()).chain(others).collect();
            WindowChoice::of(&tried, 5, false).unwrap()
        };
        // 0.01 better on average, with a standard deviation of 0.29.
        let little = tried(since, |place| 0.69 + noise(place) - 0.49, 0..200);
        let choice = choose(vec![little.clone()]);
        assert_eq!(choice.chosen(), Window::All);
        let much = tried(Window::HalfLife(9), |place| 0.5 + noise(place) - 0.49, 0..200);
        let more = tried(since, |place| 0.4 + noise(place) - 0.49, 50..200);
        assert_eq!(choose(vec![little, much.clone()]).chosen(), Window::HalfLife(9));
        let choice = choose(vec![more, much]);
        assert_eq!(choice.chosen(), since);
        assert_eq!((choice.tested_rows, choice.entities), (150, 75), "what all were tested on");
        let text = choice.to_string();
        assert!(text.contains("newest 150 training rows of 75 entities (5 folds)"), "{text}");
        assert!(text.contains("all rows, weight halved every 9 rows"), "{text}");
        assert!(WindowChoice::of(&[tried(Window::All, |_| 0.7, 0..0)], 5, false).is_none());
    }
}
