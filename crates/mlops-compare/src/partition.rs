//! The join through temporary files, when the rows do not fit into memory.
//!
//! 1. The rows of both files go to 256 parts, chosen by the hash of their key: rows with the same
//!    key are in the same part.
//! 2. One part after the other is joined in memory. One that does not fit is halved by further bits
//!    of the hash until its halves do.
//! 3. Joined rows go to runs, each in the order of its file; the runs are merged by row numbers, so
//!    that the result is that of a join in memory.
//!
//! Memory: the groups of one part, and a few KiB per run. Disk space: both files and the joined
//! rows. Rows may have been divided by several processes, and parts are then joined by several: see
//! [`crate::there`]. Not for classifying rows: see [`crate::join`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use mlops_core::Result;
use mlops_core::platform::disk::Disk;

use crate::findings::Findings;
use crate::groups::Groups;
use crate::join::{Join, Plan};
use crate::output::{JoinedFile, Sink, Target};
use crate::rows::Numbered;
use crate::rows::Rows;
use crate::spool::{Cursor, Spool};

const PARTITION_BITS: u32 = 8;
/// The largest number of parts, which is a power of two.
pub(crate) const PARTITIONS: usize = 1 << PARTITION_BITS;
/// After this many halvings a part is joined whatever memory it takes: the number of its rows is not
/// the problem.
const DEEPEST: u32 = 20;

/// The rows of one file, or of a stretch of one, on their way into parts.
pub(crate) struct Parts {
    spool: Spool,
    count: usize,
    /// The number of rows so far.
    pub(crate) rows: u64,
}

impl Parts {
    /// Starts without rows; the temporary file is in `folder`.
    pub(crate) fn create(disk: &Disk, folder: &Path) -> Result<Self> {
        let spool = Spool::create(disk, folder, PARTITIONS)?;
        Ok(Self { spool, count: PARTITIONS, rows: 0 })
    }

    /// Starts without rows and with `count` parts, in a file that will be named `path`.
    pub(crate) fn create_there(path: &Path, count: usize) -> Result<Self> {
        Ok(Self { spool: Spool::create_there(path, count)?, count, rows: 0 })
    }

    /// Adds the rows of a piece.
    pub(crate) fn add(&mut self, chunk: &[u8], rows: &Rows) -> Result<()> {
        for row in &rows.all {
            let part = row.hash as usize % self.count;
            self.spool.push(part, self.rows, rows.bytes(chunk, row), row.key)?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Writes the rest; the rows can then be read.
    pub(crate) fn end(mut self) -> Result<Divided> {
        self.spool.end()?;
        Ok(Divided { stretches: vec![(0, self.spool)], rows: self.rows })
    }

    /// Writes the rest, and gives the file its name.
    pub(crate) fn publish(self) -> Result<()> {
        self.spool.publish()
    }
}

/// The rows of one file in parts, by stretches of the file.
pub(crate) struct Divided {
    /// The number of the first row of each stretch, and its rows.
    stretches: Vec<(u64, Spool)>,
    /// The number of all rows.
    pub(crate) rows: u64,
}

impl Divided {
    /// The rows of a part, in the files that [`Parts::publish`] made of the stretches, each with its number of rows.
    pub(crate) fn open(stretches: &[(PathBuf, u64)], part: usize) -> Result<Self> {
        let mut all = Self { stretches: Vec::new(), rows: 0 };
        for (path, rows) in stretches {
            all.stretches.push((all.rows, Spool::open(path, part..part + 1)?));
            all.rows += rows;
        }
        Ok(all)
    }

    /// The number of rows of a part.
    pub(crate) fn rows_of(&self, part: usize) -> usize {
        self.stretches.iter().map(|(_, spool)| spool.rows(part)).sum()
    }

    /// Passes the rows of a share of a part to `visit` until it returns false; returns whether it
    /// never did.
    fn each(
        &mut self,
        plan: Plan,
        (part, share): (usize, Share),
        mut visit: impl FnMut(Numbered) -> Result<bool>,
    ) -> Result<bool> {
        for (first, spool) in &mut self.stretches {
            let mut cursor = Cursor::start_of(part);
            while let Some(spooled) = spool.next(&mut cursor)? {
                let row = cursor.row();
                let hash = plan.hasher.hash(&row[..spooled.key as usize]);
                let ordinal = *first + spooled.ordinal;
                let numbered = Numbered { ordinal, row, key: spooled.key, hash };
                if share.has(hash) && !visit(numbered)? {
                    return Ok(false);
                }
            }
            spool.close();
        }
        Ok(true)
    }
}

/// The rows of a part whose hashes continue with certain bits.
#[derive(Debug, Clone, Copy)]
struct Share {
    depth: u32,
    bits: u128,
}

impl Share {
    const WHOLE: Self = Self { depth: 0, bits: 0 };

    fn has(self, hash: u128) -> bool {
        (hash >> PARTITION_BITS) & ((1 << self.depth) - 1) == self.bits
    }

    fn halves(self) -> [Self; 2] {
        let depth = self.depth + 1;
        [Self { depth, bits: self.bits }, Self { depth, bits: self.bits | 1 << self.depth }]
    }
}

/// Joins the rows of two files.
pub(crate) struct Partitioned<'a> {
    pub(crate) plan: Plan<'a>,
    pub(crate) left: Divided,
    pub(crate) right: Divided,
    /// Memory for the groups of one part, in bytes.
    pub(crate) memory: usize,
}

/// Runs of joined rows, by the numbers of their parts in the file.
pub(crate) struct Runs {
    pub(crate) spool: Spool,
    pub(crate) left: Vec<usize>,
    pub(crate) right: Vec<usize>,
}

impl Partitioned<'_> {
    /// Joins all parts; the joined rows go to `file`, if there is one.
    pub(crate) fn join(
        mut self,
        (disk, folder): (&Disk, &Path),
        file: Option<&mut JoinedFile>,
    ) -> Result<Findings> {
        let mut findings = Findings::new(self.plan.columns.compared.len());
        let runs = file.as_ref().map(|_| Spool::create(disk, folder, 0));
        let mut runs = runs.transpose()?.map(Runs::new);
        for part in 0..PARTITIONS {
            self.join_part(part, &mut findings, runs.as_mut())?;
        }
        if let (Some(runs), Some(file)) = (runs, file) {
            let Runs { spool, left, right } = runs;
            let (mut spools, of) =
                ([spool], |runs: Vec<usize>| runs.into_iter().map(|run| (0, run)));
            merge(&mut spools, of(left), file)?;
            merge(&mut spools, of(right), file)?;
        }
        Ok(findings)
    }

