//! The report as one self-contained page: no script, no network, no fonts but the reader's own.
//!
//! Not for its content (`sections`), not for drawing (`pictures`) and not for writing the file.

mod style;
mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use mlops_core::Result;

use crate::document::{Block, Document, Gauge, Line, Section, Span, Tone};
use crate::font::clean;
use crate::pictures::{self, Picture};
use crate::report::{Report, Severity};
use crate::sections;

/// Renders the whole page and its pictures.
pub fn render(report: &Report) -> Result<String> {
    Ok(page(&sections::document(report), &pictures::vector(report)?))
}

/// Renders the whole page with the given pictures.
pub(crate) fn page(document: &Document, pictures: &[Picture]) -> String {
    let (title, sections) = (&document.title, &document.sections);
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let verdict = if document.good { "good" } else { "poor" };
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
                        @for (k, part) in document.under_title.iter().enumerate() {
                            @if k > 0 { " " }
                            span { (line(part)) }
                        }
                    }
                }
                main {
                    (section(&document.verdict, Some(verdict), pictures))
                    nav aria-label="Sections" {
                        @for Section { id, heading, .. } in sections {
                            a href={ "#" (id) } { (heading) } " "
                        }
                    }
                    @for part in sections { (section(part, None, pictures)) }
                }
                footer aria-label="Provenance" {
                    h2 { "Provenance" }
                    dl { (facts(&document.provenance)) }
                }
            }
        }
    };
    page.into_string()
}

fn section(section: &Section, class: Option<&str>, pictures: &[Picture]) -> Markup {
    let Section { id, heading, blocks: content } = section;
    html! {
        section id=(id) class=[class] aria-labelledby={ (id) "-h" } {
            h2 id={ (id) "-h" } { (heading) }
            (blocks(content, pictures))
        }
    }
}

fn blocks(blocks: &[Block], pictures: &[Picture]) -> Markup {
    html! { @for content in blocks { (block(content, pictures)) } }
}

fn block(block: &Block, pictures: &[Picture]) -> Markup {
    match block {
        Block::Heading(text) => html! { h3 { (clean(text)) } },
        Block::Text(tone, text) => {
            let class = match tone {
                Tone::Plain => None,
                Tone::Small => Some("small"),
                Tone::Lead => Some("lead"),
                Tone::Alarm => Some("alarm"),
            };
            html! { p class=[class] { (line(text)) } }
        }
        Block::Facts(items) => html! { dl.facts { (facts(items)) } },
        Block::List(items) => html! { ul { @for item in items { li { (line(item)) } } } },
        Block::Table(table) => html! { (table) },
        Block::Figures(names) => figures(pictures, names),
        Block::Beside(names, others) => html! {
            div.beside {
                (figures(pictures, names))
                div { (blocks(others, pictures)) }
            }
        },
        Block::Findings(findings) => html! {
            ul.findings {
                @for (severity, text) in findings {
                    @let (class, word) = match severity {
                        Severity::Serious => ("serious", "Serious"),
                        Severity::Warning => ("warning", "Warning"),
                        Severity::Note => ("note", "Note"),
                    };
                    li class=(class) { strong { (word) } " " span { (clean(text)) } }
                }
            }
        },
        Block::Tiles(tiles) => html! {
            dl.tiles {
                @for tile in tiles {
                    div.tile {
                        dt { (tile.name) }
                        dd { span.value { (tile.value) } " " span.say { (tile.text) } }
                    }
                }
            }
        },
        Block::Gauge(gauge) => scale(gauge),
    }
}

/// A text of spans.
fn line(line: &Line) -> Markup {
    html! { @for part in &line.0 { (span(part)) } }
}

fn span(span: &Span) -> Markup {
    let seen = span.seen();
    match span {
        Span::Text(_) => html! { (seen) },
        Span::Strong(_) => html! { strong { (seen) } },
        Span::Code(_) => html! { code { (seen) } },
        Span::Name(_) => breakable(&seen),
        Span::Digest(whole) if whole.is_empty() => html! { (seen) },
        Span::Digest(whole) if whole.len() <= 40 => html! { code { (breakable(&seen)) } },
        Span::Digest(whole) => html! { code title=(clean(whole)) { (seen) } },
        Span::Time(rfc3339) if rfc3339.is_empty() => html! { (seen) },
        Span::Time(rfc3339) => html! { time datetime=(clean(rfc3339)) { (seen) } },
        Span::Link(to, _) => html! { a href={ "#" (to) } { (seen) } },
    }
}

/// A possibly long name, with hints where to break it.
fn breakable(name: &str) -> Markup {
    html! {
        @for part in name.split_inclusive(['_', '=']) {
            (part)
            @if part.ends_with(['_', '=']) { wbr; }
        }
    }
}

/// The named pictures, side by side if there is room.
fn figures(pictures: &[Picture], names: &[&str]) -> Markup {
    html! {
        div.figures {
            @for name in names {
                @if let Some(picture) = pictures.iter().find(|p| p.name == *name) {
                    figure class=(picture.name) {
                        (PreEscaped(picture.svg.trim_end()))
                        figcaption { (clean(picture.caption)) }
                    }
                }
            }
        }
    }
}

/// Names with what stands for them.
fn facts(items: &[(String, Line)]) -> Markup {
    html! { @for (name, value) in items { div { dt { (clean(name)) } dd { (line(value)) } } } }
}

fn scale(gauge: &Gauge) -> Markup {
    let Gauge { score, interval, constant, alt, key } = gauge;
    let (low, high) = interval.unwrap_or((*score, *score));
    let percent = |x: f64| x * 100.0;
    let (model, interval, best) = key;
    html! {
        div.gauge {
            div.track role="img" aria-label=(alt) {
                i.band
                    style=(format!("left:{:.2}%;width:{:.2}%", percent(low), percent(high - low))) {}
                i.const style=(format!("left:{:.2}%", percent(*constant))) {}
                i.dot style=(format!("left:{:.2}%", percent(*score))) {}
            }
            div.ends aria-hidden="true" { span { "0" } span { "F1" } span { "1" } }
            p.key {
                span { i.k-dot {} (model) } " "
                @if let Some(interval) = interval {
                    span { i.k-band {} (interval) }
                    " "
                }
                span { i.k-const {} (best) }
            }
        }
    }
}
