//! Scores of parts of the test rows: those with the same value of a column.
//!
//! The most frequent values of a column have a slice each, and all others share one, so that there are
//! never more than [`MOST`] and one. Not for the columns: see `schema.slice`. Not for what a score is: see
//! [`super::metrics`].

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::{Answers, Clusters, ConfusionMatrix, Evaluation, Metric};
use crate::{Result, text};

/// The most slices of a column, besides the one of all other values.
pub const MOST: usize = 20;
/// The most values of a column that are kept apart; later ones are in the slice of all others.
const KNOWN: usize = 100_000;
/// The code of a value that is not told apart.
const UNKNOWN: u32 = u32::MAX;

/// Rows with the same value of a column, or with one of those that share a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The column.
    pub column: String,
    /// The value, empty where it is missing; `None` for all values that have no slice of their own.
    pub value: Option<String>,
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = text::name(&self.column);
        match self.value.as_deref() {
            None => write!(f, "{column}: all other values"),
            Some("") => write!(f, "{column}: missing"),
            Some(value) => write!(f, "{column}={}", text::name(value)),
        }
    }
}

/// The score of a slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceScore {
    /// The slice.
    #[serde(flatten)]
    pub slice: Slice,
    /// All figures of its rows. The note says so if there are too few of them.
    pub evaluation: Evaluation,
}

/// Two models on the same slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceContest {
    /// The slice.
    #[serde(flatten)]
    pub slice: Slice,
    /// Number of rows.
    pub rows: u64,
    /// The champion's F1.
    pub champion_f1: f64,
    /// The challenger's F1.
    pub challenger_f1: f64,
    /// The metric of the gate with its values, where it is not F1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<SliceValues>,
}

/// The values of a metric on the same slice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SliceValues {
    /// The metric.
    pub metric: Metric,
    /// The champion's value.
    pub champion: f64,
    /// The challenger's value.
    pub challenger: f64,
}

impl SliceContest {
    /// The values of the metric of the gate.
    pub fn compared(&self) -> SliceValues {
        self.other.unwrap_or(SliceValues {
            metric: Metric::F1,
            champion: self.champion_f1,
            challenger: self.challenger_f1,
        })
    }

    /// How much worse the challenger is in the metric of the gate; negative if it is better.
    pub fn drop(&self) -> f64 {
        let SliceValues { metric, champion, challenger } = self.compared();
        metric.gain(champion, challenger)
    }
}

/// The values of columns for the rows of a test.
#[derive(Debug, Clone, Default)]
pub struct Slices(Vec<Column>);

/// The values of one column.
#[derive(Debug, Clone, Default)]
struct Column {
    name: String,
    values: Vec<String>,
    places: HashMap<String, u32>,
    /// For each row the place of its value.
    codes: Vec<u32>,
}

