//! What single cells say about their whole file: numbers with the other decimal separator, more
//! than two labels, a better spelling of the label that is being learned.
//!
//! The result is the same however the file is cut into pieces. Not for rows that are bad by
//! themselves: see [`super::quarantine`].

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Ingestion;
use crate::table::schema::Schema;
use crate::{Error, Result, text};

use super::chunk::{CHUNK_BYTES, ChunkReader};
use super::clean::{Census, Labels, is_better};
use super::formats;
use super::parse::{Parsed, RowParser};
use super::quarantine::{Rejected, Sign};
use crate::csv::header::{Layout, Purpose};
use crate::csv::outcome::FileOutcome;
use crate::csv::row_hash::RowHasher;

/// What has been seen so far in one file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Signs {
    /// The first number with the other decimal separator: its line and a description.
    other_decimal: Option<(u64, String)>,
    /// There is a third label.
    pub(crate) other_label: bool,
    /// The best spelling of the label that is being learned.
    pub(crate) better: Option<String>,
}

impl Signs {
    /// Adds the signs of a piece of the file; `number` is the line in the file of one of its lines.
    pub(crate) fn note(&mut self, parsed: &Parsed, number: impl Fn(u64) -> u64) {
        if let Some(better) = &parsed.better
            && self.better.as_ref().is_none_or(|known| is_better(better, known))
        {
            self.better = Some(better.clone());
        }
        self.note_rejected(&parsed.rejected, number);
    }

    /// Adds the signs of records that were rejected.
    pub(crate) fn note_rejected(&mut self, rejected: &[Rejected], number: impl Fn(u64) -> u64) {
        for rejected in rejected {
            match rejected.sign {
                Sign::Nothing => {}
                Sign::OtherLabel => self.other_label = true,
                Sign::OtherDecimal => {
                    let words = || (number(rejected.line), rejected.in_words());
                    self.other_decimal.get_or_insert_with(words);
                }
            }
        }
    }

    /// Adds the signs of a stretch that follows, whose lines were counted from 0 and begin with line `first`.
    pub(crate) fn follow(&mut self, stretch: &Self, first: u64) {
        if let Some((line, words)) = &stretch.other_decimal {
            self.other_decimal.get_or_insert_with(|| (first + line, words.clone()));
        }
        self.other_label |= stretch.other_label;
    }

    /// Why the whole file is refused, if it is: if one number has the other decimal separator,
    /// those that look valid mean something else.
    pub(crate) fn refusal(&self) -> Option<String> {
        let (line, words) = self.other_decimal.as_ref()?;
        Some(format!(
            "line {line}: {words}. The whole file is refused, since its other numbers could be \
             misread"
        ))
    }

    /// The refusal as an error about the file `place`.
    pub(crate) fn check(&self, place: &Path) -> Result<()> {
        match self.refusal() {
            Some(message) => Err(Error::schema(place.display().to_string(), message)),
            None => Ok(()),
        }
    }
}

/// What to do if no negative label is configured.
const NAME_IT: &str = "Name the negative one as \"schema.negative_label\" (rows with any other label \
     then go to the quarantine), or correct the file";

/// Why a file is refused that has several labels besides the positive one while none is configured.
fn several_labels(schema: &Schema, census: &Census) -> String {
    format!(
        "besides the positive label \"{}\" the column \"{}\" has several others; its labels are {}. \
         {NAME_IT}",
        schema.positive_label(),
        schema.target(),
        census.in_words(),
    )
}

/// The outcome for a file with a label that is neither the positive one nor `learned`, which
/// another file of the first ingestion taught. If this file has several other labels itself, only
/// it is refused.
pub(crate) fn unnamed_labels(
    path: &Path,
    schema: &Schema,
    options: &Ingestion,
    learned: Option<&str>,
) -> Result<FileOutcome> {
    let census = census(path, schema, options)?;
    match learned {
        Some(learned) if census.others(schema.positive_label()) == 1 => {
            Ok(FileOutcome::Contradicts(format!(
                "the labels of the column \"{}\" are {}, but files before it have \"{}\" besides the \
                 positive label. {NAME_IT}",
                schema.target(),
                census.in_words(),
                text::visible(learned),
            )))
        }
        _ => Ok(FileOutcome::Failed(several_labels(schema, &census))),
    }
}

/// Counts the labels of all rows that are otherwise good.
fn census(path: &Path, schema: &Schema, options: &Ingestion) -> Result<Census> {
    let (file, _) = formats::open(path, options, &options.columns.theirs(schema), 1)?;
    let mut reader = ChunkReader::of(file, path, CHUNK_BYTES).without_digest();
    let Some(header) = reader.header()? else { return Ok(Census::default()) };
    let place = path.display().to_string();
    let layout = Layout::of(&header, &options.columns, schema, Purpose::Labelled, &place)?;
    let labels = Labels { census: Some(Census::default()), ..Labels::of(schema) };
    let mut parser = RowParser::new(schema, layout, options, labels, RowHasher::random());
    let (mut chunk, mut parsed) = (Vec::new(), Parsed::default());
    while let Some(position) = reader.next_chunk(&mut chunk, parser.shape())? {
        parser.parse(&chunk, position.offset.unwrap_or(0), &mut parsed);
    }
    Ok(parser.labels.census.unwrap_or_default())
}
