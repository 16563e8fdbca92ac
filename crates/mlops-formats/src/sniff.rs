//! Recognises the dialect of a text by the columns that are wanted and by how well its records agree.
//!
//! Not for reading it: see [`crate::dialect`].

use std::path::Path;

use mlops_core::config::Format;
use mlops_core::csv::clean::{self, FormatChanges};
use mlops_core::{Error, Result, text};

use crate::dialect::Reading;
use crate::record::{self, Dialect, Field, Limits, Next};

/// Separators that are looked for, with their names.
const SEPARATORS: [(u8, &str); 4] =
    [(b',', "\",\""), (b';', "\";\""), (b'\t', "a tab"), (b'|', "\"|\"")];
/// Others, which are believed only if the header has every column with one of them.
const RARE: [u8; 6] = [b'^', b'~', b':', b'\x01', b'\x1f', b' '];
/// Lines among which the header is looked for if titles may stand above it.
const TITLES: usize = 50;
/// Records that are looked at.
const RECORDS: usize = 1000;
/// A reading whose records agree less is in doubt.
const CONFIDENT: f64 = 0.6;

/// How well a dialect fits the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fit {
    dialect: Dialect,
    /// Wanted columns that the header has.
    found: usize,
    /// Fields in the header.
    width: usize,
    /// Share of the records that have as many fields as the header.
    agreeing: f64,
    records: usize,
    preamble: u64,
}

impl Fit {
    /// How much is to be said for it, from 0 to 1.
    fn confidence(&self, wanted: usize) -> f64 {
        let found = if wanted == 0 { 0.0 } else { self.found as f64 / wanted as f64 };
        let agreeing = if self.width > 1 { self.agreeing } else { self.agreeing / 2.0 };
        f64::midpoint(found, agreeing)
    }
}

/// Whether a text that begins with `head` is comma-separated beyond doubt: it has all columns, and its
/// records agree.
pub(crate) fn is_plain(head: &[u8], whole: bool, columns: &[String]) -> bool {
    let fit = fit(head, whole, Dialect::PLAIN, columns, 0);
    fit.width > 0 && !columns.is_empty() && fit.found == columns.len() && fit.agreeing >= 1.0
}

