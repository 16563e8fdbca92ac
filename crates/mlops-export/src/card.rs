//! A model card as Hugging Face reads it: metadata in YAML between two lines, then Markdown.
//!
//! Figures are those of the release; what the model is for comes from the section `card` of the
//! configuration. Not for `model.json`, which is for programs.

use std::fmt::{Display, Write as _};

use mlops_core::config::Config;
use mlops_core::evaluation::leak::Leak;
use mlops_core::evaluation::metrics::{Evaluation, Interval};
use mlops_core::release::{ARTIFACT, Release};
use mlops_core::stage::score::Score;
use mlops_core::table::schema::Role;
use mlops_core::text;
use serde_json::json;

/// What a form has that nobody filled in.
const UNSAID: &str = "Nobody has said so far";

/// The columns that a model is of.
const FEATURES: [(&str, Role); 3] =
    [("Numbers", Role::Numeric), ("Dates", Role::Date), ("Categories", Role::Categorical)];

/// The file `README.md`.
pub fn document(release: &Release, score: &Score, leaks: &[Leak], config: &Config) -> String {
    let mut out = metadata(release, score, config);
    let (model, words, e) = (&release.model, &config.card, &score.evaluation);
    let (target, positive) = (model.schema.target(), model.label(true));
    let title = words.title.as_deref().unwrap_or(release.id.as_str());
    line(&mut out, format_args!("# {}\n", safe(title)));
    line(
        &mut out,
        format_args!(
            "A logistic regression that gives the probability of {} = {}, from {} columns. It was made by \
             mlops as release {}.\n",
            code(target),
            code(positive),
            FEATURES.into_iter().flat_map(|(_, role)| model.schema.names(role)).count(),
            code(release.id.as_str())
        ),
    );
    said(&mut out, "Intended use", words.intended_use.as_slice(), "card.intended_use");
    said(&mut out, "Out of scope", &words.out_of_scope, "card.out_of_scope");

    line(&mut out, "## Training data\n");
    let data = &model.data;
    table(&mut out, ["", ""]);
    row(&mut out, ["Data set", &data.version.file_name()]);
    row(&mut out, ["SHA-256", &data.sha256.to_string()]);
    let (rows, positives) = (text::count(data.rows), text::count(data.positives));
    row(&mut out, ["Rows", &format!("{rows}, {positives} of them {positive}")]);
    row(&mut out, ["Left out for a missing value", &text::count(data.dropped)]);
    row(&mut out, ["Left out because they are test data", &text::count(data.held_out)]);
    let window = match &model.window {
        None => "all rows, with the same weight".to_owned(),
        Some(w) => format!("{}; {} left out", w.window, text::plural(w.left_out, "row")),
    };
    row(&mut out, ["Window", &window]);
    for (what, role) in FEATURES {
        let columns: Vec<&str> = model.schema.names(role).collect();
        if !columns.is_empty() {
            row(&mut out, [what, &columns.join(", ")]);
        }
    }

    line(&mut out, "\n## Decision\n");
    line(
        &mut out,
        format_args!(
            "A row is predicted {} if its probability is above **{}**, the threshold of this release.\n",
            code(positive),
            model.training.threshold
        ),
    );

    line(&mut out, "## Evaluation\n");
    line(
        &mut out,
        format_args!(
            "On {} that it was not trained on ({} {}), with 95 % intervals:\n",
            text::plural(e.n, "row"),
            text::count(e.positives),
            code(positive)
        ),
    );
    table(&mut out, ["figure", "value", "from", "to"]);
    for (name, value, interval) in figures(e) {
        let ends = interval.map(|i| [i.low, i.high].map(|x| format!("{x:.4}")));
        let [low, high] = ends.unwrap_or_default();
        row(&mut out, [name, &format!("{value:.4}"), &low, &high]);
    }
    let constant = format!("{:.4}", e.constant.f1);
    row(&mut out, ["F1 of the best constant answer", &constant, "", ""]);
    if !score.slices.is_empty() {
        line(&mut out, "\n### By parts of the rows\n");
        table(&mut out, ["slice", "rows", "F1", "from", "to", "precision", "recall"]);
        for slice in &score.slices {
            let e = &slice.evaluation;
            let [f1, low, high, precision, recall] =
                [e.f1, e.f1_interval.low, e.f1_interval.high, e.precision, e.recall]
                    .map(|x| format!("{x:.4}"));
            let (name, rows) = (slice.slice.to_string(), text::count(e.n));
            row(&mut out, [&name, &rows, &f1, &low, &high, &precision, &recall]);
        }
    }

    line(&mut out, "\n## Limits\n");
    for limit in &words.limits {
        line(&mut out, format_args!("- {limit}"));
    }
    for limit in limits(score, leaks) {
        line(&mut out, format_args!("- {limit}"));
    }
    if let Some(contact) = &words.contact {
        line(&mut out, format_args!("\n## Contact\n\n{contact}"));
    }
    out
}

