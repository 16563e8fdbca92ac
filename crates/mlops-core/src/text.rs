//! Numbers and tables as people read them on a terminal. Not for files that programs read.

use std::fmt::Write as _;

/// `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 file`, `2 files`.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Three significant digits, in plain notation where that is short.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "-".to_owned()
    } else if size >= 1e7 || (size > 0.0 && size < 1e-3) {
        format!("{value:.2e}")
    } else if value.fract() == 0.0 {
        format!("{value}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// Columns aligned by spaces: the first to the left, the others to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    aligned(rows, |c| c == 0)
}

/// Columns aligned by spaces, all to the left: for words.
pub fn list(rows: &[Vec<String>]) -> String {
    aligned(rows, |_| true)
}

fn aligned(rows: &[Vec<String>], to_the_left: impl Fn(usize) -> bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (c, cell) in row.iter().enumerate() {
            let pad = widths[c].saturating_sub(cell.chars().count());
            let blanks = " ".repeat(pad);
            // Writing to a text cannot fail.
            let _ = match (c, to_the_left(c)) {
                (0, _) => write!(line, " {cell}{blanks}"),
                (_, true) => write!(line, "  {cell}{blanks}"),
                (_, false) => write!(line, "  {blanks}{cell}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_aligned() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(100), "100");
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(number(0.123_456), "0.123");
        assert_eq!(number(12.0), "12");
        assert_eq!(number(1e-9), "1.00e-9");
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bb".to_owned(), "10".to_owned()]];
        assert_eq!(table(&rows), "  a    1\n  bb  10\n");
        assert_eq!(list(&rows), "  a   1\n  bb  10\n");
    }
}
