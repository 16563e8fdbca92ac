//! Charts on pages: each drawn for a page and for a phone, with a caption and its numbers as text.
//!
//! Not for drawing: see `mlops_report::charts`. Not for pictures of a report: see [`super::parts::picture`].

use maud::{Markup, PreEscaped, html};
use mlops_report::font::clean;
use mlops_report::{Chart, svg_of_width, theme};

/// Width of a chart on a phone of 390 pixels; its text is no smaller than elsewhere.
const PHONE: f64 = 320.0;
/// Width of a chart that takes the whole width of a page.
const WIDE: f64 = 760.0;

/// A chart as wide as in a report.
pub(crate) fn chart(chart: &impl Chart, caption: &str, numbers: &Markup) -> Markup {
    figure(chart, theme::WIDTH, caption, numbers)
}

/// A chart over the whole width of the page.
pub(crate) fn wide_chart(chart: &impl Chart, caption: &str, numbers: &Markup) -> Markup {
    figure(chart, WIDE, caption, numbers)
}

fn figure(chart: &impl Chart, width: f64, caption: &str, numbers: &Markup) -> Markup {
    let alt = clean(&chart.alt());
    let drawn = |width| svg_of_width(chart, width).ok();
    let class = if width > theme::WIDTH { "chart wide" } else { "chart" };
    html! {
        figure class=(class) {
            @if let (Some(page), Some(phone)) = (drawn(width), drawn(PHONE)) {
                div.scroll.on-page role="region" aria-label={ "Chart: " (alt) } tabindex="0" {
                    (PreEscaped(page.trim_end()))
                }
                div.scroll.on-phone role="region" aria-label={ "Chart: " (alt) } tabindex="0" {
                    (PreEscaped(phone.trim_end()))
                }
            } @else {
                p { (alt) }
            }
            figcaption { (caption) }
            details { summary { "The numbers" } (numbers) }
        }
    }
}
