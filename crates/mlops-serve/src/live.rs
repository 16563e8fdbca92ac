//! The release being served: loaded and verified before it is swapped in as a whole.
//!
//! A request takes the release once and keeps it to its end. If a new release fails verification,
//! the previous one stays in service. Not for what is live on disk: see `mlops_core::release`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use axum::http::HeaderValue;
use mlops_core::ids::ReleaseId;
use mlops_core::model::{Model, Scorecard};
use mlops_core::platform::digest::Digest;
use mlops_core::prediction_log::LineWriter;
use mlops_core::prediction_log::line::labels_as_json;
use mlops_core::release::{ARTIFACT, Release, SCORE, parse};
use mlops_core::run::context::Context;
use mlops_core::stage::score::Score;

use crate::columns::Columns;
use crate::metrics::{ClassCounts, Metrics};
use crate::predict::names::Explained;
use crate::predict::reading::Readings;

/// How often the pointer is checked.
pub(crate) const POLL: Duration = Duration::from_millis(250);
/// The pause before a release that failed verification is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// The time limit for checking the pointer and loading its release.
pub(crate) const STALLED: Duration = Duration::from_secs(5);

/// A verified release, ready to answer.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) id: ReleaseId,
    pub(crate) sha256: Digest,
    pub(crate) model: Model,
    /// The points of rows, if the model has a scorecard.
    pub(crate) scorecard: Option<Scorecard>,
    pub(crate) columns: Columns,
    /// How rows are read.
    pub(crate) readings: Readings,
    /// The labels as JSON, the positive one first: numbers if both are integers.
    pub(crate) labels: [String; 2],
    /// Writes its lines of the log of predictions.
    pub(crate) log: LineWriter,
    /// The labels are numbers.
    pub(crate) numeric_labels: bool,
    /// The release id as a header value.
    pub(crate) version: HeaderValue,
    /// What explanations of its predictions are written with.
    pub(crate) explained: Explained,
    /// The recorded score.
    pub(crate) score: Option<Score>,
    pub(crate) counts: Arc<ClassCounts>,
}

impl Loaded {
    fn new(release: Release, context: &Context, metrics: &Metrics) -> Self {
        let Release { id, folder, manifest, model, .. } = release;
        let (labels, numeric_labels) =
            labels_as_json([true, false].map(|positive| model.label(positive)));
        Self {
            columns: Columns::of(&model),
            scorecard: Scorecard::of(&model),
            explained: Explained::of(&model),
            readings: Readings::of(&model, &context.config.ingestion),
            log: LineWriter::new(&id, &model.schema, labels.clone()),
            labels,
            numeric_labels,
            version: HeaderValue::from_str(id.as_str())
                .unwrap_or(HeaderValue::from_static("unknown")),
            score: parse(&folder.join(SCORE)).ok(),
            counts: metrics.classes(id.as_str()),
            sha256: manifest.files.get(ARTIFACT).copied().unwrap_or(Digest::of(b"")),
            id,
            model,
        }
    }
}

/// Why the live release on disk is not the one being served.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// The release that the pointer names, if it names one.
    pub(crate) release: Option<ReleaseId>,
    /// The reason as clients are told it: it contains no paths.
    pub(crate) public: &'static str,
    at: Duration,
}

/// The release being served.
#[derive(Debug, Default)]
pub(crate) struct Live {
    current: ArcSwapOption<Loaded>,
    trouble: ArcSwapOption<Trouble>,
    /// When the last check of the pointer ended, in milliseconds of the clock.
    looked: AtomicU64,
    /// A release in trouble is to be tried now.
    retry: AtomicBool,
}

impl Live {
    /// The release to answer with.
    pub(crate) fn get(&self) -> Option<Arc<Loaded>> {
        self.current.load_full()
    }

    /// What prevents serving the live release on disk, if anything does.
    pub(crate) fn trouble(&self) -> Guard<Option<Arc<Trouble>>> {
        self.trouble.load()
    }

    /// Whether the last check of the pointer is so long ago that the checking thread must hang.
    pub(crate) fn stalled(&self, context: &Context) -> bool {
        let now = context.clock.elapsed();
        let looked = Duration::from_millis(self.looked.load(Ordering::Relaxed));
        now.saturating_sub(looked) > STALLED + POLL
    }

    /// Immediately tries again what was in trouble.
    pub(crate) fn forget_trouble(&self) {
        self.retry.store(true, Ordering::Relaxed);
    }

    /// Checks the pointer, and loads its release if that is not being served yet. Blocks, for ever
    /// if a disk does.
    pub(crate) fn refresh(&self, context: &Context, metrics: &Metrics) {
        self.look(context, metrics);
        let now = u64::try_from(context.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.looked.store(now, Ordering::Relaxed);
    }

    fn look(&self, context: &Context, metrics: &Metrics) {
        let now = context.clock.elapsed();
        let served = self.current.load();
        let named = match context.store().live() {
            Ok(Some(id)) => id,
            Ok(None) => {
                return self.complain(None, "no release is live", None, now, metrics);
            }
            Err(error) => {
                let public = "the pointer to the live release cannot be followed";
                return self.complain(None, public, Some(&error), now, metrics);
            }
        };
        if served.as_ref().is_some_and(|s| s.id == named) {
            if self.trouble.swap(None).is_some() {
                tracing::info!(release = %named, "the served release is the live one again");
            }
            return;
        }
        let known = self.trouble.load();
        let told = self.retry.swap(false, Ordering::Relaxed);
        let again = !told && known.as_ref().is_some_and(|t| t.release.as_ref() == Some(&named));
        if again && known.as_ref().is_some_and(|t| now.saturating_sub(t.at) < RETRY) {
            return;
        }
        let read = context.store().verify(&named);
        let sound = read.is_ok();
        match read.and_then(|release| context.refuse_untrusted(&release).map(|()| release)) {
            Ok(release) => {
                let loaded = Loaded::new(release, context, metrics);
                metrics.loaded(loaded.id.as_str(), &loaded.sha256.to_string());
                self.current.store(Some(Arc::new(loaded)));
                self.trouble.store(None);
                tracing::info!(release = %named, "serving");
            }
            // Retention or the next promotion may have come between the check and the load.
            Err(_) if context.store().live().is_ok_and(|now| now.as_ref() != Some(&named)) => {}
            Err(error) => {
                let public = if sound {
                    "the live release is not signed by a trusted key"
                } else {
                    "the live release did not pass verification"
                };
                self.complain(Some(named), public, Some(&error), now, metrics);
            }
        }
    }

    fn complain(
        &self,
        release: Option<ReleaseId>,
        public: &'static str,
        error: Option<&mlops_core::Error>,
        at: Duration,
        metrics: &Metrics,
    ) {
        let known = self.trouble.load();
        let same = known.as_ref().is_some_and(|t| t.release == release && t.public == public);
        if same && release.is_none() {
            return;
        }
        metrics.load_failed();
        let serving = self.current.load();
        let serving = serving.as_ref().map_or("nothing", |s| s.id.as_str());
        let cause = error.map(|e| match std::error::Error::source(e) {
            Some(source) => format!(": {e}: {source}"),
            None => format!(": {e}"),
        });
        let cause = cause.unwrap_or_default();
        if !same {
            tracing::error!(serving, "{public}{cause}");
        }
        self.trouble.store(Some(Arc::new(Trouble { release, public, at })));
    }
}
