//! Parts of a file that are decoded on several threads, and whose rows are taken in the order of the file.
//!
//! A part is something that can be read by itself: some whole lines, a row group. Part n goes to thread n mod N
//! and its rows come back from it, so that the result is the same for any number of threads. The number of
//! batches that wait is bounded. A library that panics on a hostile file ends only its own thread. Not
//! for any one format, nor for files without such parts: see [`crate::apart`].

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use mlops_core::csv::formats::Batch;
use mlops_core::{Error, Result};

/// Batches of a thread that wait to be taken.
const WAITING: usize = 2;

/// Names of columns that nobody wants, which are kept for the report.
pub(crate) const MOST_EXTRA: usize = 1000;

/// Decodes parts of a file one after the other, on a thread of its own.
pub(crate) trait Parts: Send + 'static {
    /// A part, or where it is.
    type Part: Send + 'static;

    /// Decodes a part and tells its rows, until nobody listens any more: then `tell` returns false.
    fn decode(&mut self, part: Self::Part, tell: &mut dyn FnMut(Batch) -> bool) -> Result<()>;

    /// Columns of the parts decoded so far that the batches lack, without those that were told before.
    fn more_extra(&mut self) -> Vec<String> {
        Vec::new()
    }
}

enum Message {
    Batch(Batch),
    /// The part has no more rows; columns that they lack.
    End(Vec<String>),
    Failed(Error),
}

/// A thread.
struct Lane<P> {
    parts: Sender<P>,
    messages: Receiver<Message>,
}

/// The threads.
pub(crate) struct Lanes<P> {
    place: String,
    threads: Vec<Lane<P>>,
    given: usize,
    taken: usize,
    extra: BTreeSet<String>,
}

impl<P: Send + 'static> Lanes<P> {
    /// Starts `most` threads, or as many of them as the system gives, for parts of the file at `path`.
    pub(crate) fn start<D: Parts<Part = P>>(
        path: &Path,
        most: usize,
        make: impl Fn() -> D,
    ) -> Result<Self> {
        let mut threads = Vec::new();
        for _ in 0..most.max(1) {
            let (parts, given) = channel();
            let (sender, messages) = sync_channel(WAITING);
            let decoder = make();
            let thread = thread::Builder::new().name("decoder".to_owned());
            match thread.spawn(move || serve(decoder, given, &sender)) {
                Ok(_) => threads.push(Lane { parts, messages }),
                Err(error) if threads.is_empty() => {
                    return Err(Error::io("start a thread to read", path, error));
                }
                Err(_) => break,
            }
        }
        let place = path.display().to_string();
        Ok(Self { place, threads, given: 0, taken: 0, extra: BTreeSet::new() })
    }

    /// Adds the next part of the file.
    pub(crate) fn give(&mut self, part: P) {
        let lane = self.given % self.threads.len();
        // Whether the thread still lives is seen when its rows are taken.
        let _ = self.threads[lane].parts.send(part);
        self.given += 1;
    }

    /// The number of parts that it is worth to have given before rows are taken.
    pub(crate) fn is_hungry(&self) -> bool {
        self.given - self.taken <= self.threads.len()
    }

    /// The next rows of the parts that were given; returns false after the last.
    pub(crate) fn take(&mut self, batch: &mut Batch) -> Result<bool> {
        while self.taken < self.given {
            let lane = self.taken % self.threads.len();
            match self.threads[lane].messages.recv() {
                Ok(Message::Batch(next)) => {
                    *batch = next;
                    return Ok(true);
                }
                Ok(Message::End(extra)) => {
                    for name in extra {
                        if self.extra.len() < MOST_EXTRA {
                            self.extra.insert(name);
                        }
                    }
                    self.taken += 1;
                }
                Ok(Message::Failed(error)) => return Err(error),
                // The thread panicked.
                Err(_) => return Err(gave_up(&self.place)),
            }
        }
        Ok(false)
    }

    /// Columns that the batches lack.
    pub(crate) fn extra(&self) -> Vec<String> {
        self.extra.iter().cloned().collect()
    }
}

/// The error for a file on which a decoder panicked.
pub(crate) fn gave_up(place: &str) -> Error {
    let message = "it is damaged in a way that its decoder does not expect: write it again";
    Error::schema(place, message)
}

fn serve<D: Parts>(mut decoder: D, parts: Receiver<D::Part>, sender: &SyncSender<Message>) {
    for part in parts {
        let read = decoder.decode(part, &mut |batch| sender.send(Message::Batch(batch)).is_ok());
        let end = match read {
            Ok(()) => Message::End(decoder.more_extra()),
            Err(error) => Message::Failed(error),
        };
        if sender.send(end).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells each part's number as often as the number says.
    struct Counting(Vec<String>);

    impl Parts for Counting {
        type Part = usize;

        fn decode(&mut self, part: usize, tell: &mut dyn FnMut(Batch) -> bool) -> Result<()> {
            assert_ne!(part, 13, "a bad part");
            for _ in 0..part % 5 {
                if !tell(Batch { text: part.to_string().into_bytes(), ..Batch::default() }) {
                    break;
                }
            }
            self.0.push(format!("column {}", part % 7));
            if part == 11 { Err(Error::data("eleven")) } else { Ok(()) }
        }

        fn more_extra(&mut self) -> Vec<String> {
            std::mem::take(&mut self.0)
        }
    }

    fn all(threads: usize, parts: impl Iterator<Item = usize>) -> Result<(Vec<Vec<u8>>, usize)> {
        let mut lanes = Lanes::start(Path::new("x"), threads, || Counting(Vec::new()))?;
        let (mut texts, mut batch) = (Vec::new(), Batch::default());
        let mut parts = parts.peekable();
        loop {
            while lanes.is_hungry()
                && let Some(part) = parts.next()
            {
                lanes.give(part);
            }
            if lanes.take(&mut batch)? {
                texts.push(std::mem::take(&mut batch.text));
            } else if parts.peek().is_none() {
                return Ok((texts, lanes.extra().len()));
            }
        }
    }

    #[test]
    fn rows_come_in_the_order_of_the_parts_from_any_number_of_threads() {
        let expected: Vec<Vec<u8>> = [1_usize, 2, 3, 4, 6, 7, 8, 9]
            .iter()
            .flat_map(|n| vec![n.to_string().into_bytes(); n % 5])
            .collect();
        for threads in [1, 2, 3, 8] {
            let (texts, extra) = all(threads, 0..10).unwrap();
            assert_eq!(texts, expected);
            assert_eq!(extra, 7);
        }
    }

    #[test]
    fn an_error_and_a_panic_reach_whoever_takes_the_rows() {
        for threads in [1, 3] {
            assert_eq!(all(threads, 9..13).unwrap_err().to_string(), "eleven");
            assert!(all(threads, 12..20).unwrap_err().to_string().contains("does not expect"));
        }
        // Nobody takes the rows: the threads end.
        let mut lanes = Lanes::start(Path::new("x"), 2, || Counting(Vec::new())).unwrap();
        (0..50).map(|n| n * 5 + 4).for_each(|part| lanes.give(part));
    }
}
