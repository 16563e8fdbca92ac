//! `/ingestions`: the files that were read, with their counts; `/quarantine`: the rejected rows by reason.
//!
//! Not for what a source has: see `sources`.

use axum::response::Response;
use maud::{Markup, html};
use mlops_core::ledger::{FileStatus, PAGE_SIZE, Paged};
use mlops_core::stage::quarantine::{self, Filter, Group, Inspection};
use mlops_core::stage::views::ingestions::{self, IngestedFile, Ingestions};
use mlops_core::text;
use serde::Serialize;

use super::parts::{Mood, badge, card, code, command, empty, label, sentence};
use super::table::{numbers, pages, table, texts};
use super::values::{count, none, percent, time};
use super::view::{View, answer, trouble};
use super::visit::Visit;
use crate::call::Call;
use crate::problem::Problem;

/// Answers `GET /ingestions`.
pub(crate) async fn ingestions(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| ingestions::read(&app.context, visit.page()).map_err(trouble)).await
}

/// Answers `GET /quarantine`.
pub(crate) async fn quarantined(call: Call) -> Result<Response, Problem> {
    answer(call, |app, visit| {
        let asked = |name: &str| visit.query.get(name).map(str::to_owned);
        let filter = Filter {
            file: asked("file"),
            reason: asked("reason"),
            column: asked("column"),
            run: None,
        };
        let Inspection { groups, rows, gone } =
            quarantine::inspect(&app.context, &filter).map_err(trouble)?;
        let (page, total) = (visit.page(), groups.len() as u64);
        let before = usize::try_from((page - 1).saturating_mul(PAGE_SIZE)).unwrap_or(usize::MAX);
        let items = groups
            .into_iter()
            .skip(before)
            .take(usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX))
            .collect();
        Ok(Quarantined { rows, gone, groups: Paged { items, page, size: PAGE_SIZE, total } })
    })
    .await
}

impl View for Ingestions {
    fn title(&self) -> String {
        "Ingestions".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let columns = [
            texts("File"),
            texts("When"),
            texts("What became of it"),
            numbers("Read"),
            numbers("Kept"),
            numbers("Duplicates"),
            numbers("Rejected"),
            numbers("Missing cells"),
            numbers("Data set"),
        ];
        let rows = self.files.items.iter().map(|file| row(visit, file));
        let list = html! {
            @if self.files.total == 0 {
                (empty("No file was read yet. This reads the files of the input folder:", Some("ingestion")))
            } @else {
                (table("Files", &columns, rows))
                (pages(visit, "the files", &self.files))
            }
        };
        let with_missing = self.files.items.iter().find(|one| one.missing.is_some());
        html! {
            (card("files", "Files that were read", &list))
            @if let Some(file) = with_missing.filter(|_| !self.columns.is_empty()) {
                (card("missing", "Missing cells of the newest file, by column", &missing(&self.columns, file)))
            }
        }
    }
}

fn row(visit: &Visit, one: &IngestedFile) -> Vec<Markup> {
    let (file, counts) = (&one.file, &one.file.counts);
    let (mood, word) = match file.status {
        FileStatus::Ingested => (Mood::Good, "ingested"),
        FileStatus::Adopted => (Mood::Good, "taken over"),
        FileStatus::NoRows => (Mood::Neutral, "no rows"),
        FileStatus::Copy => (Mood::Neutral, "known already"),
        FileStatus::Failed => (Mood::Bad, "refused"),
        FileStatus::Changing => (Mood::Warning, "still changing"),
    };
    let rejected = if counts.quarantined == 0 {
        count(0)
    } else {
        let address = format!("/quarantine?file={}", super::query::encoded(&file.name));
        html! {
            a href=(visit.link(&address)) { (text::count(counts.quarantined)) }
            @for (reason, rows) in &one.rejected { br; span.small { (reason) " " (text::count(*rows)) } }
        }
    };
    vec![
        code(&file.name),
        time(&one.recorded),
        html! {
            (badge(mood, word))
            @if let Some(reason) = &file.reason { (note(mood, reason)) }
            @if let Some(other) = &file.same_as { " The same as " (code(other)) "." }
        },
        count(counts.rows_read),
        count(counts.rows_kept),
        count(counts.duplicates()),
        rejected,
        one.missing.map_or_else(none, percent),
        file.dataset.map_or_else(none, |version| html! { (version) }),
    ]
}

