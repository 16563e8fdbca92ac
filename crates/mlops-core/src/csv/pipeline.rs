//! Works on the pieces of one file on several threads and delivers them in file order.
//!
//! ```text
//! reader: reads, cuts at record ends, hashes ──► worker 0 ──► the caller: takes pieces
//!    ▲                                      └──► worker 1 ──┘  in file order
//!    └───────────── pieces that were taken, to be filled again ◄───┘
//! ```
//!
//! - The caller defines the shape of a record, by which the file is cut into pieces, and the work on
//!   a piece.
//! - A worker has a state of its own, such as a parser or running sums; the states are returned at the
//!   end. Which pieces a state has seen depends on the number of threads, so whatever is computed
//!   from all states must not.
//! - Piece n goes to worker n mod W and comes back from it, so that no sorting is needed and the
//!   result is the same for any number of threads.
//! - The number of pieces is fixed and the reader waits for one to come back, so that memory is
//!   bounded.
//! - If the system gives too few threads, everything runs on the caller's.
//! - When the reader, a worker or the caller stops, its channels close and every other thread stops
//!   too.
//!
//! Not for the grammar of records, nor for what becomes of a row: see [`super::parallel`] and the
//! caller.

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;

use crate::{Error, Result};

use super::chunk::ChunkReader;
use super::formats::{Place, Refused, Source};
use super::record::Shape;
use crate::table::Table;

/// Some whole records of a file and what a worker made of them; its memory is reused.
#[derive(Debug, Default)]
pub struct Piece<M> {
    /// The records as they are in the file.
    pub chunk: Vec<u8>,
    /// Offset in the file of the first byte; `None` for rows that are no text.
    pub offset: Option<u64>,
    /// Where they are in a file of another format.
    pub place: Option<Place>,
    /// What they are there.
    pub source: Source,
    /// Those that the decoder refused.
    pub refused: Vec<Refused>,
    /// The rows as values, if they are no text.
    pub values: Option<Box<Table>>,
    /// What a worker made of them.
    pub made: M,
}

impl<M> Piece<M> {
    /// The line or row in the file, from 1, of the piece's line `line`, from 0, if the piece's lines in a
    /// plain file begin at `first`.
    pub fn number(&self, first: u64, line: u64) -> u64 {
        self.place.as_ref().map_or(first + line, |place| place.number(line))
    }
}

/// Why a file was not read to its end.
#[derive(Debug)]
pub enum Stopped {
    /// The file could not be read.
    Reading(Error),
    /// The caller failed on a piece.
    Taking(Error),
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Reading(error) | Stopped::Taking(error) => error,
        }
    }
}

/// The work of a worker thread.
pub struct Worker<New, Make> {
    /// Creates the state of a worker.
    pub state: New,
    /// Computes something from a piece that was read; its output buffer is reused and must be cleared.
    pub make: Make,
}

/// Cuts what `reader` has after its header into pieces of records of `shape`, works on them on
/// `workers` threads besides the reader's and the caller's, and passes each piece, in file order, to
/// `take` on this thread; without workers, or for a file of one piece, everything runs on this thread. Returns the
/// states of the workers.
///
/// Afterwards `reader` knows the digest of the whole file.
pub fn run<R: Read + Send, S: Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    workers: usize,
    work: &Worker<impl Fn() -> S + Sync, impl Fn(&mut S, &mut Piece<M>) + Sync>,
    mut take: impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Result<Vec<S>, Stopped> {
    // One piece gives one thread work, and threads for each of 10,000 small files take longer than the files.
    let spread = if workers == 0 || reader.is_read() {
        None
    } else {
        on_workers(reader, shape, workers, work, &mut take)
    };
    spread.unwrap_or_else(|| on_this_thread(reader, shape, work, &mut take))
}

fn on_this_thread<R: Read, S, M: Default>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    work: &Worker<impl Fn() -> S, impl Fn(&mut S, &mut Piece<M>)>,
    take: &mut impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Result<Vec<S>, Stopped> {
    let mut piece = Piece::default();
    let mut state = (work.state)();
    while fill(reader, shape, &mut piece).map_err(Stopped::Reading)? {
        (work.make)(&mut state, &mut piece);
        take(&mut piece).map_err(Stopped::Taking)?;
    }
    Ok(vec![state])
}

