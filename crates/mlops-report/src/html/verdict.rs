//! The verdict for a manager, in plain sentences, with the four numbers behind it.
//!
//! Not for the details: see `quality`.

use maud::{Markup, html};
use mlops_core::evaluation::metrics::bootstrap::too_few;

use crate::font::clean;
use crate::format;
use crate::report::{Report, Score, Severity};

/// Renders the top of the page.
pub(super) fn section(report: &Report) -> Markup {
    let score = &report.score;
    let class = if score.n > 0 && score.beyond_chance { "good" } else { "poor" };
    let serious = report.warnings.iter().filter(|w| w.severity == Severity::Serious).count();
    let (there, it) = match serious {
        1 => ("There is one serious warning".to_owned(), "it"),
        n => (format!("There are {n} serious warnings"), "them"),
    };
    html! {
        section #verdict class=(class) aria-labelledby="verdict-h" {
            h2 #verdict-h { "The verdict" }
            p.lead { (lead(report)) }
            @if score.n > 0 { p { (comparison(score)) } }
            @if serious > 0 {
                p.alarm {
                    strong { (there) "." } " " a href="#findings" { "Read " (it) }
                    " before relying on these numbers."
                }
            }
            @if score.n > 0 { (tiles(score)) }
        }
    }
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

fn lead(report: &Report) -> Markup {
    let score = &report.score;
    if score.n == 0 {
        return html! { "The model has not been scored: no rows were held out to test it on." };
    }
    if score.positives == 0 || score.positives >= score.n {
        return html! {
            "No verdict is possible: the " (format::count(score.n)) " " (unit(report))
            " that the model was tested on are all of one class."
        };
    }
    let m = score.confusion;
    html! {
        "The model finds " strong { (format::percent(score.recall)) } " of the "
        (positives(report)) "; "
        @if m.tp == 0 && m.fp == 0 { "it predicts none at all." }
        @else {
            "of those it predicts, " strong { (format::percent(score.precision)) } " "
            (really(report)) "."
        }
        " F1 " strong { (format::score(score.f1)) }
        @if let Some(interval) = &score.f1_interval {
            " (" (format::interval(interval))
            @if let Some(few) = too_few(&m) { ": " (few) }
            ")"
        }
        ", the best constant answer gets " (format::score(score.constant_f1)) "."
    }
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

fn tiles(score: &Score) -> Markup {
    let tested = format!(
        "rows that it was not trained on, {} of them positive",
        format::count(score.positives)
    );
    let (recall, precision) = (format::percent(score.recall), format::percent(score.precision));
    let all = [
        (recall, "Recall", "of the positives are found"),
        (precision, "Precision", "of the positive predictions are correct"),
        (format::score(score.f1), "F1", "harmonic mean of both, 1 is perfect"),
        (format::count(score.n), "Tested on", &tested),
    ];
    html! {
        dl.tiles {
            @for (value, name, text) in all {
                div.tile {
                    dt { (name) }
                    dd { span.value { (value) } " " span.say { (text) } }
                }
            }
        }
        (gauge(score))
    }
}

/// A scale from 0 to 1 with F1, its interval and the constant answer.
fn gauge(score: &Score) -> Markup {
    let at = |x: f64| if x.is_finite() { x.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    let f1 = at(score.f1);
    let (low, high) = score.f1_interval.map_or((f1, f1), |i| (at(i.low), at(i.high)));
    let constant = at(score.constant_f1);
    let alt = format!(
        "F1 {}, best constant answer {}, on a scale from 0 to 1",
        format::score(score.f1),
        format::score(score.constant_f1)
    );
    html! {
        div.gauge {
            div.track role="img" aria-label=(alt) {
                i.band style=(format!("left:{low:.2}%;width:{:.2}%", high - low)) {}
                i.const style=(format!("left:{constant:.2}%")) {}
                i.dot style=(format!("left:{f1:.2}%")) {}
            }
            div.ends aria-hidden="true" { span { "0" } span { "F1" } span { "1" } }
            p.key {
                span { i.k-dot {} "the model " (format::score(score.f1)) } " "
                @if let Some(i) = score.f1_interval {
                    span {
                        i.k-band {} (format::percent(i.level)) " interval "
                        (format::score(i.low)) " to " (format::score(i.high))
                    }
                    " "
                }
                span { i.k-const {} "best constant answer " (format::score(score.constant_f1)) }
            }
        }
    }
}
