//! The verdict for a manager, in plain sentences, with the four numbers behind it.
//!
//! Not for the details: see `quality`.

use mlops_core::evaluation::metrics::bootstrap::too_few;

use crate::format;
use crate::report::{Report, Score, Severity};

use crate::escape::escape;

/// Renders the top of the page.
pub(super) fn section(report: &Report) -> String {
    let score = &report.score;
    let class = if score.n > 0 && score.beyond_chance { "good" } else { "poor" };
    let mut html = format!(
        "<section id=\"verdict\" class=\"{class}\" aria-labelledby=\"verdict-h\">\n\
         <h2 id=\"verdict-h\">The verdict</h2>\n<p class=\"lead\">{}</p>\n",
        lead(report)
    );
    if score.n > 0 {
        html.push_str(&format!("<p>{}</p>\n", comparison(score)));
    }
    let serious = report.warnings.iter().filter(|w| w.severity == Severity::Serious).count();
    if serious > 0 {
        let (there, it) = match serious {
            1 => ("There is one serious warning".to_owned(), "it"),
            n => (format!("There are {n} serious warnings"), "them"),
        };
        html.push_str(&format!(
            "<p class=\"alarm\"><strong>{there}.</strong> <a href=\"#findings\">Read {it}</a> \
             before relying on these numbers.</p>\n"
        ));
    }
    if score.n > 0 {
        html.push_str(&tiles(score));
    }
    html.push_str("</section>\n");
    html
}

/// "clients that left", "rows labelled “1”".
pub(super) fn positives(report: &Report) -> String {
    let unit = unit(report);
    match &report.positive_phrase {
        Some(phrase) => format!("{unit} that {}", escape(phrase)),
        None => format!("{unit} labelled “{}”", escape(&report.positive_label)),
    }
}

/// The noun for rows, in the plural.
pub(super) fn unit(report: &Report) -> String {
    if report.unit.is_empty() { "rows".to_owned() } else { escape(&report.unit) }
}

fn really(report: &Report) -> String {
    match &report.positive_phrase {
        Some(phrase) => format!("really {}", escape(phrase)),
        None => "really are".to_owned(),
    }
}

fn lead(report: &Report) -> String {
    let score = &report.score;
    if score.n == 0 {
        return "The model has not been scored: no rows were held out to test it on.".to_owned();
    }
    if score.positives == 0 || score.positives >= score.n {
        return format!(
            "No verdict is possible: the {} {} that the model was tested on are all of one class.",
            format::count(score.n),
            unit(report)
        );
    }
    let finds = format!(
        "The model finds <strong>{}</strong> of the {}",
        format::percent(score.recall),
        positives(report)
    );
    let m = score.confusion;
    let named = if m.tp == 0 && m.fp == 0 {
        "it predicts none at all.".to_owned()
    } else {
        format!(
            "of those it predicts, <strong>{}</strong> {}.",
            format::percent(score.precision),
            really(report)
        )
    };
    let few = too_few(&score.confusion).map_or_else(String::new, |few| format!(": {few}"));
    let interval = score
        .f1_interval
        .as_ref()
        .map_or_else(String::new, |i| format!(" ({}{few})", format::interval(i)));
    format!(
        "{finds}; {named} F1 <strong>{}</strong>{interval}, the best constant answer gets {}.",
        format::score(score.f1),
        format::score(score.constant_f1)
    )
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

fn tiles(score: &Score) -> String {
    let tile = |value: String, name: &str, text: &str| {
        format!(
            "<div class=\"tile\"><dt>{name}</dt><dd><span class=\"value\">{value}</span> \
             <span class=\"say\">{text}</span></dd></div>\n"
        )
    };
    let n = format::count(score.n);
    let positives = format::count(score.positives);
    [
        "<dl class=\"tiles\">\n".to_owned(),
        tile(format::percent(score.recall), "Recall", "of the positives are found"),
        tile(
            format::percent(score.precision),
            "Precision",
            "of the positive predictions are correct",
        ),
        tile(format::score(score.f1), "F1", "harmonic mean of both, 1 is perfect"),
        tile(
            n,
            "Tested on",
            &format!(
                "rows that it was not trained on, {positives} of them \
                                       positive"
            ),
        ),
        "</dl>\n".to_owned(),
        gauge(score),
    ]
    .concat()
}

/// A scale from 0 to 1 with F1, its interval and the constant answer.
fn gauge(score: &Score) -> String {
    let at = |x: f64| if x.is_finite() { x.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    let f1 = at(score.f1);
    let (low, high) = score.f1_interval.map_or((f1, f1), |i| (at(i.low), at(i.high)));
    let constant = at(score.constant_f1);
    let alt = format!(
        "F1 {}, best constant answer {}, on a scale from 0 to 1",
        format::score(score.f1),
        format::score(score.constant_f1)
    );
    let band = match score.f1_interval {
        Some(i) => format!(
            "<span><i class=\"k-band\"></i>{} interval {} to {}</span>\n",
            format::percent(i.level),
            format::score(i.low),
            format::score(i.high)
        ),
        None => String::new(),
    };
    format!(
        "<div class=\"gauge\">\n<div class=\"track\" role=\"img\" aria-label=\"{alt}\">\
         <i class=\"band\" style=\"left:{low:.2}%;width:{:.2}%\"></i>\
         <i class=\"const\" style=\"left:{constant:.2}%\"></i>\
         <i class=\"dot\" style=\"left:{f1:.2}%\"></i></div>\n\
         <div class=\"ends\" aria-hidden=\"true\"><span>0</span><span>F1</span><span>1</span></div>\n\
         <p class=\"key\"><span><i class=\"k-dot\"></i>the model {}</span>\n{band}\
         <span><i class=\"k-const\"></i>best constant answer {}</span></p>\n</div>\n",
        high - low,
        format::score(score.f1),
        format::score(score.constant_f1)
    )
}
