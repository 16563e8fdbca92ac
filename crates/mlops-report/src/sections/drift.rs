//! What the last decision on the model saw: its score on new rows, and the new rows against those before.
//!
//! Not for deciding: see `mlops_core::drift`.

use mlops_core::drift::{DataDrift, ModelDrift};
use mlops_core::text;

use crate::document::{Block, Line, Span, Table, cells, line, name, paragraph, small, strong};
use crate::format;
use crate::report::{Judged, Report};

/// The section.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let Some(judged) = &report.judged else {
        return vec![paragraph(line![
            "No new rows have been compared with the training rows yet: ",
            Span::Code("fullprocess".to_owned()),
            " does that when data arrive.",
        ])];
    };
    let mut blocks = vec![paragraph(told(judged))];
    blocks.extend(judged.drift.iter().flat_map(of_model));
    blocks.extend(judged.data.iter().flat_map(of_data));
    blocks
}

fn told(judged: &Judged) -> Line {
    let how = if judged.made_it {
        "made this release live; the verdicts below are on the one before it"
    } else {
        "judged this release on rows that came after those it was trained on"
    };
    let reason = format!(": {}.", judged.reason.trim_end_matches('.'));
    line![
        "The run ",
        Span::Code(judged.run.clone()),
        " of ",
        Span::Time(judged.recorded.clone()),
        format!(" {how}"),
        reason
    ]
}

fn of_model(drift: &ModelDrift) -> Vec<Block> {
    let mut table =
        Table::new("Rules of drift", &[("Rule", false), ("Verdict", false), ("In words", false)]);
    for verdict in &drift.verdicts {
        let decides = if verdict.rule == drift.decided_by { ", which decides" } else { "" };
        let found = match verdict.drifted {
            Some(true) => strong("drift"),
            Some(false) => Span::Text("no drift".to_owned()),
            None => Span::Text(format::NONE.to_owned()),
        };
        table.row(cells![
            format!("{}{decides}", verdict.rule.name()),
            found,
            verdict.explanation.as_str()
        ]);
    }
    let scores = format!(
        "F1 {} on {}; {} on its test rows. The best constant answer has {} on the new ones. {}.",
        format::score(drift.new_f1),
        format::counted(drift.n, "new row", "new rows"),
        format::score(drift.deployed_f1),
        format::score(drift.constant_f1),
        drift.reason.trim_end_matches('.')
    );
    vec![Block::Heading("Drift of the model".to_owned()), paragraph(scores), Block::Table(table)]
}

fn of_data(data: &DataDrift) -> Vec<Block> {
    let mut columns: Vec<_> = data.columns.iter().collect();
    columns.sort_by(|a, b| {
        let (a, b) = ((!a.drifted, a.comparison.p_value), (!b.drifted, b.comparison.p_value));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let mut table = Table::new(
        "Drift of columns",
        &[
            ("Column", false),
            ("Verdict", false),
            ("p-value", true),
            ("PSI", true),
            ("Missing before", true),
            ("Missing now", true),
            ("What changed most", false),
        ],
    );
    let drifted = columns.iter().filter(|column| column.drifted).count();
    for column in columns {
        let comparison = &column.comparison;
        let share = |n: u64, all: u64| format::percent(n as f64 / all.max(1) as f64);
        let largest = comparison.largest.as_ref().map_or_else(String::new, |cell| {
            format!(
                "{}: {} before, {} now",
                text::name(&cell.label),
                share(cell.reference, data.reference_rows),
                share(cell.new, data.new_rows)
            )
        });
        let found =
            if column.drifted { strong("drift") } else { Span::Text("no drift".to_owned()) };
        table.row(cells![
            name(&column.column),
            found,
            text::p_value_at(comparison.p_value, column.level),
            comparison.psi.map_or_else(|| format::NONE.to_owned(), |psi| format::number(psi.value)),
            format::percent(column.missing_reference),
            format::percent(column.missing_new),
            largest,
        ]);
    }
    let level = data.columns.first().map_or(data.alpha, |column| column.level);
    let told = format!(
        "{} of {} differ between {} and {} by more than chance explains.",
        format::count(drifted as u64),
        format::counted(data.columns.len() as u64, "column", "columns"),
        format::counted(data.reference_rows, "training row", "training rows"),
        format::counted(data.new_rows, "new row", "new rows"),
    );
    let how = format!(
        "Each column is tested at the level {}, so that rows without drift raise any alarm in at most {} \
         of cases. The population stability index (PSI) is for information only.",
        text::level(level),
        format::percent(data.alpha)
    );
    vec![
        Block::Heading("Drift of the data".to_owned()),
        paragraph(told),
        Block::Table(table),
        small(how),
    ]
}
