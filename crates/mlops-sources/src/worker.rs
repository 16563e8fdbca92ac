//! The threads on which all asynchronous work runs. Not for work of its own.

use std::future::Future;
use std::sync::OnceLock;

use mlops_core::platform::threads;
use mlops_core::{Error, Result};
use tokio::runtime::{Builder, Runtime};

/// Runs `work` to its end on the calling thread, while the connections live on threads of their own.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> Result<T> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let make = || Builder::new_multi_thread().worker_threads(2).enable_all().build().ok();
    let runtime = RUNTIME.get_or_init(make).as_ref();
    Ok(runtime.ok_or_else(|| Error::data(threads::NONE))?.block_on(work))
}