/// Why a file was refused, or what its reader should know, which is folded.
fn note(mood: Mood, words: &str) -> Markup {
    html! {
        @if mood == Mood::Bad {
            p.small { (sentence(words)) }
        } @else {
            details { summary { "A note" } p.small { (sentence(words)) } }
        }
    }
}

fn missing(columns: &[String], one: &IngestedFile) -> Markup {
    let counts = &one.file.counts;
    let mut all: Vec<(&str, u64)> =
        columns.iter().map(String::as_str).zip(counts.missing.iter().copied()).collect();
    all.retain(|(_, missing)| *missing > 0);
    all.sort_by_key(|(_, missing)| std::cmp::Reverse(*missing));
    let share = |missing: u64| percent(missing as f64 / counts.rows_kept.max(1) as f64);
    let rows = all.iter().map(|(name, missing)| vec![code(name), count(*missing), share(*missing)]);
    html! {
        p { (code(&one.file.name)) ", " (text::plural(counts.rows_kept, "row")) " kept" }
        @if all.is_empty() {
            p { "No cell is missing in any column." }
        } @else {
            (table("Missing cells", &[texts("Column"), numbers("Missing cells"), numbers("Share of rows")], rows))
        }
    }
}

/// The rows in the quarantine, by file, reason and column.
#[derive(Serialize)]
struct Quarantined {
    /// The number of all rows.
    rows: u64,
    /// Quarantine files that are gone.
    gone: Vec<String>,
    #[serde(flatten)]
    groups: Paged<Group>,
}

impl View for Quarantined {
    fn title(&self) -> String {
        "Quarantine".to_owned()
    }

    fn main(&self, visit: &Visit) -> Markup {
        let columns = [
            texts("File"),
            texts("Reason"),
            texts("Column"),
            numbers("Rows"),
            texts("The first of them"),
        ];
        let rows = self.groups.items.iter().map(|group| {
            vec![
                code(&group.file),
                html! { (badge(Mood::Warning, &group.reason)) },
                if group.column.is_empty() { none() } else { code(&group.column) },
                count(group.rows),
                html! {
                    "Line " (text::count(group.line)) ": " (label(&group.message))
                    pre.example tabindex="0" aria-label="The record" { (label(&group.record)) }
                },
            ]
        });
        let filtered =
            ["file", "reason", "column"].iter().any(|name| visit.query.get(name).is_some());
        let list = html! {
            @if filtered { p { a href=(visit.link("/quarantine")) { "Show all of the quarantine" } } }
            @if self.groups.total == 0 {
                (empty("No row is in the quarantine.", None))
            } @else {
                p.lead { (text::plural(self.rows, "row")) " are kept out of the data set until somebody corrects them or gives them up." }
                (table("Rows in the quarantine", &columns, rows))
                (pages(visit, "the quarantine", &self.groups))
            }
            @if !self.gone.is_empty() {
                p { "These files of the quarantine are gone, with the rows in them: " (label(&text::names(&self.gone))) }
            }
        };
        let commands = html! {
            p { "Take rows again, for example after the configuration was corrected:" }
            (command("ingestion quarantine replay"))
            p { "Give rows up, so that they no longer wait:" }
            (command("ingestion quarantine discard --file FILE --who NAME --why TEXT"))
        };
        html! {
            (card("rows", "Rejected rows", &list))
            (card("commands", "What you can do", &commands))
        }
    }
}
