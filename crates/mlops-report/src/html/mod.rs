//! The report as one self-contained page: no script, no network, no fonts but the reader's own.
//!
//! One module per section, in the order of the page. Not for drawing (`pictures` does that) and not
//! for writing the file.

#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a page is made once; what reads like the page is worth an allocation"
)]

mod data;
mod findings;
mod ingested;
mod model;
mod quality;
mod style;
mod table;
mod verdict;

use mlops_core::{Result, text};

use crate::escape::escape;
use crate::pictures::{self, Picture};
use crate::report::Report;

/// Renders the whole page and its pictures.
pub fn render(report: &Report) -> Result<String> {
    Ok(page(report, &pictures::vector(report)?))
}

/// Renders the whole page with the given pictures.
pub fn page(report: &Report, pictures: &[Picture]) -> String {
    let title = escape(&report.title);
    let style = style::sheet();
    let verdict = verdict::section(report);
    let sections = [
        ("ingested", "Ingested files", ingested::section(report)),
        ("model", "The model", model::section(report, pictures)),
        ("quality", "Model quality", quality::section(report, pictures)),
        ("data", "The data", data::section(report)),
        ("findings", "Findings", findings::section(report)),
    ];
    let mut links = String::new();
    let mut body = String::new();
    for (id, heading, text) in &sections {
        links.push_str(&format!("<a href=\"#{id}\">{heading}</a>\n"));
        body.push_str(&format!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n\
             <h2 id=\"{id}-h\">{heading}</h2>\n{text}</section>\n"
        ));
    }
    let target = match report.target.as_str() {
        "" => String::new(),
        target => format!(" <span>Predicts <code>{}</code></span>", escape(target)),
    };
    let generated = when(&report.generated);
    let footer = footer(report);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"meta\"><span>Report of {generated}</span>{target}</p>\n\
         </header>\n<main>\n{verdict}\
         <nav aria-label=\"Sections\">\n{links}</nav>\n{body}</main>\n{footer}</body>\n</html>\n"
    )
}

/// A possibly long name, with hints where to break it.
fn name(text: &str) -> String {
    escape(&text::name(text)).replace('_', "_<wbr>").replace('=', "=<wbr>")
}

/// A picture with its caption.
fn figure(picture: &Picture) -> String {
    format!(
        "<figure class=\"{}\">\n{}<figcaption>{}</figcaption>\n</figure>\n",
        picture.name,
        picture.svg.trim_end(),
        escape(picture.caption)
    )
}

/// The named pictures, side by side if there is room.
fn figures(pictures: &[Picture], names: &[&str]) -> String {
    let chosen: String =
        names.iter().filter_map(|n| pictures.iter().find(|p| p.name == *n)).map(figure).collect();
    format!("<div class=\"figures\">\n{chosen}</div>\n")
}

/// `2026-03-02T09:14:55Z` as `2026-03-02, 09:14 UTC`; any other text unchanged.
fn when(rfc3339: &str) -> String {
    let shown = match (rfc3339.get(..10), rfc3339.get(11..16), rfc3339.get(19..)) {
        (Some(day), Some(minute), Some(rest)) if rfc3339.is_ascii() && rest.len() < 20 => {
            let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
            let zone = if zone == "Z" || zone == "+00:00" { "UTC" } else { zone };
            format!("{day}, {minute} {zone}")
        }
        _ if rfc3339.is_empty() => return "an unknown time".to_owned(),
        _ => rfc3339.to_owned(),
    };
    format!("<time datetime=\"{}\">{}</time>", escape(rfc3339), escape(&shown))
}

/// A digest shortened for comparison by eye, with the whole one as a tooltip; other names
/// unchanged.
fn digest(whole: &str) -> String {
    if whole.len() <= 40 && !whole.is_empty() {
        return format!("<code>{}</code>", name(whole));
    }
    let short: String = whole.chars().take(12).collect();
    if short.is_empty() {
        return "unknown".to_owned();
    }
    format!("<code title=\"{}\">{}</code>", escape(whole), escape(&short))
}

fn footer(report: &Report) -> String {
    let mut items = Vec::new();
    let release = report.release.as_deref().map_or_else(
        || "not released".to_owned(),
        |release| format!("<code>{}</code>", escape(release)),
    );
    items.push(("Release".to_owned(), release));
    items.push(("Data version".to_owned(), digest(&report.data_version)));
    items.extend(report.digests.iter().map(|(of, value)| (escape(of), digest(value))));
    let version = match report.tool_version.as_str() {
        "" => "unknown".to_owned(),
        version => escape(version),
    };
    items.push(("Tool version".to_owned(), version));
    items.push(("Generated".to_owned(), when(&report.generated)));
    let list: String =
        items.iter().map(|(k, v)| format!("<div><dt>{k}</dt><dd>{v}</dd></div>\n")).collect();
    format!(
        "<footer aria-label=\"Provenance\">\n<h2>Provenance</h2>\n<dl>\n{list}</dl>\n</footer>\n"
    )
}
