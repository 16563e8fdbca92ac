//! What follows from labels and decisions once they are acknowledged: labels are joined, and diagnostics and
//! reports renewed, on a thread of its own, one after the other.
//!
//! If that fails or the service ends before, nothing is lost: the next `fullprocess` does the same. The work
//! itself is in `mlops_core::stage::outcomes` and in the implementation of [`Renew`] that is passed in.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use mlops_core::ids::Step;
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::outcomes;
use mlops_core::{ErrorKind, Result};

use crate::writing;

/// Renews diagnostics and reports.
pub type Renew = Arc<dyn Fn(&Context, &mut Workspace) -> Result<()> + Send + Sync>;

/// How long more of the same is waited for, and for a run that holds the workspace.
const PAUSE: Duration = Duration::from_secs(2);

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Labels,
    Release,
}

/// The thread, as others see it. It ends with this.
#[derive(Debug)]
pub(crate) struct Renewal(Sender<News>);

impl Renewal {
    /// Starts the thread; without one, the next run does the work.
    pub(crate) fn start(context: &Context, renew: Renew) -> Option<Self> {
        let (tell, told) = channel();
        let context = context.clone();
        let work = move || follow(&context, &told, &renew);
        match std::thread::Builder::new().name("renew".to_owned()).spawn(work) {
            Ok(_) => Some(Self(tell)),
            Err(error) => {
                tracing::error!("labels and reports will not be renewed by the service: {error}");
                None
            }
        }
    }

    /// Labels were kept.
    pub(crate) fn labels_came(&self) {
        // Only if the thread panicked; the next run does the work.
        let _ = self.0.send(News::Labels);
    }

    /// Another release is live.
    pub(crate) fn release_changed(&self) {
        let _ = self.0.send(News::Release);
    }
}

fn follow(context: &Context, told: &Receiver<News>, renew: &Renew) {
    while let Ok(first) = told.recv() {
        let (mut labels, mut release) = (first == News::Labels, first == News::Release);
        loop {
            // What comes meanwhile is done together.
            match told.recv_timeout(PAUSE) {
                Ok(next) => {
                    for news in std::iter::once(next).chain(told.try_iter()) {
                        labels |= news == News::Labels;
                        release |= news == News::Release;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            match work(context, labels, release, renew) {
                Err(error) if matches!(error.kind(), ErrorKind::Locked(_)) => {}
                Err(error) => {
                    tracing::warn!(
                        "labels or reports are not renewed; the next run does it: {error}"
                    );
                    break;
                }
                Ok(()) => break,
            }
        }
    }
}

fn work(context: &Context, labels: bool, release: bool, renew: &Renew) -> Result<()> {
    let context = &writing::run(context);
    let mut workspace = context.open(Step::Outcomes)?;
    if labels {
        let reach = outcomes::Reach::Here;
        let joined = context.step(&mut workspace, Step::Outcomes, |workspace| {
            outcomes::run(context, workspace, reach)
        })?;
        for failure in &joined.failures {
            tracing::warn!("labels: {failure}");
        }
        // A release that went live meanwhile has other reports, whatever the labels say.
        if joined.new_labels == 0 && !release {
            return Ok(());
        }
    }
    renew(context, &mut workspace)
}
