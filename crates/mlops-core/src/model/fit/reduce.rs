//! Sums over all blocks on several threads, with the same bits for any number of threads.
//!
//! Blocks are summed in units of a fixed size, and the units in order; threads only decide which
//! one computes a unit. Not a general thread pool: threads live for one pass (about ten
//! microseconds of overhead), which a pass over more than one unit outweighs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::block::{Block, Blocks, read_checked};
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
    let picked = source.blocks().div_ceil(stride);
    let units = picked.div_ceil(UNIT_BLOCKS);
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
            let mut sums = pass.zero();
            let last = picked.min((unit + 1) * UNIT_BLOCKS);
            let outcome = (unit * UNIT_BLOCKS..last).try_for_each(|k| {
                read_checked(source, k * stride, &mut block)?;
                pass.add(k * stride, &block, &mut scratch, &mut sums)
            });
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(()) => shared.add(pass, unit, sums),
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
