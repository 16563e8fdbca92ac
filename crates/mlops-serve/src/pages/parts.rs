//! The components of pages: cards, facts, findings, commands, labels.
//!
//! Not for tables: see [`super::table`]; not for pictures: see `super::charts`.

use maud::{Markup, html};
use mlops_core::run::attention::Attention;
use mlops_core::text;
use mlops_report::font::clean;

/// A section with a heading, whose `id` links can name.
pub(crate) fn card(id: &str, heading: &str, content: &Markup) -> Markup {
    html! {
        section.card id=(id) aria-labelledby={ (id) "-h" } {
            h2 id={ (id) "-h" } { (heading) }
            (content)
        }
    }
}

/// Names with what stands for them.
pub(crate) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}

/// A text of others, such as the name of a file or a column: it cannot leave its place, whatever it is made of.
pub(crate) fn label(text: &str) -> Markup {
    html! { bdi { (clean(&text::one_line(text))) } }
}

/// A sentence of ours or of a record that may begin in the middle: with a capital letter, unless a name stands first, such
/// as that of a file.
pub(crate) fn sentence(text: &str) -> Markup {
    html! { bdi { (clean(&text::printable(&text::capitalised(text)))) } }
}

/// A name of others in the typeface of code, cut if it is very long, with the whole one as its title.
pub(crate) fn code(text: &str) -> Markup {
    let whole = clean(&text::one_line(text));
    let cut = clean(&text::name(text));
    html! { code title=[(cut != whole).then_some(&whole)] dir="auto" { (cut) } }
}

/// A digest in short, with the whole one as its title.
pub(crate) fn digest(whole: &str) -> Markup {
    let short: String = whole.chars().take(12).collect();
    html! { code title=(whole) { (short) } }
}

/// A command to copy: a click selects the whole line.
pub(crate) fn command(line: &str) -> Markup {
    html! { pre.command tabindex="0" aria-label="Command" { code { (clean(line)) } } }
}

/// A word on a coloured ground that says how something is.
pub(crate) fn badge(kind: Mood, word: &str) -> Markup {
    html! { span class={ "badge " (kind.class()) } { (word) } }
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should be.
    Good,
    /// Neither good nor bad.
    Neutral,
    /// To be looked at, though not at once.
    Warning,
    /// A person is needed.
    Bad,
}

impl Mood {
    /// The class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Neutral => "neutral",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    /// How urgent `attention` is.
    pub(crate) fn of(attention: Attention) -> Self {
        match attention {
            Attention::Fine => Self::Warning,
            Attention::Person | Attention::Failed => Self::Bad,
        }
    }
}

/// A finding: what is wrong, since when, and the command line that does something about it.
pub(crate) fn finding(
    mood: Mood,
    word: &str,
    what: &str,
    more: &Markup,
    line: Option<&str>,
) -> Markup {
    html! {
        div class={ "finding " (mood.class()) } {
            p { strong { (word) } " " span.what { (label(what)) } }
            (more)
            @if let Some(line) = line { (command(line)) }
        }
    }
}

/// What a page says where nothing is on record.
pub(crate) fn empty(what: &str, line: Option<&str>) -> Markup {
    html! {
        p.empty { (what) }
        @if let Some(line) = line { (command(line)) }
    }
}