impl Slices {
    /// No rows yet, of these columns.
    pub fn of<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let column = |name: N| Column { name: name.into(), ..Column::default() };
        Self(names.into_iter().map(column).collect())
    }

    /// Appends the values of further rows of column `j`.
    pub fn push<'t>(&mut self, j: usize, texts: impl Iterator<Item = &'t str>) {
        let Column { values, places, codes, .. } = &mut self.0[j];
        for text in texts {
            let code = match places.get(text) {
                Some(code) => *code,
                None if values.len() == KNOWN => UNKNOWN,
                None => {
                    let code = u32::try_from(values.len()).unwrap_or(UNKNOWN);
                    values.push(text.to_owned());
                    places.insert(text.to_owned(), code);
                    code
                }
            };
            codes.push(code);
        }
    }

    /// The rows of each slice, the largest of a column first.
    fn parts(&self) -> Vec<(Slice, Vec<usize>)> {
        self.0.iter().flat_map(Column::parts).collect()
    }

    /// The score of each slice: of n probabilities and labels for the rows, at `threshold`, of which several
    /// belong to one entity if `clusters` are given.
    ///
    /// # Errors
    /// As [`Evaluation::of`].
    pub fn scores(
        &self,
        labels: &[bool],
        probabilities: &[f64],
        threshold: f64,
        clusters: Option<&Clusters>,
    ) -> Result<Vec<SliceScore>> {
        let score = |(slice, rows): (Slice, Vec<usize>)| {
            let labels: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
            let probabilities: Vec<f64> = rows.iter().map(|row| probabilities[*row]).collect();
            let clusters = clusters.and_then(|clusters| clusters.among(&rows));
            let evaluation =
                Evaluation::clustered(&labels, &probabilities, threshold, clusters.as_ref())?;
            Ok(SliceScore { slice, evaluation })
        };
        self.parts().into_iter().map(score).collect()
    }

    /// Both models on each slice that has `least` rows and `least_of_class` of each class, and on which
    /// `metric` exists: n labels, and the answers of both for the same rows.
    ///
    /// # Errors
    /// As [`Evaluation::of`].
    pub fn contests(
        &self,
        labels: &[bool],
        [champion, challenger]: [Answers<'_>; 2],
        metric: Metric,
        (least, least_of_class): (u64, u64),
    ) -> Result<Vec<SliceContest>> {
        let contest = |(slice, rows): (Slice, Vec<usize>)| {
            let matrix = |of: Answers<'_>| {
                let pairs = rows.iter().map(|row| (labels[*row], of.predicted[*row]));
                ConfusionMatrix::from_pairs(pairs)
            };
            let (before, after) = (matrix(champion), matrix(challenger));
            let of_class = before.positives().min(before.negatives());
            if before.n() < least || of_class < least_of_class {
                return Ok(None);
            }
            let labels: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
            let value = |of: Answers<'_>, matrix: &ConfusionMatrix| {
                let probabilities = || rows.iter().map(|row| of.probabilities[*row]).collect();
                metric.of_either(matrix, &labels, probabilities)
            };
            let values = value(champion, &before)?.zip(value(challenger, &after)?);
            Ok(values.map(|(champion, challenger)| SliceContest {
                slice,
                rows: before.n(),
                champion_f1: before.f1(),
                challenger_f1: after.f1(),
                other: (metric != Metric::F1).then_some(SliceValues {
                    metric,
                    champion,
                    challenger,
                }),
            }))
        };
        self.parts().into_iter().filter_map(|part| contest(part).transpose()).collect()
    }
}

