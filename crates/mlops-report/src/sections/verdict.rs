//! The verdict for a manager, in plain sentences, with the four numbers behind it.
//!
//! Not for the details: see `quality`.

use mlops_core::evaluation::metrics::bootstrap::too_few;

use crate::document::{Block, Gauge, Line, Span, Tile, Tone, line, paragraph, strong};
use crate::font::clean;
use crate::format;
use crate::report::{Report, Score, Severity};

/// The top of the page.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let score = &report.score;
    let serious = report.warnings.iter().filter(|w| w.severity == Severity::Serious).count();
    let (there, it) = match serious {
        1 => ("There is one serious warning".to_owned(), "it"),
        n => (format!("There are {n} serious warnings"), "them"),
    };
    let mut blocks = vec![Block::Text(Tone::Lead, lead(report))];
    if score.n > 0 {
        blocks.push(paragraph(comparison(score)));
    }
    if serious > 0 {
        let link = Span::Link("findings", format!("Read {it}"));
        let alarm =
            line![strong(format!("{there}.")), " ", link, " before relying on these numbers."];
        blocks.push(Block::Text(Tone::Alarm, alarm));
    }
    if score.n > 0 {
        blocks.push(Block::Tiles(tiles(score)));
        blocks.push(Block::Gauge(gauge(score)));
    }
    blocks
}

/// "clients that left", "rows labelled “1”".
pub(super) fn positives(report: &Report) -> String {
    let unit = unit(report);
    match &report.positive_phrase {
        Some(phrase) => format!("{unit} that {}", clean(phrase)),
        None => format!("{unit} labelled “{}”", clean(&report.positive_label)),
    }
}

/// The noun for rows, in the plural.
pub(super) fn unit(report: &Report) -> String {
    if report.unit.is_empty() { "rows".to_owned() } else { clean(&report.unit) }
}

fn really(report: &Report) -> String {
    match &report.positive_phrase {
        Some(phrase) => format!("really {}", clean(phrase)),
        None => "really are".to_owned(),
    }
}

fn lead(report: &Report) -> Line {
    let score = &report.score;
    if score.n == 0 {
        return "The model has not been scored: no rows were held out to test it on.".into();
    }
    if score.positives == 0 || score.positives >= score.n {
        return format!(
            "No verdict is possible: the {} {} that the model was tested on are all of one class.",
            format::count(score.n),
            unit(report)
        )
        .into();
    }
    let m = score.confusion;
    let found = line![
        "The model finds ",
        strong(format::percent(score.recall)),
        format!(" of the {}; ", positives(report))
    ];
    let predicted = if m.tp == 0 && m.fp == 0 {
        "it predicts none at all.".into()
    } else {
        let share = strong(format::percent(score.precision));
        line!["of those it predicts, ", share, format!(" {}.", really(report))]
    };
    let interval = score.f1_interval.map_or_else(String::new, |interval| {
        let few = too_few(&m).map_or_else(String::new, |few| format!(": {few}"));
        format!(" ({}{few})", format::interval(&interval))
    });
    let constant = format::score(score.constant_f1);
    line![
        found,
        predicted,
        " F1 ",
        strong(format::score(score.f1)),
        format!("{interval}, the best constant answer gets {constant}.")
    ]
}

fn comparison(score: &Score) -> &'static str {
    if score.beyond_chance {
        "That is better than always giving the same answer, by more than chance explains."
    } else if score.beats_constant {
        "That is a little better than always giving the same answer, but chance alone could \
         explain it: do not rely on the model yet."
    } else {
        "Always giving the same answer would do as well or better: do not use this model."
    }
}

fn tiles(score: &Score) -> Vec<Tile> {
    let tested = format!(
        "rows that it was not trained on, {} of them positive",
        format::count(score.positives)
    );
    let tile = |value, name, text: &str| Tile { value, name, text: text.to_owned() };
    vec![
        tile(format::percent(score.recall), "Recall", "of the positives are found"),
        tile(
            format::percent(score.precision),
            "Precision",
            "of the positive predictions are correct",
        ),
        tile(format::score(score.f1), "F1", "harmonic mean of both, 1 is perfect"),
        tile(format::count(score.n), "Tested on", &tested),
    ]
}

fn gauge(score: &Score) -> Gauge {
    let at = |x: f64| if x.is_finite() { x.clamp(0.0, 1.0) } else { 0.0 };
    let (f1, constant) = (format::score(score.f1), format::score(score.constant_f1));
    let interval = score.f1_interval.map(|i| {
        let level = format::percent(i.level);
        format!("{level} interval {} to {}", format::score(i.low), format::score(i.high))
    });
    Gauge {
        score: at(score.f1),
        interval: score.f1_interval.map(|i| (at(i.low), at(i.high))),
        constant: at(score.constant_f1),
        alt: format!("F1 {f1}, best constant answer {constant}, on a scale from 0 to 1"),
        key: (format!("the model {f1}"), interval, format!("best constant answer {constant}")),
    }
}
