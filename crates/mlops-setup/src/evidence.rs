//! The page beside a proposed configuration that has the evidence for each choice, since JSON has no comments.
//!
//! Not for choosing: see `proposal`.

use std::fmt::Write as _;
use std::path::Path;

use mlops_core::text;

use crate::columns::Use;
use crate::proposal::Proposal;

/// How the page begins, by which one of an earlier proposal is known.
pub(crate) const HEAD: &str = "# Why this configuration\n";

/// The page.
pub(crate) fn page(proposal: &Proposal, config: &str, place: &str, files: &[String]) -> String {
    let mut page = String::from(HEAD);
    let target = &proposal.target;
    let all = if proposal.rows == proposal.looked_at as u64 {
        "all of them were looked at".to_owned()
    } else {
        format!("{} of them, evenly spread, were looked at", text::count(proposal.looked_at as u64))
    };
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n`{config}` was proposed by `first_run --init` from {}: {} and {} of {}; {all}.\nIt is yours to change: \
         the programs read only the configuration, never this page.\n",
        code(place),
        text::plural(proposal.rows, "row"),
        text::plural(proposal.columns.len() as u64, "column"),
        text::plural(files.len() as u64, "file"),
    );
    let (positives, known) = target.positives;
    let _ = write!(
        page,
        "\n## The label\n\nThe label is {} ({}). A row is positive, one to find, if it is {} ({}); the other value is {}. \
         {} of {} labelled rows are positive, {:.1} %.\n",
        code(&target.column),
        target.why,
        code(&target.positive),
        target.why_positive,
        code(&target.negative),
        text::count(positives as u64),
        text::count(known as u64),
        100.0 * proposal.share(),
    );
    page.push_str("\n## Columns\n\n| column | is | because | different | missing | such as |\n|---|---|---|---:|---:|---|\n");
    for column in &proposal.columns {
        let examples: Vec<String> = column.examples.iter().map(|text| cell(text)).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {:.1} % | {} |",
            cell(&column.name),
            column.to_be.word(),
            cell(&column.why),
            text::count(column.different as u64),
            100.0 * column.missing,
            examples.join("; "),
        );
    }
    page.push_str(
        "\nA column that is left out is not read at all; to take it, list it in `schema`. Numbers are features as they \
         are, texts and codes become one feature for each value, and ids identify a row without being learned from.\n",
    );
    page.push_str("\n## Other keys\n\n");
    for chosen in &proposal.chosen {
        let _ = writeln!(page, "- `{}` is `{}`: {}.", chosen.key, chosen.value, line(&chosen.why));
    }
    page.push_str(
        "- Everything else has its default: `first_run --show` lists every key, and `docs/configuration.md` explains them.\n\
         - No file of test rows is named, so the first run sets 30 % of the rows aside, and no model is ever trained on \
         them.\n",
    );
    if !proposal.doubts.is_empty() {
        page.push_str("\n## To look at\n\n");
        for doubt in &proposal.doubts {
            let _ = writeln!(page, "- {}.", text::capitalised(&line(doubt)));
        }
    }
    page.push_str(
        "\n## To change something\n\nEdit the configuration and run `first_run` again; once rows were ingested, a change of \
         columns needs `ingestion --rebuild` first. To begin anew, remove the configuration and run `first_run --init` \
         again. `first_run --check` compares the configuration with the data.\n",
    );
    page
}

/// Text of others in a cell of a table.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text::name(text).chars() {
        if matches!(c, '|' | '\\' | '`' | '*' | '_' | '<' | '[' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A sentence in a list.
fn line(text: &str) -> String {
    text::one_line(text)
}

/// Text of others as code.
fn code(text: &str) -> String {
    format!("`{}`", text::name(text).replace('`', "'"))
}

/// The name of the page of the configuration at `config`.
pub(crate) fn path(config: &Path) -> std::path::PathBuf {
    config.with_extension("md")
}

/// The proposal at a terminal.
pub(crate) fn summary(proposal: &Proposal) -> String {
    let target = &proposal.target;
    let (positives, known) = target.positives;
    let label = format!(
        "{} ({}); to find is \"{}\": {} of {}, {:.1} %",
        text::name(&target.column),
        target.why,
        text::name(&target.positive),
        text::count(positives as u64),
        text::count(known as u64),
        100.0 * proposal.share()
    );
    let mut rows = vec![vec!["  label".to_owned(), label]];
    for wanted in [Use::Id, Use::Numeric, Use::Date, Use::Categorical] {
        let names = proposal.names(wanted);
        if !names.is_empty() {
            rows.push(vec![format!("  {}", wanted.word()), text::names(&names)]);
        }
    }
    // Columns that are left out for the same reason share a line.
    let mut left: Vec<(String, Vec<&str>)> = Vec::new();
    for column in proposal.columns.iter().filter(|column| column.to_be == Use::LeftOut) {
        match left.iter_mut().find(|(why, _)| *why == column.why) {
            Some((_, names)) => names.push(&column.name),
            None => left.push((column.why.clone(), vec![&column.name])),
        }
    }
    let more = left.len().saturating_sub(text::MOST_NAMES);
    for (why, names) in left.into_iter().take(text::MOST_NAMES) {
        rows.push(vec!["  left out".to_owned(), format!("{} ({why})", text::names(&names))]);
    }
    if more > 0 {
        rows.push(vec!["  left out".to_owned(), format!("for {more} other reasons, more columns")]);
    }
    for chosen in &proposal.chosen {
        rows.push(vec![
            "  set".to_owned(),
            format!("{}: {}", chosen.key, short(&chosen.value.to_string())),
        ]);
    }
    text::list(&rows)
}

fn short(value: &str) -> String {
    text::name(value).into_owned()
}