/// How the text that begins with `head` is read; `None` if it is comma-separated as it is. `whole` says
/// that `head` is all of it.
pub(crate) fn reading(
    head: &[u8],
    whole: bool,
    format: &Format,
    columns: &[String],
    promised: Option<u8>,
    path: &Path,
) -> Result<Option<Reading>> {
    let named = !format.names.is_empty();
    let header = format.header.unwrap_or(!named);
    let wanted: &[String] = if named { &[] } else { columns };
    let configured = |dialect: Dialect| dialect.with(format);
    let plain = configured(Dialect::PLAIN);
    let look = |dialect: Dialect, skip: u64| fit(head, whole, dialect, wanted, skip);
    let read = |fit: Fit| {
        let reading = Reading {
            dialect: fit.dialect,
            names: format.names.clone(),
            header,
            preamble: fit.preamble,
        };
        let as_it_is = fit.dialect == Dialect::PLAIN && fit.preamble == 0 && !named && header;
        Ok(Some(reading).filter(|_| !as_it_is))
    };
    if let Some(separator) = announced(head) {
        let dialect = configured(Dialect { delimiter: separator, ..Dialect::PLAIN });
        return read(Fit { preamble: 1, ..look(dialect, 0) });
    }
    let first = look(plain, 0);
    let settled = format.delimiter.is_some() && format.quote.is_some() && format.escape.is_some();
    // Whoever asks for no columns wants to know which there are.
    let any = columns.is_empty() && !named;
    // Nothing says more than the right columns in records that all agree.
    let right = first.found == wanted.len() && !named && (!any || first.width > 1);
    if settled || (right && first.agreeing >= 1.0) {
        return read(first);
    }
    // Other separators could not find more columns than all.
    let all = first.found == wanted.len() && !named && !any;
    let mut fits = usual(head, format, promised, all, &look);
    // Among equals the first stays first: commas, double quotes, no escapes.
    let worth = |fit: &Fit| {
        let agreeing = if fit.width > 1 { fit.agreeing } else { 0.0 };
        (fit.found, agreeing, fit.width.min(2))
    };
    fits.sort_by(|a, b| worth(b).partial_cmp(&worth(a)).unwrap_or(std::cmp::Ordering::Equal));
    let Some(best) = fits.first().copied() else { return read(first) };
    let rival = fits.iter().find(|fit| fit.dialect.delimiter != best.dialect.delimiter);
    let undecided = rival.is_some_and(|rival| {
        let close = rival.width > 1 && rival.agreeing + 0.1 >= best.agreeing;
        rival.found == best.found && best.found < wanted.len() && best.found > 0 && close
    });
    if undecided && format.delimiter.is_none() {
        return Err(doubt(&fits, wanted.len(), path));
    }
    let tell = |fit: &Fit| {
        tracing::info!(
            "{}: fields are separated by {} (confidence {:.0} %){}",
            text::name(&text::of_path(Path::new(path.file_name().unwrap_or_default()))),
            name(fit.dialect.delimiter),
            100.0 * fit.confidence(wanted.len()),
            match fit.preamble {
                0 => String::new(),
                lines => format!("; {} above the header passed over", text::plural(lines, "line")),
            }
        );
    };
    if header && let Some(found) = unusual(head, whole, format, wanted, promised, &best) {
        tell(&found);
        return read(found);
    }
    // A comma-separated file may have any number of bad records, and none of the columns, which whoever
    // asks for them tells best.
    let same = best.dialect.delimiter == first.dialect.delimiter;
    if same && first.found == best.found {
        let clearly = best.agreeing > first.agreeing + 1e-9 && first.found > 0;
        return read(if clearly { best } else { first });
    }
    if best.found == 0 && (best.width < 2 || best.agreeing < CONFIDENT) {
        return read(first);
    }
    let partly = best.found > 0 && best.found < wanted.len();
    if partly && best.agreeing < CONFIDENT && format.delimiter.is_none() {
        return Err(doubt(&fits, wanted.len(), path));
    }
    tell(&best);
    read(best)
}

/// How well the usual dialects fit; with `plain_only` those with the separator that is configured, or commas.
fn usual(
    head: &[u8],
    format: &Format,
    promised: Option<u8>,
    plain_only: bool,
    look: &dyn Fn(Dialect, u64) -> Fit,
) -> Vec<Fit> {
    let configured = |dialect: Dialect| dialect.with(format);
    let plain = configured(Dialect::PLAIN);
    let mut fits: Vec<Fit> = Vec::new();
    let mut separators = SEPARATORS.map(|(separator, _)| separator);
    // Among equals the one that the name promises comes first.
    separators.sort_by_key(|separator| Some(*separator) != promised);
    for delimiter in separators {
        if (plain_only || !head.contains(&delimiter)) && delimiter != plain.delimiter {
            continue;
        }
        let quotes = [Some(b'"'), Some(b'\'').filter(|quote| encloses(head, *quote, delimiter))];
        let escapes = [None, Some(b'\\').filter(|_| memchr::memmem::find(head, b"\\\"").is_some())];
        let comments = preamble(head);
        let skips = if comments > 0 { &[0, comments][..] } else { &[0] };
        for quote in quotes.into_iter().flatten() {
            for (i, escape) in escapes.into_iter().enumerate() {
                if i > 0 && escape.is_none() {
                    continue;
                }
                let dialect = Dialect { delimiter, quote: Some(quote), escape, comment: None };
                let dialect = configured(dialect);
                for skip in skips {
                    let known = |fit: &Fit| fit.dialect == dialect && fit.preamble == *skip;
                    if !fits.iter().any(known) {
                        fits.push(look(dialect, *skip));
                    }
                }
            }
        }
    }
    fits
}

