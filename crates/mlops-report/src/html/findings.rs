//! The list of findings, the most severe first, or the statement that there are none.
//!
//! Not for finding them: see `stage/findings`.

use maud::{Markup, html};

use crate::font::clean;
use crate::report::{Report, Severity};

/// Renders the section.
pub(super) fn section(report: &Report) -> Markup {
    if report.warnings.is_empty() {
        return html! {
            p {
                "The checks found nothing. That does not mean that nothing is wrong: they only know \
                 what they look for."
            }
        };
    }
    let mut warnings: Vec<_> = report.warnings.iter().collect();
    warnings.sort_by_key(|w| std::cmp::Reverse(w.severity));
    html! {
        ul.findings {
            @for finding in warnings {
                @let (class, word) = match finding.severity {
                    Severity::Serious => ("serious", "Serious"),
                    Severity::Warning => ("warning", "Warning"),
                    Severity::Note => ("note", "Note"),
                };
                li class=(class) { strong { (word) } " " span { (clean(&finding.text)) } }
            }
        }
    }
}
