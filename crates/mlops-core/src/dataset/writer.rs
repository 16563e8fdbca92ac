//! Writes the data set and its quarantine on a thread of its own.
//!
//! Hashing and writing are a third of the work of ingestion; here they run while the next rows are
//! parsed. The thread carries out orders one by one, so that the steps on the disk have the same
//! order in every run. It stops at its first error, which the next call returns. If the system
//! gives no thread, every order is carried out at once. Not for the order in which files become
//! visible: see the stage.

use std::fs::File;
use std::mem::replace;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::platform::disk::{Disk, NewFile};
use crate::{Error, Result};

use super::rows::{Content, Mark, Original, RowFile};
use crate::csv::quarantine;

/// Bytes of rows per order.
const BLOCK_BYTES: usize = 1 << 19;
/// The number of queued orders; with their blocks, it bounds the memory.
const WAITING: usize = 3;

enum Order {
    Rows(Vec<u8>),
    Rejected(Vec<u8>),
    Mark,
    CutBack,
    /// Copies the rows of a data set, which must have the recorded digest.
    Copy(Content, Box<Original>),
    /// Appends to a temporary file.
    Temporary(usize, Vec<u8>),
    /// Opens a temporary file, or the data set, for reading from its start.
    Reopen(Option<usize>, SyncSender<File>),
}

/// The caller's side: collects rows and gives orders.
#[derive(Debug)]
pub(crate) struct DatasetWriter {
    block: Vec<u8>,
    /// Written blocks, to be filled again.
    used: Receiver<Vec<u8>>,
    far: Far,
}

/// Where orders are carried out.
#[derive(Debug)]
enum Far {
    Thread(SyncSender<Order>, JoinHandle<Result<Files>>),
    Here(Box<Files>),
    /// Nowhere: it stopped with an error.
    Over,
}

/// The files, owned by the thread that carries out orders.
#[derive(Debug)]
pub(crate) struct Files {
    /// The data set.
    pub(crate) data: RowFile,
    /// The rejected rows, if there are any.
    pub(crate) quarantine: Option<RowFile>,
    disk: Disk,
    data_path: PathBuf,
    quarantine_path: PathBuf,
    mark: Option<(Mark, Option<Mark>)>,
    temporary: Vec<Option<NewFile>>,
}

impl DatasetWriter {
    /// Starts the files that will be published in the folders of `data` and `quarantine`.
    pub(crate) fn start(
        disk: &Disk,
        data: &Path,
        header: &[u8],
        quarantine: &Path,
    ) -> Result<Self> {
        let files = Files {
            data: RowFile::create(disk, data, header)?,
            quarantine: None,
            disk: disk.clone(),
            data_path: data.to_owned(),
            quarantine_path: quarantine.to_owned(),
            mark: None,
            temporary: Vec::new(),
        };
        let (orders, waiting) = sync_channel(WAITING);
        let (give_back, used) = channel();
        // The files are sent only once a thread exists.
        let (hand_over, handed_over) = channel::<Files>();
        let work = move || {
            let Ok(mut files) = handed_over.recv() else { return Err(ended()) };
            for order in waiting {
                if let Some(mut block) = files.carry_out(order)? {
                    block.clear();
                    // At the end the receiver is gone.
                    let _ = give_back.send(block);
                }
            }
            Ok(files)
        };
        let name = "mlops-writer".to_owned();
        let far = match thread::Builder::new().name(name).spawn(work) {
            Ok(thread) => {
                // The thread is waiting for them.
                let _ = hand_over.send(files);
                Far::Thread(orders, thread)
            }
            Err(_) => Far::Here(Box::new(files)),
        };
        Ok(Self { block: Vec::with_capacity(BLOCK_BYTES), used, far })
    }