fn name(delimiter: u8) -> String {
    let known = SEPARATORS.iter().find(|(separator, _)| *separator == delimiter);
    let other = || format!("\"{}\"", char::from(delimiter).escape_default());
    known.map_or_else(other, |(_, name)| (*name).to_owned())
}

fn doubt(fits: &[Fit], wanted: usize, path: &Path) -> Error {
    let mut seen = Vec::new();
    let mut likely = Vec::new();
    for fit in fits {
        if !seen.contains(&fit.dialect.delimiter) && likely.len() < 3 {
            seen.push(fit.dialect.delimiter);
            likely.push(format!(
                "{} (confidence {:.0} %)",
                name(fit.dialect.delimiter),
                100.0 * fit.confidence(wanted)
            ));
        }
    }
    let message = format!(
        "what separates its fields is in doubt: most likely are {}. Set \"ingestion.format.delimiter\", or \
         \"format\" of the source",
        likely.join(", ")
    );
    Error::schema(path.display().to_string(), message)
}

/// The separator that a first line `sep=;` announces, as Excel does.
fn announced(head: &[u8]) -> Option<u8> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let line = head.split(|b| matches!(b, b'\n' | b'\r')).next()?;
    let line = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")).unwrap_or(line);
    match line.strip_prefix(b"sep=").or_else(|| line.strip_prefix(b"SEP="))? {
        [separator] if separator.is_ascii() && !separator.is_ascii_alphanumeric() => {
            Some(*separator)
        }
        _ => None,
    }
}

/// Whether `quote` stands where only a quote that encloses a field does.
fn encloses(head: &[u8], quote: u8, delimiter: u8) -> bool {
    let at_start = |pair: &[u8]| (pair[0] == delimiter || pair[0] == b'\n') && pair[1] == quote;
    let at_end = |pair: &[u8]| {
        pair[0] == quote && (pair[1] == delimiter || matches!(pair[1], b'\n' | b'\r'))
    };
    let starts = head.windows(2).filter(|pair| at_start(pair)).count();
    let ends = head.windows(2).filter(|pair| at_end(pair)).count();
    starts > 0 && starts.abs_diff(ends) <= 1 + starts / 10
}

/// A dialect that only the columns tell: another separator, or titles above the header. `best` is the best one
/// of the usual ones.
fn unusual(
    head: &[u8],
    whole: bool,
    format: &Format,
    wanted: &[String],
    promised: Option<u8>,
    best: &Fit,
) -> Option<Fit> {
    let look = |delimiter: u8, lines: u64| {
        let dialect = Dialect { delimiter, ..Dialect::PLAIN }.with(format);
        fit(head, whole, dialect, wanted, lines)
    };
    if best.found < wanted.len() {
        let rare = RARE.iter().map(|delimiter| look(*delimiter, 0));
        let below = titles(head, wanted, format, promised);
        let below = below.map(|(delimiter, lines)| look(delimiter, lines));
        let right = |fit: &Fit| fit.found == wanted.len() && fit.agreeing >= CONFIDENT;
        return rare.chain(below).find(right);
    }
    if wanted.is_empty() && format.names.is_empty() && best.agreeing < CONFIDENT {
        let (delimiter, lines) = titles_of_any(head)?;
        return Some(look(delimiter, lines))
            .filter(|fit| fit.width > 1 && fit.agreeing >= CONFIDENT);
    }
    None
}

