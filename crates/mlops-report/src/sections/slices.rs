//! The scores of slices: rows with the same value of a column.
//!
//! Not for the score of all rows: see `quality`.

use mlops_core::evaluation::slices::SliceScore;

use crate::document::{Block, Table, cells, strong};
use crate::format;

/// The table with its heading, if there are slices.
pub(super) fn table(slices: &[SliceScore]) -> Vec<Block> {
    if slices.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(
        "Slices",
        &[
            ("Slice", false),
            ("Rows", true),
            ("Positive", true),
            ("F1", true),
            ("Interval", true),
            ("Precision", true),
            ("Recall", true),
            ("ROC AUC", true),
            ("", false),
        ],
    );
    for SliceScore { slice, evaluation: e } in slices {
        let three =
            |value: Option<f64>| value.map_or_else(|| format::NONE.to_owned(), format::score);
        let matrix = e.confusion_matrix;
        let share = |value: f64, whole: u64| three(Some(value).filter(|_| whole > 0));
        table.row(cells![
            slice.to_string(),
            format::count(e.n),
            format::count(e.positives),
            strong(format::score(e.f1)),
            format!(
                "{} to {}",
                format::score(e.f1_interval.low),
                format::score(e.f1_interval.high)
            ),
            share(e.precision, matrix.tp + matrix.fp),
            share(e.recall, matrix.positives()),
            three(e.roc_auc),
            e.note.as_deref().unwrap_or_default(),
        ]);
    }
    vec![Block::Heading("By the values of single columns".to_owned()), Block::Table(table)]
}