/// Returns `None`, and does nothing, if no threads can be had.
fn on_workers<R: Read + Send, S: Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    workers: usize,
    work: &Worker<impl Fn() -> S + Sync, impl Fn(&mut S, &mut Piece<M>) + Sync>,
    take: &mut impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Option<Result<Vec<S>, Stopped>> {
    thread::scope(|scope| {
        let (give_back, recycled) = mpsc::channel();
        for _ in 0..=2 * workers + 1 {
            // The receiver still exists, so that this cannot fail.
            let _ = give_back.send(Piece::default());
        }
        let (mut inputs, mut outputs, mut working) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..workers {
            let (input, pieces) = mpsc::channel::<Piece<M>>();
            let (done, output) = mpsc::channel();
            inputs.push(input);
            outputs.push(output);
            let worker = thread::Builder::new().spawn_scoped(scope, move || {
                let mut state = (work.state)();
                for mut piece in pieces {
                    (work.make)(&mut state, &mut piece);
                    if done.send(piece).is_err() {
                        break;
                    }
                }
                state
            });
            if let Ok(worker) = worker {
                working.push(worker);
            } else {
                // The workers that exist take its pieces too.
                inputs.pop();
                outputs.pop();
                break;
            }
        }
        if working.is_empty() {
            return None;
        }
        let reading = thread::Builder::new().spawn_scoped(scope, move || {
            let mut turns = inputs.iter().cycle();
            while let (Ok(mut piece), Some(worker)) = (recycled.recv(), turns.next()) {
                if !fill(reader, shape, &mut piece)? || worker.send(piece).is_err() {
                    break;
                }
            }
            Ok(())
        });
        // Without the reader the workers have no input and stop.
        let Ok(reading) = reading else { return None };
        let mut taken = Ok(());
        for output in outputs.iter().cycle() {
            // The worker whose turn it is has nothing: that was the last piece.
            let Ok(mut piece) = output.recv() else { break };
            taken = take(&mut piece);
            if taken.is_err() {
                break;
            }
            // At the end of the file the reader no longer waits for it.
            let _ = give_back.send(piece);
        }
        drop((outputs, give_back));
        let read = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
        let states =
            working.into_iter().map(|w| w.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let states = states.collect();
        let ended = taken.map_err(Stopped::Taking).and(read.map_err(Stopped::Reading));
        Some(ended.map(|()| states))
    })
}

/// Reads the next records into `piece`; returns false after the last.
fn fill<R: Read, M>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    piece: &mut Piece<M>,
) -> Result<bool> {
    let Some(position) = reader.next_chunk(&mut piece.chunk, shape)? else { return Ok(false) };
    (piece.offset, piece.place) = (position.offset, position.place);
    (piece.source, piece.refused) = (position.source, position.refused);
    piece.values = position.values;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The threads that work on the pieces of a file that is read in pieces of `bytes`.
    fn threads(bytes: usize) -> Vec<thread::ThreadId> {
        let text = format!("a,b\n{}", "1,2\n".repeat(1_000));
        let mut reader = ChunkReader::new(text.as_bytes(), Path::new("t.csv"), bytes);
        reader.header().unwrap();
        let work = Worker {
            state: || (),
            make: |(): &mut (), piece: &mut Piece<Option<thread::ThreadId>>| {
                piece.made = Some(thread::current().id());
            },
        };
        let (mut threads, mut taken) = (Vec::new(), 0);
        let shape = Shape { width: 2, max_bytes: 100 };
        let states = run(&mut reader, shape, 2, &work, |piece| {
            threads.extend(piece.made);
            taken += piece.chunk.len();
            Ok(())
        });
        assert!(!states.unwrap().is_empty());
        assert_eq!(taken, 4_000);
        threads
    }

    #[test]
    fn only_a_file_of_several_pieces_is_worked_on_by_several_threads() {
        let here = thread::current().id();
        assert_eq!(threads(1 << 18), [here]);
        let mut others = threads(1_000);
        assert!(others.len() > 3 && !others.contains(&here));
        others.sort_unstable_by_key(|id| format!("{id:?}"));
        others.dedup();
        assert_eq!(others.len(), 2);
    }
}
