//! What source files consist of: texts as users have them, and what each of them is worth by the
//! rules of the product.
//!
//! Not for where the files lie: see [`super::model`].

use crate::chance::Chance;

/// The columns of the default schema, of which the first is left out where rows have no ids.
const COLUMNS: [&str; 5] =
    ["corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited"];

/// The cells of one row as finaldata spells them; an empty one is missing.
pub(crate) type Row = Vec<String>;

/// A content of a file, and what it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) text: String,
    pub(crate) worth: Worth,
}

/// What is to be taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Worth {
    /// These rows; so many others go to the quarantine.
    Rows(Vec<Row>, u64),
    /// Nothing: there is a header and nothing else.
    HeaderOnly,
    /// Nothing: the file is refused.
    Refused,
}

/// Makes contents; it knows every row that it made, so that it can repeat some.
#[derive(Debug)]
pub(crate) struct Maker {
    with_ids: bool,
    clients: usize,
    made: Vec<Row>,
}

impl Maker {
    pub(crate) fn new(with_ids: bool) -> Self {
        Self { with_ids, clients: 0, made: Vec::new() }
    }

    /// The column by which rows are told apart, if there is one.
    pub(crate) fn id<'r>(&self, row: &'r Row) -> Option<&'r str> {
        self.with_ids.then(|| row[0].as_str())
    }

    /// Somebody of whom a row was made.
    pub(crate) fn person(&self, chance: &mut Chance) -> Option<String> {
        self.with_ids.then(|| chance.one_of(&self.made).map(|row| row[0].clone())).flatten()
    }

    /// A content with new rows; more activity, less exit, or the other way round.
    pub(crate) fn rows(&mut self, chance: &mut Chance, least: usize) -> Content {
        let turned = chance.once_in(4);
        let count = least + chance.below(60);
        let rows = (0..count).map(|_| self.row(chance, turned)).collect();
        self.content(chance, rows)
    }

    /// `old` with some rows corrected, some left out and some added.
    pub(crate) fn corrected(&mut self, chance: &mut Chance, old: &Content) -> Content {
        let Worth::Rows(rows, _) = &old.worth else { return self.rows(chance, 20) };
        let mut rows = rows.clone();
        rows.retain(|_| !chance.once_in(12));
        for _ in 0..=chance.below(6) {
            let at = chance.below(rows.len());
            if let Some(row) = rows.get_mut(at) {
                let label = row.len() - 1;
                let cell = label - 1 - chance.below(3);
                if chance.once_in(3) {
                    let other = if row[label] == "1" { "0" } else { "1" };
                    other.clone_into(&mut row[label]);
                } else {
                    row[cell] = chance.below(97).to_string();
                }
            }
        }
        for _ in 0..chance.below(8) {
            rows.push(self.row(chance, false));
        }
        if rows.is_empty() {
            rows.push(self.row(chance, false));
        }
        self.content(chance, rows)
    }

    pub(crate) fn header_only(&self, chance: &mut Chance) -> Content {
        let blank = "\n".repeat(chance.below(3));
        Content { text: self.header() + &blank, worth: Worth::HeaderOnly }
    }

    /// A content that breaks a rule: a column is missing, or too many rows cannot be read.
    pub(crate) fn refused(&mut self, chance: &mut Chance) -> Content {
        let Content { text, .. } = self.rows(chance, 5);
        let text = if chance.once_in(2) {
            text.replacen("exited", "excited", 1)
        } else {
            let lines = text.lines().count();
            text + &"broken\n".repeat(lines)
        };
        Content { text, worth: Worth::Refused }
    }

    fn header(&self) -> String {
        COLUMNS[usize::from(!self.with_ids)..].join(",") + "\n"
    }

    fn row(&mut self, chance: &mut Chance, turned: bool) -> Row {
        if chance.once_in(9)
            && let Some(row) = chance.one_of(&self.made)
        {
            return row.clone();
        }
        let known = self.clients > 0 && chance.once_in(5);
        let client = if known { chance.below(self.clients) } else { self.clients };
        self.clients = self.clients.max(client + 1);
        // Without ids some rows look alike by chance.
        let coarse = if self.with_ids { 1 } else { 10 };
        let month = chance.below(100) / coarse * coarse;
        let exit = (month < 50) ^ turned ^ chance.once_in(8);
        let mut row: Row = vec![
            // Found wherever it is, and in nothing else.
            format!("client{client:04}"),
            month.to_string(),
            (chance.below(1000) / (20 * coarse) * 20).to_string(),
            if chance.once_in(20) { String::new() } else { chance.below(4).to_string() },
            u8::from(exit).to_string(),
        ];
        if !self.with_ids {
            row.remove(0);
        }
        self.made.push(row.clone());
        row
    }

    /// The file of `rows`, spelt as people spell them, with a few rows that cannot be read.
    fn content(&self, chance: &mut Chance, rows: Vec<Row>) -> Content {
        let mut text = self.header();
        let mut bad = 0;
        for row in &rows {
            if chance.once_in(40) && bad * 10 < rows.len() as u64 {
                text += self.unreadable(chance);
                bad += 1;
            }
            let cells: Vec<String> = row.iter().map(|cell| spelt(chance, cell)).collect();
            text += &cells.join(",");
            text += if chance.once_in(30) { "\r\n" } else { "\n" };
            if chance.once_in(50) {
                text += "\n";
            }
        }
        Content { text, worth: Worth::Rows(rows, bad) }
    }

    fn unreadable(&self, chance: &mut Chance) -> &'static str {
        let kinds = if self.with_ids {
            ["broken\n", "c1,many,1,1,0\n", "c1,1,1,1,\n", "c1,1,1,1,7\n"]
        } else {
            ["broken\n", "many,1,1,0\n", "1,1,1,\n", "1,1,1,7\n"]
        };
        kinds[chance.below(kinds.len())]
    }
}

/// One of the ways in which people write the same cell.
fn spelt(chance: &mut Chance, cell: &str) -> String {
    if cell.is_empty() {
        return ["", "NA", "n/a", "?"][chance.below(4)].to_owned();
    }
    match chance.below(40) {
        0 => format!(" {cell}"),
        1 => format!("{cell} "),
        2 => format!("\"{cell}\""),
        3 if !cell.starts_with('c') => format!("{cell}.0"),
        4 if !cell.starts_with('c') => format!("0{cell}"),
        _ => cell.to_owned(),
    }
}