impl Column {
    fn parts(&self) -> Vec<(Slice, Vec<usize>)> {
        let place = |code: u32| usize::try_from(code).unwrap_or(usize::MAX);
        let mut counts = vec![0_u64; self.values.len()];
        for code in &self.codes {
            if let Some(count) = counts.get_mut(place(*code)) {
                *count += 1;
            }
        }
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by(|a, b| {
            counts[*b].cmp(&counts[*a]).then_with(|| self.values[*a].cmp(&self.values[*b]))
        });
        // One that would be all of the others has its own slice instead.
        let own =
            if order.len() == MOST + 1 && !self.codes.contains(&UNKNOWN) { MOST + 1 } else { MOST };
        order.truncate(own);
        let mut slot = vec![order.len(); counts.len()];
        for (at, code) in order.iter().enumerate() {
            slot[*code] = at;
        }
        let mut rows = vec![Vec::new(); order.len() + 1];
        for (row, code) in self.codes.iter().enumerate() {
            rows[slot.get(place(*code)).copied().unwrap_or(order.len())].push(row);
        }
        let values = order.iter().map(|code| Some(self.values[*code].clone())).chain([None]);
        let slice = |value| Slice { column: self.name.clone(), value };
        values.map(slice).zip(rows).filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(texts: &[String]) -> Slices {
        let mut slices = Slices::of(["g"]);
        slices.push(0, texts.iter().map(String::as_str));
        slices
    }

    #[test]
    fn each_slice_has_the_score_of_its_rows() {
        let texts: Vec<String> =
            (0..200).map(|i| ["de", "fr", "", "it"][(i % 7).min(3)].to_owned()).collect();
        let labels: Vec<bool> = (0..200).map(|i| i % 3 == 0).collect();
        let probabilities: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 100) / 100.0).collect();
        let scores = one(&texts).scores(&labels, &probabilities, 0.5, None).unwrap();
        let names: Vec<String> = scores.iter().map(|score| score.slice.to_string()).collect();
        assert_eq!(names, ["g=it", "g: missing", "g=de", "g=fr"]);
        for score in &scores {
            let of = |row: &usize| Some(&texts[*row]) == score.slice.value.as_ref();
            let rows: Vec<usize> = (0..200).filter(of).collect();
            let labels: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
            let probabilities: Vec<f64> = rows.iter().map(|row| probabilities[*row]).collect();
            assert_eq!(score.evaluation, Evaluation::of(&labels, &probabilities, 0.5).unwrap());
        }
        assert_eq!(scores.iter().map(|score| score.evaluation.n).sum::<u64>(), 200);
        assert!(scores[0].evaluation.note.is_none() && scores[1].evaluation.note.is_some());
        let json = serde_json::to_value(&scores[1]).unwrap();
        assert_eq!((&json["column"], &json["value"]), (&"g".into(), &"".into()));
        assert_eq!(serde_json::from_value::<SliceScore>(json).unwrap(), scores[1]);
    }

    #[test]
    fn all_but_the_most_frequent_values_share_a_slice() {
        let of = |values: usize| {
            // Value 0 once, value 1 twice and so on.
            let texts: Vec<String> =
                (0..values).flat_map(|v| vec![format!("v{v:02}"); v + 1]).collect();
            let parts = one(&texts).parts();
            let rows: usize = parts.iter().map(|(_, rows)| rows.len()).sum();
            assert_eq!(rows, texts.len());
            parts
                .into_iter()
                .map(|(slice, rows)| (slice.to_string(), rows.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(20).len(), 20);
        assert_eq!(of(21).len(), 21);
        assert_eq!(of(21)[20], ("g=v00".to_owned(), 1));
        let many = of(25);
        assert_eq!(many.len(), 21);
        assert_eq!(many[0], ("g=v24".to_owned(), 25));
        assert_eq!(many[20], ("g: all other values".to_owned(), 15));
        assert!(of(0).is_empty());
    }

    #[test]
    fn values_beyond_those_that_are_told_apart_are_among_all_others() {
        let texts: Vec<String> = (0..KNOWN + 50).map(|i| i.to_string()).collect();
        let parts = one(&texts).parts();
        assert_eq!(parts.len(), MOST + 1);
        assert_eq!(parts[MOST].1.len(), KNOWN + 50 - MOST);
    }

    #[test]
    fn models_are_compared_on_slices_with_enough_rows_of_both_classes() {
        let texts: Vec<String> = (0..100)
            .map(|i| {
                if i < 60 {
                    "large"
                } else if i < 90 {
                    "one class"
                } else {
                    "small"
                }
                .to_owned()
            })
            .collect();
        let labels: Vec<bool> = (0..100).map(|i| i % 2 == 0 && !(60..90).contains(&i)).collect();
        let champion = labels.clone();
        let challenger: Vec<bool> = (0..100).map(|i| labels[i] && i >= 20).collect();
        let probabilities = |answers: &[bool]| -> Vec<f64> {
            answers.iter().map(|answer| if *answer { 0.9 } else { 0.2 }).collect()
        };
        let (before, after) = (probabilities(&champion), probabilities(&challenger));
        let both = [(&champion, &before), (&challenger, &after)]
            .map(|(predicted, probabilities)| Answers { predicted, probabilities });
        let contests = |metric| one(&texts).contests(&labels, both, metric, (30, 10)).unwrap();
        let in_f1 = contests(Metric::F1);
        assert_eq!(in_f1.len(), 1, "{in_f1:?}");
        assert_eq!(serde_json::to_value(&in_f1[0]).unwrap().get("other"), None);
        let SliceContest { slice, rows, champion_f1, challenger_f1, .. } = &in_f1[0];
        assert_eq!((slice.to_string(), *rows), ("g=large".to_owned(), 60));
        assert!((champion_f1 - 1.0).abs() < 1e-15 && (challenger_f1 - 0.8).abs() < 1e-15);
        // Each metric is that of the rows of the slice alone, and what is worse is a drop in any.
        for metric in Metric::ALL {
            let [contest] = &contests(metric)[..] else { panic!("{metric:?}") };
            let SliceValues { metric: named, champion, challenger } = contest.compared();
            assert_eq!((named, contest.champion_f1.to_bits()), (metric, champion_f1.to_bits()));
            for (value, of) in [(champion, both[0]), (challenger, both[1])] {
                let alone = Evaluation::of(&labels[..60], &of.probabilities[..60], 0.5).unwrap();
                let expected = metric.of(&alone).unwrap();
                assert!((value - expected).abs() < 1e-12, "{metric:?}: {value} {expected}");
            }
            // All that it calls positive is so, as before.
            let same = matches!(
                metric,
                Metric::Precision | Metric::Specificity | Metric::Lift | Metric::TopPrecision
            );
            assert_eq!(contest.drop() > 1e-9, !same, "{metric:?}: {contest:?}");
            let json = serde_json::to_string(contest).unwrap();
            assert_eq!(&serde_json::from_str::<SliceContest>(&json).unwrap(), contest);
        }
    }
}