/// The metadata. Every text is quoted as in JSON, which YAML reads.
fn metadata(release: &Release, score: &Score, config: &Config) -> String {
    let mut out = String::from("---\n");
    let words = &config.card;
    let quoted = |text: &str| json!(text).to_string();
    for (key, value) in [("language", &words.language), ("license", &words.license)] {
        if let Some(value) = value {
            line(&mut out, format_args!("{key}: {}", quoted(value)));
        }
    }
    line(&mut out, "library_name: mlops\npipeline_tag: tabular-classification");
    line(&mut out, "tags:\n- tabular-classification\n- logistic-regression");
    let title = words.title.as_deref().unwrap_or(release.id.as_str());
    line(&mut out, format_args!("model-index:\n- name: {}", quoted(title)));
    line(&mut out, "  results:\n  - task:\n      type: tabular-classification");
    line(
        &mut out,
        "    dataset:\n      name: test rows that it was not trained on\n      type: held-out",
    );
    line(&mut out, "    metrics:");
    for (name, value, _) in figures(&score.evaluation) {
        let kind = name.to_lowercase().replace(' ', "_");
        line(&mut out, format_args!("    - type: {kind}\n      name: {}", quoted(name)));
        line(&mut out, format_args!("      value: {}", json!(value)));
    }
    let artifact = release.manifest.files.get(ARTIFACT).map(ToString::to_string);
    line(&mut out, format_args!("release: {}", quoted(release.id.as_str())));
    line(&mut out, format_args!("artifact_sha256: {}", quoted(&artifact.unwrap_or_default())));
    line(&mut out, format_args!("threshold: {}", json!(release.model.training.threshold)));
    line(&mut out, "---\n");
    out
}

/// The figures that a card has.
fn figures(e: &Evaluation) -> Vec<(&'static str, f64, Option<Interval>)> {
    let all = [
        ("F1", Some(e.f1), Some(e.f1_interval)),
        ("Accuracy", Some(e.accuracy), Some(e.accuracy_interval)),
        ("Precision", Some(e.precision), e.precision_interval),
        ("Recall", Some(e.recall), e.recall_interval),
        ("ROC AUC", e.roc_auc, e.roc_auc_interval),
        ("PR AUC", e.pr_auc, None),
    ];
    all.into_iter().filter_map(|(name, value, ends)| Some((name, value?, ends))).collect()
}

/// What the figures themselves say against the model.
fn limits(score: &Score, leaks: &[Leak]) -> Vec<String> {
    let e = &score.evaluation;
    let mut limits = Vec::new();
    if !e.beats_constant {
        limits.push(format!(
            "Its F1 does not beat that of the best constant answer ({:.4}).",
            e.constant.f1
        ));
    }
    if score.unanswered > 0 {
        limits.push(format!(
            "It gave no prediction for {} of the test, since a value was missing.",
            text::plural(score.unanswered, "row")
        ));
    }
    if let Some(note) = &e.note {
        limits.push(safe(note));
    }
    limits.extend(score.notes.iter().map(|note| safe(note)));
    limits.extend(leaks.iter().map(|leak| safe(&leak.to_string())));
    limits.push(
        "It was tested on rows like those that it was trained on; on others, the figures above say \
         nothing."
            .to_owned(),
    );
    limits
}

/// A section that only people can fill.
fn said(out: &mut String, title: &str, words: &[String], key: &str) {
    line(out, format_args!("## {title}\n"));
    match words {
        [] => line(out, format_args!("{UNSAID}: {} is where to.\n", code(key))),
        [one] => line(out, format_args!("{one}\n")),
        several => {
            for one in several {
                line(out, format_args!("- {one}"));
            }
            out.push('\n');
        }
    }
}

fn line(out: &mut String, text: impl Display) {
    // Writing into a text cannot fail.
    let _ = writeln!(out, "{text}");
}

fn table<const N: usize>(out: &mut String, heads: [&str; N]) {
    row(out, heads);
    row(out, ["---"; N]);
}

fn row<const N: usize>(out: &mut String, cells: [&str; N]) {
    let cells = cells.map(|cell| if cell == "---" { cell.to_owned() } else { safe(cell) });
    line(out, format_args!("| {} |", cells.join(" | ")));
}

/// A text of the data, which must not become Markdown.
fn safe(text: &str) -> String {
    let mut out = String::new();
    for c in text::one_line(text).chars() {
        if "\\`*_|<>[]#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The same as code.
fn code(text: &str) -> String {
    format!("`{}`", text::one_line(text).replace('`', "'"))
}