    /// Appends rows of the data set.
    pub(crate) fn rows(&mut self, mut bytes: &[u8]) -> Result<()> {
        while self.block.len() + bytes.len() > BLOCK_BYTES {
            let (now, later) = bytes.split_at(BLOCK_BYTES.saturating_sub(self.block.len()));
            self.block.extend_from_slice(now);
            self.hand_over()?;
            bytes = later;
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    /// Copies the rows of the data set `original`, whose text is `source`. If that does not have its
    /// digest, one of the next calls fails.
    pub(crate) fn copy(&mut self, source: Content, original: Original) -> Result<()> {
        self.hand_over()?;
        self.order(Order::Copy(source, Box::new(original)))
    }

    /// Appends a line of the quarantine file.
    pub(crate) fn rejected(&mut self, line: Vec<u8>) -> Result<()> {
        self.order(Order::Rejected(line))
    }

    /// StructuralIndex the current state, replacing an earlier mark.
    pub(crate) fn mark(&mut self) -> Result<()> {
        self.hand_over()?;
        self.order(Order::Mark)
    }

    /// Returns to the marked state.
    pub(crate) fn cut_back(&mut self) -> Result<()> {
        self.block.clear();
        self.order(Order::CutBack)
    }

    /// Appends to temporary file `file`, which is never published.
    pub(crate) fn temporary(&mut self, file: usize, bytes: Vec<u8>) -> Result<()> {
        if bytes.is_empty() { Ok(()) } else { self.order(Order::Temporary(file, bytes)) }
    }

    /// Opens temporary file `file` for reading, from its start.
    pub(crate) fn reopen(&mut self, file: usize) -> Result<File> {
        self.open_again(Some(file))
    }

    /// Opens what has been written of the data set for reading, from its start.
    pub(crate) fn reopen_data(&mut self) -> Result<File> {
        self.hand_over()?;
        self.open_again(None)
    }

    fn open_again(&mut self, file: Option<usize>) -> Result<File> {
        let (answer, question) = sync_channel(1);
        self.order(Order::Reopen(file, answer))?;
        match question.recv() {
            Ok(file) => Ok(file),
            // No answer: the thread stopped with an error.
            Err(_) => Err(self.join().map_or_else(|e| e, |_| ended())),
        }
    }

    /// Waits until everything is written; returns the files, to be published.
    pub(crate) fn finish(mut self) -> Result<Files> {
        self.hand_over()?;
        self.join()
    }

    fn hand_over(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let next = self.used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES));
        let block = replace(&mut self.block, next);
        self.order(Order::Rows(block))
    }

    fn order(&mut self, order: Order) -> Result<()> {
        let taken = match &mut self.far {
            Far::Thread(orders, _) => orders.send(order).is_ok(),
            Far::Here(files) => {
                let done = files.carry_out(order);
                if done.is_err() {
                    self.far = Far::Over;
                }
                return done.map(drop);
            }
            Far::Over => false,
        };
        // The thread stopped early, with an error.
        if taken { Ok(()) } else { self.join().map(drop) }
    }

    fn join(&mut self) -> Result<Files> {
        match replace(&mut self.far, Far::Over) {
            Far::Thread(orders, thread) => {
                drop(orders);
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            }
            Far::Here(files) => Ok(*files),
            Far::Over => Err(ended()),
        }
    }
}

fn ended() -> Error {
    Error::data("writing had failed before; the first error says why")
}

impl Drop for DatasetWriter {
    /// When this returns, unfinished files are removed.
    fn drop(&mut self) {
        if let Far::Thread(orders, thread) = replace(&mut self.far, Far::Over) {
            drop(orders);
            // An error that nobody waits for.
            let _ = thread.join();
        }
    }
}

impl Files {
    /// Carries out one order; returns its block, if it had one.
    fn carry_out(&mut self, order: Order) -> Result<Option<Vec<u8>>> {
        match order {
            Order::Rows(block) => {
                self.data.append(&block)?;
                return Ok(Some(block));
            }
            Order::Rejected(line) => {
                if self.quarantine.is_none() {
                    let (path, header) = (&self.quarantine_path, quarantine::HEADER);
                    self.quarantine = Some(RowFile::create(&self.disk, path, header)?);
                }
                if let Some(quarantine) = &mut self.quarantine {
                    quarantine.append(&line)?;
                }
            }
            Order::Copy(source, original) => self.data.copy(source, &original)?,
            Order::Mark => {
                let rejected = self.quarantine.as_mut().map(RowFile::mark).transpose()?;
                self.mark = Some((self.data.mark()?, rejected));
            }
            Order::CutBack => {
                if let Some((data, rejected)) = self.mark.clone() {
                    self.data.cut_back(data)?;
                    match (&mut self.quarantine, rejected) {
                        (Some(quarantine), Some(mark)) => quarantine.cut_back(mark)?,
                        (quarantine, _) => *quarantine = None,
                    }
                }
            }
            Order::Temporary(file, bytes) => self.temporary(file)?.write_all(&bytes)?,
            Order::Reopen(file, answer) => {
                let opened = match file {
                    Some(file) => self.temporary(file)?.reopen()?,
                    None => self.data.reopen()?,
                };
                // The receiver may be gone.
                let _ = answer.send(opened);
            }
        }
        Ok(None)
    }

    fn temporary(&mut self, file: usize) -> Result<&mut NewFile> {
        if self.temporary.len() <= file {
            self.temporary.resize_with(file + 1, || None);
        }
        match &mut self.temporary[file] {
            Some(file) => Ok(file),
            none => Ok(none.insert(self.disk.new_file(&self.data_path)?)),
        }
    }
}
