//! Something happens just before the n-th change of the disk: an error, or the end of the process.
//! Not for what must hold afterwards: see `recovery`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mlops_core::platform::disk::{Disk, DiskStep, Probe};

/// An event at one step; counts and remembers all of them.
pub struct Fault {
    at: usize,
    event: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    count: AtomicUsize,
    steps: Mutex<Vec<(DiskStep, PathBuf)>>,
}

impl Fault {
    /// `event` before step `at`, counted from 0; its error prevents the step.
    pub fn at(at: usize, event: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Arc<Self> {
        let (count, steps) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { at, event: Box::new(event), count, steps })
    }

    /// Nothing but counting.
    pub fn never() -> Arc<Self> {
        Self::at(usize::MAX, || Ok(()))
    }

    /// The error number `code` of the operating system at step `at`.
    pub fn error(at: usize, code: i32) -> Arc<Self> {
        Self::at(at, move || Err(io::Error::from_raw_os_error(code)))
    }

    /// The disk on which it happens.
    pub fn disk(self: &Arc<Self>) -> Disk {
        Disk::observed(self.clone())
    }

    /// The steps so far.
    pub fn steps(&self) -> Vec<(DiskStep, PathBuf)> {
        self.steps.lock().unwrap().clone()
    }
}

impl Probe for Fault {
    fn before(&self, step: DiskStep, path: &Path) -> io::Result<()> {
        self.steps.lock().unwrap().push((step, path.to_owned()));
        if self.count.fetch_add(1, Ordering::SeqCst) == self.at { (self.event)() } else { Ok(()) }
    }
}

/// A disk that refuses everything from one step on: what a killed process leaves.
pub struct Dead {
    from: usize,
    count: AtomicUsize,
}

impl Dead {
    /// The disk that ends before step `from`, counted from 0.
    pub fn from(from: usize) -> Disk {
        Disk::observed(Arc::new(Self { from, count: AtomicUsize::new(0) }))
    }
}

impl Probe for Dead {
    fn before(&self, _: DiskStep, _: &Path) -> io::Result<()> {
        let alive = self.count.fetch_add(1, Ordering::SeqCst) < self.from;
        if alive { Ok(()) } else { Err(io::Error::from_raw_os_error(5)) }
    }
}
