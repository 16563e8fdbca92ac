//! The report as one self-contained page: no script, no network, no fonts but the reader's own.
//!
//! One module per section, in the order of the page. Not for drawing (`pictures` does that) and not
//! for writing the file.

mod data;
mod findings;
mod ingested;
mod model;
mod quality;
mod slices;
mod style;
mod table;
mod tuned;
mod verdict;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use mlops_core::{Result, text};

use crate::font::clean;
use crate::pictures::{self, Picture};
use crate::report::Report;

/// Renders the whole page and its pictures.
pub fn render(report: &Report) -> Result<String> {
    Ok(page(report, &pictures::vector(report)?))
}

/// Renders the whole page with the given pictures.
pub fn page(report: &Report, pictures: &[Picture]) -> String {
    let title = clean(&report.title);
    let sections = [
        ("ingested", "Ingested files", ingested::section(report)),
        ("model", "The model", model::section(report, pictures)),
        ("quality", "Model quality", quality::section(report, pictures)),
        ("data", "The data", data::section(report)),
        ("findings", "Findings", findings::section(report)),
    ];
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) }
                style { (PreEscaped(style::sheet())) }
            }
            body {
                header {
                    h1 { (title) }
                    p.meta {
                        span { "Report of " (when(&report.generated)) }
                        @if !report.target.is_empty() {
                            " " span { "Predicts " code { (clean(&report.target)) } }
                        }
                    }
                }
                main {
                    (verdict::section(report))
                    nav aria-label="Sections" {
                        @for (id, heading, _) in &sections { a href={ "#" (id) } { (heading) } " " }
                    }
                    @for (id, heading, content) in &sections {
                        section id=(id) aria-labelledby={ (id) "-h" } {
                            h2 id={ (id) "-h" } { (heading) }
                            (content)
                        }
                    }
                }
                (footer(report))
            }
        }
    };
    page.into_string()
}

/// A possibly long name, with hints where to break it.
fn name(text: &str) -> Markup {
    html! {
        @for part in clean(&text::name(text)).split_inclusive(['_', '=']) {
            (part)
            @if part.ends_with(['_', '=']) { wbr; }
        }
    }
}

/// A picture with its caption.
fn figure(picture: &Picture) -> Markup {
    html! {
        figure class=(picture.name) {
            (PreEscaped(picture.svg.trim_end()))
            figcaption { (clean(picture.caption)) }
        }
    }
}

/// The named pictures, side by side if there is room.
fn figures(pictures: &[Picture], names: &[&str]) -> Markup {
    html! {
        div.figures {
            @for name in names {
                @if let Some(picture) = pictures.iter().find(|p| p.name == *name) {
                    (figure(picture))
                }
            }
        }
    }
}

/// `2026-03-02T09:14:55Z` as `2026-03-02, 09:14 UTC`; any other text unchanged.
fn when(rfc3339: &str) -> Markup {
    let shown = match (rfc3339.get(..10), rfc3339.get(11..16), rfc3339.get(19..)) {
        (Some(day), Some(minute), Some(rest)) if rfc3339.is_ascii() && rest.len() < 20 => {
            let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
            let zone = if zone == "Z" || zone == "+00:00" { "UTC" } else { zone };
            format!("{day}, {minute} {zone}")
        }
        _ if rfc3339.is_empty() => return html! { "an unknown time" },
        _ => rfc3339.to_owned(),
    };
    html! { time datetime=(clean(rfc3339)) { (clean(&shown)) } }
}

/// A digest shortened for comparison by eye, with the whole one as a tooltip; other names
/// unchanged.
fn digest(whole: &str) -> Markup {
    if whole.len() <= 40 && !whole.is_empty() {
        return html! { code { (name(whole)) } };
    }
    let short: String = whole.chars().take(12).collect();
    if short.is_empty() {
        return html! { "unknown" };
    }
    html! { code title=(clean(whole)) { (clean(&short)) } }
}

/// Names with what stands for them.
fn list(items: &[(String, Markup)]) -> Markup {
    html! { @for (name, value) in items { div { dt { (name) } dd { (value) } } } }
}

fn footer(report: &Report) -> Markup {
    let release = html! {
        @if let Some(release) = &report.release { code { (clean(release)) } }
        @else { "not released" }
    };
    let mut items = vec![
        ("Release".to_owned(), release),
        ("Data version".to_owned(), digest(&report.data_version)),
    ];
    items.extend(report.digests.iter().map(|(of, value)| (clean(of), digest(value))));
    let version = if report.tool_version.is_empty() { "unknown" } else { &report.tool_version };
    items.push(("Tool version".to_owned(), html! { (clean(version)) }));
    items.push(("Generated".to_owned(), when(&report.generated)));
    html! {
        footer aria-label="Provenance" {
            h2 { "Provenance" }
            dl { (list(&items)) }
        }
    }
}
