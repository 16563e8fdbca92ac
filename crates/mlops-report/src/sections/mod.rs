//! The content of a report, one module per section, in the order of the page.
//!
//! Not for how it looks (`html`, `pdf`) and not for drawing (`pictures`).

pub(crate) mod comparison;
mod data;
mod drift;
mod findings;
mod history;
mod ingested;
mod model;
mod quality;
mod slices;
mod tuned;
mod verdict;

use crate::document::{Document, Line, Section, Span, line};
use crate::font::clean;
use crate::report::Report;

/// All that a report says.
pub(crate) fn document(report: &Report) -> Document {
    let section = |id, heading, blocks| Section { id, heading, blocks };
    let mut under_title = vec![line!["Report of ", Span::Time(report.generated.clone())]];
    if !report.target.is_empty() {
        under_title.push(line!["Predicts ", Span::Code(report.target.clone())]);
    }
    Document {
        title: clean(&report.title),
        generated: report.generated.clone(),
        under_title,
        verdict: section("verdict", "The verdict", verdict::section(report)),
        good: report.score.n > 0 && report.score.beyond_chance,
        sections: vec![
            section("ingested", "Ingested files", ingested::section(report)),
            section("model", "The model", model::section(report)),
            section("quality", "Model quality", quality::section(report)),
            section("history", "Over time", history::section(report)),
            section("drift", "Drift", drift::section(report)),
            section("data", "The data", data::section(report)),
            section("findings", "Findings", findings::section(report)),
        ],
        provenance: provenance(report),
        foot: foot(report),
    }
}

fn provenance(report: &Report) -> Vec<(String, Line)> {
    let release = match &report.release {
        Some(release) => Span::Code(release.clone()).into(),
        None => "not released".into(),
    };
    let digest = |whole: &str| Line::from(Span::Digest(whole.to_owned()));
    let mut items = vec![
        ("Release".to_owned(), release),
        ("Data version".to_owned(), digest(&report.data_version)),
    ];
    items.extend(report.digests.iter().map(|(of, value)| (clean(of), digest(value))));
    let version = if report.tool_version.is_empty() { "unknown" } else { &report.tool_version };
    items.push(("Tool version".to_owned(), version.into()));
    items.push(("Generated".to_owned(), Span::Time(report.generated.clone()).into()));
    items
}

/// The release and the digest of the data that it was trained on.
fn foot(report: &Report) -> String {
    let release = report.release.as_deref().map_or("not released".to_owned(), |release| {
        format!("Release {}", clean(&mlops_core::text::name(release)))
    });
    let named = report.digests.iter().find(|(of, _)| *of == report.data_version);
    let digest = named.map_or(report.data_version.as_str(), |(_, digest)| digest);
    match digest.chars().take(16).collect::<String>() {
        short if short.is_empty() => release,
        short => format!("{release} · data {}", clean(&short)),
    }
}
