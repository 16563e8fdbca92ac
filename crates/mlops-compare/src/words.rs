//! The report of `diagnostics compare` as text.
//!
//! Not for its figures: see [`crate::command`].

use std::fmt;

use crate::command::{Compared, Rule, Validation};
use crate::{ColumnDifference, EXAMPLES};
use mlops_core::ids::FindingKind;
use mlops_core::run::attention::Finding;
use mlops_core::text;

/// The maximum number of characters shown of a cell or row.
const LONGEST: usize = 160;

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.comparison;
        let (left, right) = (shown(&self.left.name), shown(&self.right.name));
        let [lefts, rights] = found.rows.map(|n| text::plural(n, "row"));
        let verdict = if found.equal { "Equal" } else { "Different" };
        let on = if found.columns.keyed {
            text::names(&found.columns.on)
        } else {
            format!("all columns that both have ({})", found.columns.on.len())
        };
        writeln!(f, "{verdict}: {left} ({lefts}) and {right} ({rights}), compared on {on}")?;
        let meaning = |side: &str, what: &str| {
            if found.columns.keyed {
                format!("key only in {side}")
            } else {
                format!("only in {side}: {what}")
            }
        };
        let mut rows = vec![
            vec!["both".to_owned(), text::count(found.both), self.meaning_of_both()],
            vec!["left_only".to_owned(), text::count(found.left_only), meaning(&left, "lost")],
            vec!["right_only".to_owned(), text::count(found.right_only), meaning(&right, "gained")],
        ];
        if found.repeated.unpaired_keys > 0 {
            let [l, r] = found.repeated.unpaired_rows.map(text::count);
            let keys = text::plural(found.repeated.unpaired_keys, "repeated key");
            let same =
                if found.repeated.unpaired_equal { "; the same rows on both sides" } else { "" };
            let meaning = format!("left and right rows of {keys}, not paired{same}");
            rows.push(vec!["unpaired".to_owned(), format!("{l} and {r}"), meaning]);
        }
        f.write_str(&text::list(&rows))?;
        self.columns(f)?;
        self.differences(f)?;
        self.repeated(f)?;
        for (name, total, examples) in [
            (&left, found.left_only, &found.left_only_examples),
            (&right, found.right_only, &found.right_only_examples),
        ] {
            if total > 0 {
                writeln!(f, "Only in {name}{}:", first_of(total))?;
                for row in examples {
                    writeln!(f, "  {}", shown(&row.join(",")))?;
                }
            }
        }
        if let Some(Validation { rule, holds: true }) = &self.validation {
            writeln!(f, "Validated: {}", name_of(*rule))?;
        }
        if let Some(output) = &self.output {
            let rows = text::plural(output.rows, "joined row");
            writeln!(f, "{rows} with _merge: {}", output.path.display())?;
        }
        Ok(())
    }
}

impl Compared {
    fn meaning_of_both(&self) -> String {
        let found = &self.comparison;
        match (found.columns.keyed, found.differences.rows) {
            (false, _) => "in both, as often".to_owned(),
            (true, 0) => "pairs, equal in every column".to_owned(),
            (true, n) => format!("pairs, of which {} in some cell", differ(n)),
        }
    }

    fn columns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = &self.comparison.columns;
        let sides =
            [(&self.left.name, &columns.left_only), (&self.right.name, &columns.right_only)];
        for (name, only) in sides {
            if !only.is_empty() {
                let only = text::names(only);
                writeln!(
                    f,
                    "Only {} has these columns; they are not compared: {only}",
                    shown(name)
                )?;
            }
        }
        if columns.reordered {
            writeln!(f, "The columns stand in another order; they were matched by name")?;
        }
        Ok(())
    }

    fn differences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = &self.comparison.differences.columns;
        let touched = |c: &&ColumnDifference| c.cells + c.tolerated > 0;
        if !columns.iter().any(|c| touched(&c)) {
            return Ok(());
        }
        let head = ["column", "cells that differ", "within tolerance", "largest distance"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(columns.iter().filter(touched).take(text::MOST_NAMES).map(|c| {
            vec![
                shown(&c.column),
                text::count(c.cells),
                text::count(c.tolerated),
                c.largest_distance.map_or_else(|| "-".to_owned(), text::number),
            ]
        }));
        f.write_str(&text::table(&rows))?;
        let more = columns.iter().filter(touched).count().saturating_sub(text::MOST_NAMES) as u64;
        if more > 0 {
            writeln!(f, "  and {} (--json has all)", text::plural(more, "more column"))?;
        }
        for column in columns.iter().filter(|c| c.cells > 0).take(text::MOST_NAMES) {
            writeln!(f, "{}{}:", shown(&column.column), first_of(column.cells))?;
            for e in &column.examples {
                let (left, right) = (or_missing(&e.left), or_missing(&e.right));
                writeln!(f, "  {}: {left} -> {right}", shown(&e.key.join(",")))?;
            }
        }
        Ok(())
    }

    fn repeated(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated = &self.comparison.repeated;
        if repeated.keys == [0, 0] {
            return Ok(());
        }
        let what = if self.comparison.columns.keyed { "key" } else { "row" };
        let [left, right] = [0, 1].map(|side| {
            let keys = text::plural(repeated.keys[side], what);
            format!("{keys} ({})", text::plural(repeated.rows[side], "row"))
        });
        writeln!(f, "Repeated: {left} in the left file, {right} in the right one; left:right")?;
        for e in &repeated.examples {
            let key = shown(&e.key.join(","));
            writeln!(f, "  {key}: {}:{}", e.rows[0], e.rows[1])?;
        }
        Ok(())
    }

    /// Why the comparison is incomplete, or a demand on it was not met.
    pub(crate) fn faults(&self) -> Vec<Finding> {
        let mut faults = Vec::new();
        let names = [&self.left.name, &self.right.name];
        for (name, unreadable) in names.iter().zip(&self.comparison.unreadable) {
            if unreadable.rows > 0 {
                let rows = text::plural(unreadable.rows, "record");
                let name = shown(name);
                let mut fault =
                    vec![format!("{rows} of {name} cannot be read and did not take part:")];
                fault.extend(unreadable.examples.iter().map(|example| format!("  {example}")));
                faults.push(Finding::failed(FindingKind::Difference, fault.join("\n")));
            }
        }
        if let Some(Validation { rule, holds: false }) = &self.validation {
            faults.push(Finding::failed(
                FindingKind::Difference,
                format!(
                    "the rows are not {}: keys are repeated that must not be; no joined rows were \
                 written",
                    name_of(*rule)
                ),
            ));
        }
        faults
    }
}

/// The name of a rule, such as `1:1`.
fn name_of(rule: Rule) -> &'static str {
    Rule::ALL.iter().find(|(_, known)| *known == rule).map_or("", |(name, _)| name)
}

fn differ(n: u64) -> String {
    if n == 1 { "1 differs".to_owned() } else { format!("{} differ", text::count(n)) }
}

fn first_of(total: u64) -> String {
    let more = total > EXAMPLES as u64;
    if more { format!(", the first {EXAMPLES} of {}", text::count(total)) } else { String::new() }
}

fn or_missing(cell: &str) -> String {
    if cell.is_empty() { "(missing)".to_owned() } else { shown(cell) }
}

/// Untrusted text for a terminal: on one line, without control codes, and not too long.
fn shown(text: &str) -> String {
    let visible =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut out: String = text.chars().take(LONGEST).map(visible).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}
