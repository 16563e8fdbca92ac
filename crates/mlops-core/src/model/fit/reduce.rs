//! Sums over all blocks on several threads, with the same bits for any number of threads.
//!
//! Blocks are summed in units of a fixed size, and the units in order; threads only decide which
//! one computes a unit. Not a general thread pool: threads live for one pass (about ten
//! microseconds of overhead), which a pass over more than one unit outweighs. Units of rows that other
//! machines hold are summed there, and merged here in the same order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::block::{Block, Blocks, read_checked};
use super::question::{Holders, Question, Reading, Sums, Written, needs_rows};
use crate::error::{Error, Result};
use crate::platform::threads::together;

/// Blocks in a unit: 8,192 rows, so that two threads share 20,000 wide rows, while even narrow
/// units take far longer than handing them over. Results depend on it.
const UNIT_BLOCKS: usize = 32;

/// A sum over blocks.
pub(crate) trait Pass: Sync {
    /// The type of the sum.
    type Sums: Send;
    /// Buffers that a thread reuses from block to block.
    type Scratch;

    /// The empty sum.
    fn zero(&self) -> Self::Sums;

    /// New buffers.
    fn scratch(&self) -> Self::Scratch;

    /// Adds block `index`.
    fn add(
        &self,
        index: usize,
        block: &Block,
        scratch: &mut Self::Scratch,
        sums: &mut Self::Sums,
    ) -> Result<()>;

    /// Adds the sums of the blocks that follow.
    fn merge(&self, into: &mut Self::Sums, following: Self::Sums);

    /// What another machine must know to sum the same; `None` if it cannot.
    fn asks(&self) -> Option<Sums> {
        None
    }

    /// Writes `sums` for [`Pass::read`].
    fn write(&self, _sums: &Self::Sums, _to: &mut Written) {}

    /// Reads sums that another machine wrote.
    fn read(&self, _from: &mut Reading<'_>) -> Result<Self::Sums> {
        Err(needs_rows())
    }
}

/// The number of threads to use; 0 means all.
pub(crate) fn threads_of(asked: usize) -> usize {
    if asked > 0 { asked } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// Sums `pass` over every `stride`-th block of `source`.
///
/// # Errors
/// The error of the first unit that failed, whichever thread met it.
pub(crate) fn reduce<P: Pass>(
    source: &dyn Blocks,
    stride: usize,
    threads: usize,
    pass: &P,
) -> Result<P::Sums> {
    let units = units(source, stride);
    if let Some(holders) = source.holders() {
        return gather(holders, units, stride, pass);
    }
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let shared = Mutex::new(OrderedSum::<P::Sums> {
        next: 0,
        total: None,
        waiting: BTreeMap::new(),
        failed: None,
    });
    let work = || {
        let mut block = Block::new(source.features());
        let mut scratch = pass.scratch();
        while !stop.load(Ordering::Relaxed) {
            let unit = next.fetch_add(1, Ordering::Relaxed);
            if unit >= units {
                break;
            }
            let outcome = sum_unit(source, (stride, unit), pass, &mut block, &mut scratch);
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(sums) => shared.add(pass, unit, sums),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    shared.fail(unit, error);
                }
            }
        }
    };
    let helpers = threads_of(threads).min(units).saturating_sub(1);
    together(helpers, &work);
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match shared.failed {
        Some((_, error)) => Err(error),
        None => Ok(shared.total.unwrap_or_else(|| pass.zero())),
    }
}

/// The number of units of a pass over every `stride`-th block of `source`.
pub(super) fn units(source: &dyn Blocks, stride: usize) -> usize {
    source.blocks().div_ceil(stride).div_ceil(UNIT_BLOCKS)
}

/// The sums of one unit.
pub(super) fn sum_unit<P: Pass>(
    source: &dyn Blocks,
    (stride, unit): (usize, usize),
    pass: &P,
    block: &mut Block,
    scratch: &mut P::Scratch,
) -> Result<P::Sums> {
    let mut sums = pass.zero();
    let last = source.blocks().div_ceil(stride).min((unit + 1) * UNIT_BLOCKS);
    for k in unit * UNIT_BLOCKS..last {
        read_checked(source, k * stride, block)?;
        pass.add(k * stride, block, scratch, &mut sums)?;
    }
    Ok(sums)
}

/// The sums of all units, which others compute. What they came to is kept, so that a training that is cut off
/// goes on from there.
fn gather<P: Pass>(
    holders: &dyn Holders,
    units: usize,
    stride: usize,
    pass: &P,
) -> Result<P::Sums> {
    let question = Question { stride, sums: pass.asks().ok_or_else(needs_rows)? };
    let read = |bytes: &[u8]| {
        let mut reading = Reading(bytes);
        let sums = pass.read(&mut reading)?;
        reading.finish().map(|()| sums)
    };
    if let Some(total) = holders.recall(&question)? {
        return read(&total);
    }
    let mut total = None;
    holders.ask(&question, units, &mut |bytes| {
        let sums = read(bytes)?;
        match &mut total {
            Some(total) => pass.merge(total, sums),
            none => *none = Some(sums),
        }
        Ok(())
    })?;
    let total = total.unwrap_or_else(|| pass.zero());
    let mut written = Written::default();
    pass.write(&total, &mut written);
    holders.keep(&question, &written.0)?;
    Ok(total)
}

/// Adds units in order as they arrive. Units are claimed in order, so that about as many wait as
/// there are threads, and memory does not grow with the data.
struct OrderedSum<S> {
    next: usize,
    total: Option<S>,
    waiting: BTreeMap<usize, S>,
    failed: Option<(usize, Error)>,
}

impl<S> OrderedSum<S> {
    fn add<P: Pass<Sums = S>>(&mut self, pass: &P, unit: usize, sums: S) {
        self.waiting.insert(unit, sums);
        while let Some(sums) = self.waiting.remove(&self.next) {
            self.next += 1;
            match &mut self.total {
                Some(total) => pass.merge(total, sums),
                none => *none = Some(sums),
            }
        }
    }

    fn fail(&mut self, unit: usize, error: Error) {
        if self.failed.as_ref().is_none_or(|(earliest, _)| unit < *earliest) {
            self.failed = Some((unit, error));
        }
    }
}