    /// Joins a part.
    pub(crate) fn join_part(
        &mut self,
        part: usize,
        findings: &mut Findings,
        mut runs: Option<&mut Runs>,
    ) -> Result<()> {
        let mut shares = vec![Share::WHOLE];
        while let Some(share) = shares.pop() {
            match self.join_share(part, share, runs.as_deref_mut())? {
                Some(found) => findings.add(found),
                None => shares.extend(share.halves()),
            }
        }
        Ok(())
    }

    /// Joins a share of a part; `None` if it does not fit into memory.
    fn join_share(
        &mut self,
        part: usize,
        share: Share,
        mut runs: Option<&mut Runs>,
    ) -> Result<Option<Findings>> {
        let (plan, keyed) = (self.plan, self.plan.columns.keyed);
        let memory = if share.depth < DEEPEST { self.memory } else { usize::MAX };
        let rows = self.left.rows_of(part) + self.right.rows_of(part);
        let mut join = Join::new(plan, Groups::expecting(rows >> share.depth, keyed, memory)?);
        let which = (part, share);
        // Rows with an earlier key are read again, since a key may have any number of rows.
        let fits = self.right.each(plan, which, |row| join.right(row, false))?
            && self.left.each(plan, which, |row| Ok(join.left(row)?.is_some()))?;
        if !fits {
            return Ok(None);
        }
        join.count();
        let mut sink = Sink::new(Runs::target(&mut runs, |runs| &mut runs.left), plan.columns);
        join.begin_again();
        self.left.each(plan, which, |row| join.give_left_again(row, &mut sink).map(|()| true))?;
        let mut sink = Sink::new(Runs::target(&mut runs, |runs| &mut runs.right), plan.columns);
        let lefts = self.left.rows;
        self.right.each(plan, which, |row| {
            let place = join.groups.find(row.hash);
            if let Some(alone) = place.and_then(|place| join.right_alone(place)) {
                join.give_right(alone, row, lefts, &mut sink)?;
            }
            Ok(true)
        })?;
        if let Some(runs) = runs {
            runs.spool.end()?;
        }
        Ok(Some(join.findings))
    }
}

impl Runs {
    /// No runs yet; their rows will be in `spool`.
    pub(crate) fn new(spool: Spool) -> Self {
        Self { spool, left: Vec::new(), right: Vec::new() }
    }

    /// A new run for the rows that `which` names.
    fn target<'r>(
        runs: &'r mut Option<&mut Self>,
        which: impl Fn(&mut Self) -> &mut Vec<usize>,
    ) -> Target<'r> {
        match runs {
            None => Target::Nowhere,
            Some(runs) => {
                let run = runs.spool.add_part();
                which(runs).push(run);
                Target::Run(&mut runs.spool, run)
            }
        }
    }
}

/// Merges the rows of `runs` into `file`, by their numbers; each is a part of one of `spools`.
pub(crate) fn merge(
    spools: &mut [Spool],
    runs: impl Iterator<Item = (usize, usize)>,
    file: &mut JoinedFile,
) -> Result<()> {
    let mut cursors: Vec<_> = runs.map(|(spool, run)| (spool, Cursor::start_of(run))).collect();
    let mut heap = BinaryHeap::new();
    for (i, (spool, cursor)) in cursors.iter_mut().enumerate() {
        heap.extend(spools[*spool].next(cursor)?.map(|row| Reverse((row.ordinal, i))));
    }
    while let Some(Reverse((_, i))) = heap.pop() {
        let (spool, cursor) = &mut cursors[i];
        file.line(cursor.row())?;
        heap.extend(spools[*spool].next(cursor)?.map(|row| Reverse((row.ordinal, i))));
    }
    Ok(())
}
