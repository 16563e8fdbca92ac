//! The verdict for a manager, in plain sentences, with the four numbers behind it.
//!
//! Not for the details: see `quality`.

use mlops_core::evaluation::gate::Compared;
use mlops_core::evaluation::metrics::bootstrap::too_few;
use mlops_core::text;

use crate::document::{Block, Gauge, Line, Span, Tile, Tone, line, paragraph, strong};
use crate::font::clean;
use crate::format;
use crate::report::{Report, Score, Severity, Standing};

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
    if let Some(standing) = &report.standing {
        blocks.push(Block::Heading("Which release, and what changed".to_owned()));
        blocks.push(Block::Facts(standing_facts(report, standing)));
        blocks.push(paragraph(line![strong("Why: "), brief(&standing.reason)]));
    }
    blocks.push(Block::Heading("What must be decided".to_owned()));
    blocks.extend(to_decide(report));
    blocks
}

/// Only so much of a reason: the first page is one page.
fn brief(text: &str) -> String {
    const MOST: usize = 600;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

fn standing_facts(report: &Report, standing: &Standing) -> Vec<(String, Line)> {
    let since = Span::Time(standing.since.clone());
    let release = Span::Code(report.release.clone().unwrap_or_default());
    let how = if standing.rolled_back_to { ", by a rollback" } else { "" };
    let mut facts = vec![("Live release".to_owned(), line![release, ", since ", since, how])];
    let sized = |(name, rows): &(String, Option<u64>)| match rows {
        Some(rows) => format!("{name} ({})", format::counted(*rows, "row", "rows")),
        None => name.clone(),
    };
    let Some(previous) = &standing.previous else {
        facts.push(("Before it".to_owned(), "nothing: it is the first release".into()));
        facts.push(("Trained on".to_owned(), sized(&standing.data).into()));
        return facts;
    };
    facts.push(("Before it".to_owned(), Span::Code(previous.release.clone()).into()));
    let before = previous.data.as_ref().filter(|data| **data != standing.data);
    let instead = before.map_or_else(String::new, |data| format!(", instead of {}", sized(data)));
    facts.push(("Trained on".to_owned(), format!("{}{instead}", sized(&standing.data)).into()));
    let told = match (&standing.gate, previous.f1) {
        (Some(gate), _) => {
            let Compared { metric, champion, challenger, .. } = gate.compared();
            let mut name = metric.words().to_owned();
            name[..1].make_ascii_uppercase();
            format!(
                "{name} {} against {} of the release before, on the same {} (difference {}, {}){}",
                format::score(challenger),
                format::score(champion),
                format::counted(gate.n, "row", "rows"),
                format::number(gate.difference),
                signed(&gate.interval),
                if metric.is_loss() { "; lower is better" } else { "" }
            )
        }
        (None, Some(f1)) if report.score.n > 0 => format!(
            "F1 {}; the release before had {} on the test rows of its time",
            format::score(report.score.f1),
            format::score(f1)
        ),
        _ => return facts,
    };
    facts.push(("Score".to_owned(), told.into()));
    facts
}

fn signed(interval: &mlops_core::evaluation::metrics::Interval) -> String {
    format!(
        "{} interval {} to {}",
        format::percent(interval.level),
        format::number(interval.low),
        format::number(interval.high)
    )
}

/// The findings that need a person, or that there are none.
fn to_decide(report: &Report) -> Vec<Block> {
    const MOST: usize = 4;
    let serious: Vec<_> =
        report.warnings.iter().filter(|w| w.severity == Severity::Serious).collect();
    let others = report.warnings.iter().filter(|w| w.severity == Severity::Warning).count() as u64;
    if serious.is_empty() {
        let rest = match others {
            0 => String::new(),
            n => format!(" {} below.", format::counted(n, "warning is", "warnings are")),
        };
        let doubt = report.score.n > 0 && !report.score.beyond_chance;
        let told = if doubt {
            "Whether to use the model before more test rows show that it is better than a constant \
             answer."
        } else {
            "Nothing: no check found anything that needs a person."
        };
        return vec![paragraph(format!("{told}{rest}"))];
    }
    let mut items: Vec<Line> =
        serious.iter().take(MOST).map(|finding| brief(&finding.text).into()).collect();
    if serious.len() > MOST {
        let more = text::plural((serious.len() - MOST) as u64, "more serious finding");
        items.push(format!("{more}: see Findings.").into());
    }
    vec![Block::List(items)]
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
