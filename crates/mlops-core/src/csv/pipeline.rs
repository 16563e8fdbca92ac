//! Parses the records of one file on several threads and delivers the rows in file order.
//!
//! ```text
//! reader: reads, cuts at record ends, hashes ──► worker 0 ──► the caller: takes pieces
//!    ▲                                      └──► worker 1 ──┘  in file order
//!    └───────────── pieces that were taken, to be filled again ◄───┘
//! ```
//!
//! - A worker may have a state of its own, such as running sums; the states are returned at the
//! end. Which pieces a state has seen depends on the number of threads, so whatever is computed
//! from all states must not.
//! - Piece n goes to worker n mod W and comes back from it, so that no sorting is needed and the
//! result is the same for any number of threads.
//! - The number of pieces is fixed and the reader waits for one to come back, so that memory is
//! bounded.
//! - If the system gives too few threads, everything runs on the caller's.
//! - When the reader, a worker or the caller stops, its channels close and every other thread stops
//! too.
//!
//! Not for the grammar of records, nor for what becomes of a row: see [`super::parse`] and the
//! caller.

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;

use crate::{Error, Result};

use super::chunk::ChunkReader;
use super::clean::Labels;
use super::parse::{Parsed, RowParser, RowRun};

/// Some whole records of a file and the result of parsing them; its memory is reused.
#[derive(Debug, Default)]
pub(crate) struct Piece<M> {
    /// The records as they are in the file.
    pub(crate) chunk: Vec<u8>,
    /// Offset in the file of the first byte.
    pub(crate) offset: u64,
    /// The parsed rows.
    pub(crate) parsed: Parsed,
    /// What the worker computed from them.
    pub(crate) made: M,
}

impl<M> Piece<M> {
    /// The bytes of some of the rows, newlines included.
    pub(crate) fn bytes(&self, run: RowRun) -> &[u8] {
        self.parsed.run(&self.chunk, run)
    }

    fn parse(&mut self, parser: &mut RowParser, make: &impl Fn(&[u8], &Parsed, &mut M)) {
        parser.parse(&self.chunk, self.offset, &mut self.parsed);
        make(&self.chunk, &self.parsed, &mut self.made);
    }
}

/// Why a file was not read to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
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

/// Parses what `reader` has after its header on `threads` threads and passes each piece, in file
/// order, to `take` on this thread. `make` runs where the piece was parsed; its output buffer is
/// reused and must be cleared. Returns the labels; the file may have taught the negative one.
///
/// Afterwards `reader` knows the digest of the whole file.
pub(crate) fn run<R: Read + Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    parser: RowParser,
    threads: usize,
    make: impl Fn(&[u8], &Parsed, &mut M) + Sync,
    take: impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Result<Labels, Stopped> {
    let work = Worker {
        state: || (),
        make: |(): &mut (), parser: &mut RowParser, piece: &mut Piece<M>| {
            piece.parse(parser, &make);
        },
    };
    // The reader's and the caller's threads are often idle.
    let workers = if threads < 2 { 0 } else { threads };
    run_with(reader, parser, workers, &work, take).map(|(labels, _)| labels)
}

/// The work of a worker thread.
pub(crate) struct Worker<New, Make> {
    /// Creates the state of a worker.
    pub(crate) state: New,
    /// Computes something from a parsed piece; its output buffer is reused and must be cleared.
    pub(crate) make: Make,
}

/// Like [`run`], but the caller defines the work, which runs on `workers` threads besides the
/// reader's and the caller's; without workers everything runs on this thread. Also returns the
/// states of the workers. With states the negative label must be known: until it is, a piece may be
/// processed again, on this thread and with a state that is discarded.
pub(crate) fn run_with<R: Read + Send, S: Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    parser: RowParser,
    workers: usize,
    work: &Worker<impl Fn() -> S + Sync, impl Fn(&mut S, &mut RowParser, &mut Piece<M>) + Sync>,
    mut take: impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Result<(Labels, Vec<S>), Stopped> {
    let spread =
        if workers == 0 { None } else { on_workers(reader, &parser, workers, work, &mut take) };
    spread.unwrap_or_else(|| on_this_thread(reader, parser, work, &mut take))
}

fn on_this_thread<R: Read, S, M: Default>(
    reader: &mut ChunkReader<R>,
    mut parser: RowParser,
    work: &Worker<impl Fn() -> S, impl Fn(&mut S, &mut RowParser, &mut Piece<M>)>,
    take: &mut impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Result<(Labels, Vec<S>), Stopped> {
    let mut piece = Piece::default();
    let mut state = (work.state)();
    while fill(reader, &parser, &mut piece).map_err(Stopped::Reading)? {
        (work.make)(&mut state, &mut parser, &mut piece);
        take(&mut piece).map_err(Stopped::Taking)?;
    }
    Ok((parser.labels, vec![state]))
}

/// Returns `None`, and does nothing, if no threads can be had.
fn on_workers<R: Read + Send, S: Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    parser: &RowParser,
    workers: usize,
    work: &Worker<impl Fn() -> S + Sync, impl Fn(&mut S, &mut RowParser, &mut Piece<M>) + Sync>,
    take: &mut impl FnMut(&mut Piece<M>) -> Result<()>,
) -> Option<Result<(Labels, Vec<S>), Stopped>> {
    let mut parser = parser.clone();
    // Set by this thread only, in file order.
    let learned: OnceLock<String> = OnceLock::new();
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
            let (mut parser, learned) = (parser.clone(), &learned);
            let worker = thread::Builder::new().spawn_scoped(scope, move || {
                let mut state = (work.state)();
                let must_learn = parser.labels.negative.is_none();
                for mut piece in pieces {
                    if must_learn {
                        parser.labels.negative = learned.get().cloned();
                    }
                    (work.make)(&mut state, &mut parser, &mut piece);
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
        let shape_of = parser.clone();
        let reading = thread::Builder::new().spawn_scoped(scope, move || {
            let mut turns = inputs.iter().cycle();
            while let (Ok(mut piece), Some(worker)) = (recycled.recv(), turns.next()) {
                if !fill(reader, &shape_of, &mut piece)? || worker.send(piece).is_err() {
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
            if let Some(label) = &piece.parsed.learned {
                let known = parser.labels.negative.get_or_insert_with(|| label.clone());
                if known == label {
                    let _ = learned.set(label.clone());
                } else {
                    // It was parsed before the label was known and took another spelling for it.
                    (work.make)(&mut (work.state)(), &mut parser, &mut piece);
                }
            }
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
        Some(ended.map(|()| (parser.labels, states)))
    })
}

/// Reads the next records into `piece`; returns false after the last.
fn fill<R: Read, M>(
    reader: &mut ChunkReader<R>,
    parser: &RowParser,
    piece: &mut Piece<M>,
) -> Result<bool> {
    let offset = reader.next_chunk(&mut piece.chunk, parser.shape())?;
    piece.offset = offset.unwrap_or_default();
    Ok(offset.is_some())
}
