//! The pieces of one file, in file order, with the work on them spread over threads.
//!
//! ```text
//! reader: reads, cuts at record ends, hashes ──► worker 0 ──► the caller: takes pieces
//!    ▲                                      └──► worker 1 ──┘  in file order
//!    └───────────── pieces that were taken, to be filled again ◄───┘
//! ```
//!
//! - The caller gives the shape of a record, by which pieces are cut, and the work on a piece.
//! - A worker has a state of its own, such as a parser and sums of what it has seen; the states come
//!   back at the end. Which pieces a state has seen depends on the number of threads: what is made of
//!   the states together must not.
//! - Piece n goes to worker n mod W and comes back from it, so that order needs no sorting and the
//!   result is the same for any number of threads.
//! - There is a fixed number of pieces; the reader waits for one to come back. Memory is bounded.
//! - Where the system gives too few threads, everything happens on the caller's.
//! - When the reader, a worker or the caller stops, its channels close and every other thread stops too.
//!
//! Not for what a record is, nor for what becomes of its row: see [`super::parsing`] and the caller.

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;

use crate::{Error, Result};

use super::chunk::ChunkReader;
use super::record::Shape;

/// Some whole records of a file with what was made of them; its memory is used again and again.
#[derive(Debug, Default)]
pub struct Piece<M> {
    /// The records as they stand in the file.
    pub chunk: Vec<u8>,
    /// Position in the file of the first byte.
    pub offset: u64,
    /// What a worker made of them.
    pub made: M,
}

/// Why a file was not read to its end.
#[derive(Debug)]
pub enum Stopped {
    /// It could not be read.
    Reading(Error),
    /// The caller could not take a piece.
    Taking(Error),
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Reading(error) | Stopped::Taking(error) => error,
        }
    }
}

/// What workers do.
pub struct Work<New, Make> {
    /// Makes the state of a worker.
    pub state: New,
    /// Fills what is to be made of a piece whose records are read; it must clear what it fills.
    pub make: Make,
}

/// Cuts what `reader` has after its header into pieces of records of `shape`, works on them on
/// `workers` threads besides the reader's and the caller's, and hands each piece, in file order, to
/// `take` on this thread. With no workers, everything happens on this thread. Returns the states of
/// the workers.
///
/// Then `reader` knows the digest of the whole file.
pub fn run<R: Read + Send, S: Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    workers: usize,
    work: &Work<impl Fn() -> S + Sync, impl Fn(&mut S, &mut Piece<M>) + Sync>,
    mut take: impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Result<Vec<S>, Stopped> {
    let spread =
        if workers == 0 { None } else { on_workers(reader, shape, workers, work, &mut take) };
    spread.unwrap_or_else(|| on_this_thread(reader, shape, work, &mut take))
}

fn on_this_thread<R: Read, S, M: Default>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    work: &Work<impl Fn() -> S, impl Fn(&mut S, &mut Piece<M>)>,
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

/// Nothing, and nothing done, where there are no threads to be had.
fn on_workers<R: Read + Send, S: Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    workers: usize,
    work: &Work<impl Fn() -> S + Sync, impl Fn(&mut S, &mut Piece<M>) + Sync>,
    take: &mut impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Option<Result<Vec<S>, Stopped>> {
    thread::scope(|scope| {
        let (give_back, recycled) = mpsc::channel();
        for _ in 0..=2 * workers + 1 {
            // The receiver is at hand: this cannot fail.
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
                // Those that there are take its pieces too.
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
        // Without it the workers have no input, and end.
        let Ok(reading) = reading else { return None };
        let mut taken = Ok(());
        for output in outputs.iter().cycle() {
            // The worker whose turn it is has nothing: that was the last piece.
            let Ok(mut piece) = output.recv() else { break };
            taken = take(&mut piece);
            if taken.is_err() {
                break;
            }
            // At the end of the file the reader does not wait for it any more.
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

/// Reads the next records into `piece`; false after the last.
fn fill<R: Read, M>(
    reader: &mut ChunkReader<R>,
    shape: Shape,
    piece: &mut Piece<M>,
) -> Result<bool> {
    let offset = reader.next_chunk(&mut piece.chunk, shape)?;
    piece.offset = offset.unwrap_or_default();
    Ok(offset.is_some())
}
