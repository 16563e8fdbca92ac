//! The section on the model: how it was fitted, and what each coefficient means.
//!
//! Not for its quality: see `quality`.

use mlops_core::text;

use crate::charts::weightiest;
use crate::format;
use crate::pictures::Picture;
use crate::report::{Coefficient, Report};

use super::table::Table;
use super::{digest, figures, name, verdict};
use crate::escape::escape;

/// Renders the section.
pub(super) fn section(report: &Report, pictures: &[Picture]) -> String {
    let model = &report.model;
    if model.features.is_empty() && model.rows == 0 {
        return "<p>There is no model in this report.</p>\n".to_owned();
    }
    let kind = if model.kind.is_empty() { "model" } else { &model.kind };
    let mut html = format!(
        "<p>A {} with {}, fitted on {}.</p>\n",
        escape(kind),
        format::counted(model.features.len() as u64, "feature", "features"),
        format::counted(model.rows, "row", "rows"),
    );
    html.push_str(&facts(report));
    html.push_str("<div class=\"beside\">\n");
    html.push_str(&figures(pictures, &["coefficients"]));
    html.push_str(&words(report));
    html.push_str("</div>\n");
    html
}

fn facts(report: &Report) -> String {
    let model = &report.model;
    let mut facts = vec![("Data version", digest(&report.data_version))];
    if !model.solver.is_empty() {
        let mut fit = escape(&model.solver);
        if let Some(n) = model.iterations {
            fit.push_str(&format!(", {}", format::counted(n, "step", "steps")));
        }
        if let Some(norm) = model.gradient_norm {
            fit.push_str(&format!(", gradient {}", format::number(norm)));
        }
        facts.push(("Fit", fit));
    }
    let penalty =
        model.c.map_or_else(|| "none".to_owned(), |c| format!("C = {}", format::plain(c)));
    facts.push(("Penalty", penalty));
    facts.push(("Intercept", format::number(model.intercept)));
    if !model.missing_policy.is_empty() {
        facts.push(("Missing values", escape(&model.missing_policy)));
    }
    let list: String =
        facts.iter().map(|(k, v)| format!("<div><dt>{k}</dt><dd>{v}</dd></div>\n")).collect();
    format!("<dl class=\"facts\">\n{list}</dl>\n")
}

fn words(report: &Report) -> String {
    let model = &report.model;
    let per = if model.standardised { "standard deviation" } else { "unit" };
    let mut table = Table::new(
        "Coefficients",
        &[("Feature", false), ("Coefficient", true), ("Odds", true), ("In words", false)],
    );
    for feature in weightiest(&model.features) {
        table.row(vec![
            name(&feature.name),
            format::number(feature.value),
            format!("× {}", format::number(feature.value.exp())),
            sentence(feature, report),
        ]);
    }
    let odd = model.features.iter().filter(|f| !f.value.is_finite()).count();
    let odd = match odd {
        0 => String::new(),
        n => format!(
            " {} without a usable value and not shown.",
            format::counted(n as u64, "feature is", "features are")
        ),
    };
    let category = if model.features.iter().any(|f| f.against.is_some()) {
        ", or the category instead of its column’s most frequent one,"
    } else {
        ""
    };
    format!(
        "<div>\n{}<p class=\"small\">Odds: by how much one {per} more{category} multiplies the odds of \
         being among the {}, all else equal.{odd}</p>\n</div>\n",
        table.html(),
        verdict::positives(report)
    )
}

fn sentence(feature: &Coefficient, report: &Report) -> String {
    let odds = feature.value.exp();
    let step = match (report.model.standardised, feature.deviation) {
        _ if feature.against.is_some() => {
            format!(
                "rather than “{}”",
                escape(&text::name(feature.against.as_deref().unwrap_or_default()))
            )
        }
        (true, Some(deviation)) => format!("{} more", format::plain(deviation)),
        (true, None) => "one deviation more".to_owned(),
        (false, _) => "one more".to_owned(),
    };
    if (odds - 1.0).abs() < 0.01 {
        return format!("{step}: hardly any difference");
    }
    let (change, direction) =
        if odds > 1.0 { (odds - 1.0, "raises") } else { (1.0 - odds, "lowers") };
    let by = if change > 1.0 {
        format!("{direction} the odds {} times", format::number(odds))
    } else {
        format!("{direction} the odds by {}", format::percent(change))
    };
    format!("{step} {by}")
}
