//! Training rows of stretches of a data set, read on several machines, put together as if one had read them.
//!
//! A stretch is written to a file with its own numbers for categories. Once all are known, they are cut into parts
//! of whole blocks with the numbers of all. Order and values are those of one machine. Not for who reads what.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::design_matrix::{KnownRange, TrainingRows};
use super::encoded_rows::EncodedRows;
use super::encoder::Encoder;
use super::fit::{
    self, BLOCK_ROWS, Block, Blocks, Holders, Numbers, PackedBlocks, Part, Question, Sums,
};
use super::ranks;
use super::totals;
use crate::platform::disk::Disk;
use crate::{Error, Result};

/// The training rows of a stretch: their file, and what is known of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StretchRows {
    pub(crate) part: Part,
    positives: u64,
    lowest: Numbers,
    highest: Numbers,
    whole: Vec<bool>,
    levels: Vec<Vec<(String, u64)>>,
    missing_rows: u64,
    missing_cells: Vec<u64>,
    dropped: u64,
}

impl TrainingRows {
    /// Writes the rows to a file at `path`.
    pub(crate) fn write_stretch(&self, disk: &Disk, path: &Path) -> Result<StretchRows> {
        let of = |get: fn(&KnownRange) -> f64| Numbers(self.known.iter().map(get).collect());
        Ok(StretchRows {
            part: self.rows.write_part(disk, path)?,
            positives: self.rows.positives(),
            lowest: of(|known| known.lowest),
            highest: of(|known| known.highest),
            whole: self.known.iter().map(|known| known.whole).collect(),
            levels: self.levels.iter().map(|levels| levels.found.clone()).collect(),
            missing_rows: self.missing_rows,
            missing_cells: self.missing_cells.clone(),
            dropped: self.dropped,
        })
    }

    /// Learns what is known of the rows of a stretch that follows; returns for each of its categories by column
    /// the number that it has among all.
    fn learn(&mut self, stretch: &StretchRows) -> Vec<Vec<usize>> {
        let ranges = stretch.lowest.0.iter().zip(&stretch.highest.0).zip(&stretch.whole);
        for (known, ((lowest, highest), whole)) in self.known.iter_mut().zip(ranges) {
            let more = KnownRange { lowest: *lowest, highest: *highest, whole: *whole };
            *known = known.and(more);
        }
        for (sum, more) in self.missing_cells.iter_mut().zip(&stretch.missing_cells) {
            *sum += more;
        }
        self.missing_rows += stretch.missing_rows;
        self.dropped += stretch.dropped;
        let columns = self.levels.iter_mut().zip(&stretch.levels);
        columns
            .map(|(levels, found)| found.iter().map(|(text, n)| levels.add(text, *n)).collect())
            .collect()
    }
}

/// What is needed to make a part of all rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MakePart {
    columns: usize,
    pieces: Vec<Piece>,
    path: PathBuf,
}

/// Some rows of a stretch.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Piece {
    part: Part,
    rows: Range<u64>,
    /// For each categorical column, which are the last ones, the numbers of its categories among all.
    codes: Vec<Vec<usize>>,
}

impl MakePart {
    /// Writes the part.
    pub(crate) fn carry_out(&self, disk: &Disk, memory: usize, folder: &Path) -> Result<Part> {
        let mut rows = PackedBlocks::new(self.columns).within(memory, disk, folder.to_owned());
        let mut block = Block::new(self.columns);
        for Piece { part, rows: range, codes } in &self.pieces {
            let stretch = PackedBlocks::of_parts(self.columns, 0, std::slice::from_ref(part))?;
            let numbers = self.columns.checked_sub(codes.len()).ok_or_else(fit::not_sums)?;
            let mut at = range.start;
            while at < range.end {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "blocks are counted in a usize"
                )]
                let (index, skip) =
                    ((at / BLOCK_ROWS as u64) as usize, (at % BLOCK_ROWS as u64) as usize);
                stretch.read(index, &mut block)?;
                for (j, known) in codes.iter().enumerate() {
                    for code in &mut block.column_mut(numbers + j)[skip..] {
                        #[expect(
                            clippy::cast_possible_truncation,
                            clippy::cast_sign_loss,
                            reason = "a place in the list"
                        )]
                        let place = known.get(*code as usize);
                        // A missing value stays one.
                        if !code.is_nan() {
                            *code = place.map_or(f64::NAN, |place| *place as f64);
                        }
                    }
                }
                let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
                let end = block.rows().min(skip.saturating_add(left));
                let columns: Vec<&[f64]> =
                    (0..self.columns).map(|j| &block.column(j)[skip..end]).collect();
                let labels: Vec<bool> =
                    block.labels()[skip..end].iter().map(|label| *label > 0.5).collect();
                if labels.is_empty() {
                    return Err(fit::not_sums());
                }
                rows.push_columns(&columns, &labels)?;
                at += labels.len() as u64;
            }
        }
        rows.write_part(disk, &self.path)
    }
}

