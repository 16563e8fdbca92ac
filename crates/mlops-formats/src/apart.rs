//! Decoders that run on a thread of their own: in parallel with the parser, and without ending the program
//! if a library panics on a hostile file.
//!
//! Not for any one format.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use mlops_core::csv::formats::Batch;
use mlops_core::{Error, Result};

use crate::decoder::Decoder;
use crate::lanes::gave_up;

/// Batches that wait to be taken.
const WAITING: usize = 2;

enum Message {
    Header(Vec<String>),
    Batch(Batch),
    End(Vec<String>),
    Failed(Error),
}

/// What the thread tells.
pub(crate) struct Sender(SyncSender<Message>);

impl Sender {
    /// The names of the columns; returns whether anybody still listens.
    pub(crate) fn header(&self, names: Vec<String>) -> bool {
        self.0.send(Message::Header(names)).is_ok()
    }

    /// The next rows; returns whether anybody still listens.
    pub(crate) fn batch(&self, batch: Batch) -> bool {
        self.0.send(Message::Batch(batch)).is_ok()
    }
}

/// A decoder on another thread.
struct Apart {
    place: String,
    messages: Receiver<Message>,
    extra: Vec<String>,
    ended: bool,
}

/// Runs `work` on a thread. It tells the header, then the batches, and returns the columns that these lack.
pub(crate) fn run(
    path: &Path,
    work: impl FnOnce(&Sender) -> Result<Vec<String>> + Send + 'static,
) -> Result<Box<dyn Decoder>> {
    let (sender, messages) = sync_channel(WAITING);
    let thread = thread::Builder::new().name("decoder".to_owned()).spawn(move || {
        let sender = Sender(sender);
        let last = match work(&sender) {
            Ok(extra) => Message::End(extra),
            Err(error) => Message::Failed(error),
        };
        // Nobody may listen any more.
        let _ = sender.0.send(last);
    });
    thread.map_err(|e| Error::io("start a thread to read", path, e))?;
    let place = path.display().to_string();
    Ok(Box::new(Apart { place, messages, extra: Vec::new(), ended: false }))
}

/// The same for a decoder, which `make` makes.
pub(crate) fn decoder<D: Decoder>(
    path: &Path,
    make: impl FnOnce() -> Result<D> + Send + 'static,
) -> Result<Box<dyn Decoder>> {
    run(path, move |sender| {
        let mut decoder = make()?;
        let Some(names) = decoder.header()? else { return Ok(Vec::new()) };
        let mut heard = sender.header(names);
        while heard {
            let mut batch = Batch::default();
            if !decoder.next(&mut batch)? {
                break;
            }
            heard = sender.batch(batch);
        }
        Ok(decoder.extra())
    })
}

/// What `work` returns, which a thread does of whose panic only an error is left.
pub(crate) fn once<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let thread = thread::Builder::new().name("decoder".to_owned()).spawn(work);
    let thread = thread.map_err(|e| Error::io("start a thread to read", path, e))?;
    thread.join().unwrap_or_else(|_| Err(gave_up(&path.display().to_string())))
}

impl Apart {
    fn take(&mut self) -> Result<Option<Message>> {
        if self.ended {
            return Ok(None);
        }
        match self.messages.recv() {
            Ok(Message::End(extra)) => {
                self.extra = extra;
                self.ended = true;
                Ok(None)
            }
            Ok(Message::Failed(error)) => Err(error),
            Ok(message) => Ok(Some(message)),
            // The thread panicked.
            Err(_) => Err(gave_up(&self.place)),
        }
    }
}

impl Decoder for Apart {
    fn header(&mut self) -> Result<Option<Vec<String>>> {
        Ok(match self.take()? {
            Some(Message::Header(names)) => Some(names),
            _ => None,
        })
    }

    fn next(&mut self, batch: &mut Batch) -> Result<bool> {
        match self.take()? {
            Some(Message::Batch(next)) => {
                *batch = next;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn extra(&self) -> Vec<String> {
        self.extra.clone()
    }
}