/// The separator and the number of lines above the first line that has all of several columns, if it is not
/// the first one: reports have titles above their tables.
fn titles(
    head: &[u8],
    wanted: &[String],
    format: &Format,
    promised: Option<u8>,
) -> Option<(u8, u64)> {
    if wanted.len() < 2 {
        return None;
    }
    let mut separators = SEPARATORS.map(|(separator, _)| separator).to_vec();
    separators.sort_by_key(|separator| Some(*separator) != promised);
    let configured = format.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
    let separators = configured.map_or(separators, |configured| vec![configured]);
    for (number, line) in head.split(|b| *b == b'\n').take(TITLES).enumerate() {
        // Where lines end otherwise, they are counted otherwise.
        if line.strip_suffix(b"\r").unwrap_or(line).contains(&b'\r') {
            return None;
        }
        let text = String::from_utf8_lossy(line);
        for separator in &separators {
            let names: Vec<String> = text.split(char::from(*separator)).map(bare).collect();
            if number > 0 && wanted.iter().all(|name| names.contains(name)) {
                return Some((*separator, number as u64));
            }
        }
    }
    None
}

/// The same for somebody who does not know the columns: most lines have as many fields as the header, and
/// those above it have fewer.
fn titles_of_any(head: &[u8]) -> Option<(u8, u64)> {
    let lines: Vec<&[u8]> = head.split(|b| *b == b'\n').take(RECORDS).collect();
    if lines
        .iter()
        .take(TITLES)
        .any(|line| line.strip_suffix(b"\r").unwrap_or(line).contains(&b'\r'))
    {
        return None;
    }
    SEPARATORS.iter().find_map(|(separator, _)| {
        let width = |line: &&[u8]| memchr::memchr_iter(*separator, line).count() + 1;
        let mut widths: Vec<usize> = lines.iter().map(width).collect();
        let found = widths.clone();
        widths.sort_unstable();
        let usual = widths[widths.len() / 2];
        let header = found.iter().position(|width| *width == usual)?;
        let titles = (1..TITLES).contains(&header) && found[..header].iter().all(|w| *w < usual);
        (usual > 2 && titles).then_some((*separator, header as u64))
    })
}

/// The number of lines at the beginning that are comments.
fn preamble(head: &[u8]) -> u64 {
    let comment = |line: &&[u8]| line.starts_with(b"#") || line.trim_ascii().is_empty();
    let lines: Vec<&[u8]> = head.split(|b| *b == b'\n').take_while(comment).collect();
    let commented = lines.iter().any(|line| line.starts_with(b"#"));
    if commented { lines.len() as u64 } else { 0 }
}

fn fit(head: &[u8], whole: bool, dialect: Dialect, wanted: &[String], preamble: u64) -> Fit {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut at = 0;
    for _ in 0..preamble {
        at += memchr::memchr(b'\n', &head[at..]).map_or(head.len() - at, |n| n + 1);
    }
    let mut fields: Vec<Field> = Vec::new();
    let mut limits = Limits { width: None, max_bytes: usize::MAX };
    let mut fit = Fit { dialect, found: 0, width: 0, agreeing: 1.0, records: 0, preamble };
    let mut good = 0;
    while at < head.len() && fit.records <= RECORDS {
        let next = record::next(head, at, whole, dialect, limits, &mut fields);
        let (end, is_good) = match next {
            Next::NeedMore => break,
            Next::Skipped(end) => {
                at = end;
                continue;
            }
            Next::Record(end) => (end, true),
            Next::Malformed(end, _) => (end, false),
        };
        if fit.width == 0 {
            if !is_good {
                break;
            }
            fit.width = fields.len();
            let names: Vec<String> = fields.iter().map(|f| column(head, *f, dialect)).collect();
            fit.found = wanted.iter().filter(|name| names.contains(&bare(name))).count();
            limits = Limits { width: Some(fit.width), max_bytes: 1 << 24 };
        } else {
            fit.records += 1;
            good += usize::from(is_good);
        }
        at = end;
    }
    if fit.records > 0 {
        fit.agreeing = good as f64 / fit.records as f64;
    }
    fit
}

fn column(head: &[u8], field: Field, dialect: Dialect) -> String {
    bare(&String::from_utf8_lossy(&record::content(head, field, dialect)))
}

fn bare(name: &str) -> String {
    clean::bare(name, false, false, &mut FormatChanges::default()).into_owned()
}