/// Parts of so many blocks, or more if there would be too many: files are open while they are read.
const PART_BLOCKS: u64 = 1 << 10;
const MOST_PARTS: u64 = 256;

/// The orders for parts of the rows of `stretches`, which are in order and whose levels `rows` learns: about `parts`
/// of them, in `folder`.
pub(crate) fn parts(
    rows: &mut TrainingRows,
    stretches: &[StretchRows],
    parts: usize,
    folder: &Path,
) -> Vec<MakePart> {
    let columns = rows.rows.features();
    let all: u64 = stretches.iter().map(|stretch| stretch.part.rows).sum();
    let blocks = all.div_ceil(BLOCK_ROWS as u64);
    let each =
        blocks.div_ceil(parts.max(1) as u64).min(PART_BLOCKS).max(blocks.div_ceil(MOST_PARTS));
    let each = each.max(1) * BLOCK_ROWS as u64;
    let (mut made, mut before): (Vec<MakePart>, u64) = (Vec::new(), 0);
    for stretch in stretches {
        let codes = rows.learn(stretch);
        let mut at = 0;
        while at < stretch.part.rows {
            let place = (before + at) % each;
            if place == 0 {
                let path = folder.join(format!("part-{}", made.len()));
                made.push(MakePart { columns, pieces: Vec::new(), path });
            }
            let end = stretch.part.rows.min(at + each - place);
            if let Some(last) = made.last_mut() {
                let (part, codes) = (stretch.part.clone(), codes.clone());
                last.pieces.push(Piece { part, rows: at..end, codes });
            }
            at = end;
        }
        before += stretch.part.rows;
    }
    made
}

impl TrainingRows {
    /// With the rows of `stretches`, which are in `parts` now and about which `holders` answer questions.
    pub(crate) fn in_parts(
        mut self,
        stretches: &[StretchRows],
        parts: &[Part],
        holders: Arc<dyn Holders>,
    ) -> Result<Self> {
        let positives = stretches.iter().map(|stretch| stretch.positives).sum();
        let rows = PackedBlocks::of_parts(self.rows.features(), positives, parts)?;
        if rows.rows() != stretches.iter().map(|stretch| stretch.part.rows).sum::<u64>() {
            return Err(Error::remote(
                "the cluster put other rows together than it had read: its answer is worth nothing, and nothing was \
                 changed. Run this again",
            ));
        }
        self.rows = rows.held_by(holders);
        Ok(self)
    }

    /// What others must know to answer questions about the rows as `encoder` has them.
    pub(crate) fn shared(&self, parts: &[Part], encoder: Option<&Encoder>) -> SharedRows {
        SharedRows {
            columns: self.rows.features(),
            positives: self.rows.positives(),
            parts: parts.to_vec(),
            encoder: encoder.cloned(),
            levels: self.levels.iter().map(|levels| levels.found.clone()).collect(),
        }
    }
}

/// Rows in files, and what is made of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SharedRows {
    columns: usize,
    positives: u64,
    parts: Vec<Part>,
    encoder: Option<Encoder>,
    levels: Vec<Vec<(String, u64)>>,
}

impl SharedRows {
    /// The answers of each of `units` to `question`.
    pub(crate) fn answer(&self, question: &Question, units: Range<usize>) -> Result<Vec<Vec<u8>>> {
        let rows = PackedBlocks::of_parts(self.columns, self.positives, &self.parts)?;
        match &question.sums {
            Sums::Digits(digits) => return ranks::answer(&rows, digits, units),
            Sums::Totals { columns, pieces } => {
                return totals::answer(&rows, (*columns, *pieces), units);
            }
            _ => {}
        }
        let encoder = self.encoder.as_ref().ok_or_else(fit::not_sums)?;
        let levels: Vec<_> = self.levels.iter().map(Vec::as_slice).collect();
        fit::answer(&EncodedRows::new(&rows, encoder, &levels), question, units)
    }
}
