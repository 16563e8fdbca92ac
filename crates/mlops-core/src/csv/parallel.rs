//! Parses the rows of one file on several threads, which may have to learn the negative label.
//!
//! The first piece in file order that has one decides its spelling; a piece that was parsed earlier
//! and took another spelling is parsed again. The result is therefore the same for any number of
//! threads. Not for threads: see [`super::pipeline`]; not for what a record is:
//! see [`super::parse`].

use std::io::Read;
use std::sync::OnceLock;

use crate::Result;

use super::chunk::ChunkReader;
use super::clean::Labels;
use super::parse::{Parsed, RowParser};
use super::pipeline::{self, Piece, Stopped, Worker};
use super::row_hash::Extent;

/// What a worker made of the records of a piece.
#[derive(Debug, Default)]
pub(crate) struct Made<M> {
    /// Their rows.
    pub(crate) parsed: Parsed,
    /// What else.
    pub(crate) besides: M,
}

impl<M> Piece<Made<M>> {
    /// The bytes of some of its rows, newlines included.
    pub(crate) fn bytes(&self, rows: Extent) -> &[u8] {
        self.made.parsed.bytes(&self.chunk, rows)
    }
}

/// Parses what `reader` has after its header on `threads` threads and passes each piece, in file
/// order, to `take` on this thread. Returns the labels, of which the file may have taught the
/// negative one.
pub(crate) fn run<R: Read + Send>(
    reader: &mut ChunkReader<R>,
    parser: RowParser,
    threads: usize,
    take: impl FnMut(&mut Piece<Made<()>>) -> Result<()>,
) -> Result<Labels, Stopped> {
    let work = Worker {
        state: || (),
        make: |(): &mut (), parser: &mut RowParser, piece: &mut Piece<Made<()>>| {
            let Piece { chunk, offset, source, refused, made: Made { parsed, .. }, .. } = piece;
            parser.parse(chunk, offset.unwrap_or(0), parsed);
            parser.amend(parsed, source, refused);
        },
    };
    // The reader's and the caller's threads are often idle.
    let workers = if threads < 2 { 0 } else { threads };
    run_with(reader, parser, workers, &work, take).map(|(labels, _)| labels)
}

/// Like [`run`], with the work on a piece in the caller's hands, on `workers` threads as
/// [`pipeline::run`] has them. Returns the states of the workers too. With states, the negative
/// label must be known: until it is, a piece may have to be worked on again, on this thread and with
/// a state that is thrown away.
pub(crate) fn run_with<R: Read + Send, S: Send, M: Default + Send>(
    reader: &mut ChunkReader<R>,
    mut parser: RowParser,
    workers: usize,
    work: &Worker<
        impl Fn() -> S + Sync,
        impl Fn(&mut S, &mut RowParser, &mut Piece<Made<M>>) + Sync,
    >,
    mut take: impl FnMut(&mut Piece<Made<M>>) -> Result<()>,
) -> Result<(Labels, Vec<S>), Stopped> {
    let must_learn = parser.labels.negative.is_none();
    // Set by this thread only, in file order.
    let learned: OnceLock<String> = OnceLock::new();
    let (first, shape) = (parser.clone(), parser.shape());
    let parsing = Worker {
        state: || ((work.state)(), first.clone()),
        make: |(state, parser): &mut (S, RowParser), piece: &mut Piece<Made<M>>| {
            if must_learn {
                parser.labels.negative = learned.get().cloned();
            }
            (work.make)(state, parser, piece);
        },
    };
    let states = pipeline::run(reader, shape, workers, &parsing, |piece| {
        if let Some(label) = &piece.made.parsed.learned {
            let known = parser.labels.negative.get_or_insert_with(|| label.clone());
            if known == label {
                let _ = learned.set(label.clone());
            } else {
                // Parsed before the label was known, it took another spelling for it.
                (work.make)(&mut (work.state)(), &mut parser, piece);
            }
        }
        take(piece)
    })?;
    Ok((parser.labels, states.into_iter().map(|(state, _)| state).collect()))
}
