//! What a report says, before it is a page or a PDF: sections of paragraphs, tables and pictures.
//!
//! Not for how it looks: `html` and `pdf` decide that, each for its medium. Not for the content: see
//! `sections`.

use crate::font::clean;
use crate::report::Severity;

/// A whole report.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) title: String,
    /// When it was made, RFC 3339.
    pub(crate) generated: String,
    /// What stands under the title.
    pub(crate) under_title: Vec<Line>,
    /// What a manager reads: on the page the first section, in the PDF the first page.
    pub(crate) verdict: Section,
    /// Whether the verdict is good.
    pub(crate) good: bool,
    pub(crate) sections: Vec<Section>,
    /// What the report is about, to the digest.
    pub(crate) provenance: Vec<(String, Line)>,
    /// The same in a few words, for the foot of every sheet.
    pub(crate) foot: String,
}

/// A part of a report with a heading.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    Heading(String),
    Text(Tone, Line),
    /// Names with what stands for them.
    Facts(Vec<(String, Line)>),
    List(Vec<Line>),
    Table(Table),
    /// Pictures by name, side by side if there is room.
    Figures(Vec<&'static str>),
    /// Pictures beside what is to be read with them, if there is room.
    Beside(Vec<&'static str>, Vec<Block>),
    Findings(Vec<(Severity, String)>),
    Tiles(Vec<Tile>),
    Gauge(Gauge),
}

/// How a paragraph is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// What explains a table or a number.
    Small,
    /// The sentence to be read if no other is.
    Lead,
    Alarm,
}

/// A number that is shown large.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    pub(crate) value: String,
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// A scale from 0 to 1 with a score, its interval and that of the constant answer.
#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    pub(crate) score: f64,
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) constant: f64,
    pub(crate) alt: String,
    /// What the three marks stand for: score, interval, constant answer.
    pub(crate) key: (String, Option<String>, String),
}

/// A piece of text that is set in one way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Span {
    Text(String),
    Strong(String),
    Code(String),
    /// A name that may be long; it may break after `_` and `=`.
    Name(String),
    /// A digest, of which the beginning is shown.
    Digest(String),
    /// A time, RFC 3339.
    Time(String),
    /// A reference to another section.
    Link(&'static str, String),
}

impl Span {
    /// The text that is seen.
    pub(crate) fn seen(&self) -> String {
        match self {
            Self::Text(text) | Self::Strong(text) | Self::Code(text) | Self::Link(_, text) => {
                clean(text)
            }
            Self::Name(name) => clean(&mlops_core::text::name(name)),
            Self::Digest(whole) if whole.is_empty() => "unknown".to_owned(),
            Self::Digest(whole) if whole.len() <= 40 => clean(&mlops_core::text::name(whole)),
            Self::Digest(whole) => clean(&whole.chars().take(12).collect::<String>()),
            Self::Time(rfc3339) if rfc3339.is_empty() => "an unknown time".to_owned(),
            Self::Time(rfc3339) => clean(&minutes(rfc3339)),
        }
    }
}

/// `2026-03-02T09:14:55Z` as `2026-03-02, 09:14 UTC`; any other text unchanged.
pub(crate) fn minutes(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16), rfc3339.get(19..)) {
        (Some(day), Some(minute), Some(rest)) if rfc3339.is_ascii() && rest.len() < 20 => {
            let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
            let zone = if zone == "Z" || zone == "+00:00" { "UTC" } else { zone };
            format!("{day}, {minute} {zone}")
        }
        _ => rfc3339.to_owned(),
    }
}

/// A sentence or several, or the text of a cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Line(pub(crate) Vec<Span>);

impl From<Span> for Line {
    fn from(span: Span) -> Self {
        Self(vec![span])
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self(vec![Span::Text(text)])
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

/// A line of spans and texts.
macro_rules! line {
    ($($part:expr),* $(,)?) => {{
        let parts: Vec<$crate::document::Line> = vec![$($crate::document::Line::from($part)),*];
        $crate::document::Line(parts.into_iter().flat_map(|line| line.0).collect())
    }};
}
pub(crate) use line;

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Line(Line),
    List(Vec<String>),
    /// A histogram as small as a word: heights from 0 to 1, and what it shows in words.
    Bars(Vec<f64>, String),
}

impl<L: Into<Line>> From<L> for Cell {
    fn from(line: L) -> Self {
        Self::Line(line.into())
    }
}

/// A table; the first column names the rows.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Headings, each with whether the column has numbers.
    pub(crate) columns: Vec<(&'static str, bool)>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) total: Option<Vec<Cell>>,
}

/// The cells of a row.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$($crate::document::Cell::from($cell)),*] };
}
pub(crate) use cells;

impl Table {
    /// A table with the accessible name `name`.
    pub(crate) fn new(name: &str, columns: &[(&'static str, bool)]) -> Self {
        Self { name: clean(name), columns: columns.to_vec(), rows: Vec::new(), total: None }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Sets the last row, with totals.
    pub(crate) fn total(&mut self, cells: Vec<Cell>) {
        self.total = Some(cells);
    }
}

/// A paragraph.
pub(crate) fn paragraph(line: impl Into<Line>) -> Block {
    Block::Text(Tone::Plain, line.into())
}

/// A paragraph that explains a table or a number.
pub(crate) fn small(line: impl Into<Line>) -> Block {
    Block::Text(Tone::Small, line.into())
}

/// Emphasised text.
pub(crate) fn strong(text: impl Into<String>) -> Span {
    Span::Strong(text.into())
}

/// A possibly long name.
pub(crate) fn name(text: &str) -> Span {
    Span::Name(text.to_owned())
}
