//! The plain data of a report, to be filled in by the caller.
//!
//! Owned data with public fields and no behaviour beyond small sums. Only findings are serialised;
//! the records of a run live in `mlops-core`.

use mlops_core::config::Scale;
use mlops_core::drift::{DataDrift, ModelDrift};
use mlops_core::evaluation::cutoff::Cutoff;
use mlops_core::evaluation::gate::GateVerdict;
use mlops_core::evaluation::metrics::probability::CalibrationTest;
use mlops_core::evaluation::metrics::{
    CalibrationBin, ConfusionMatrix, Evaluation, GainPoint, Interval, Metric, PrPoint, RocPoint,
    ScoreHistogram,
};
use mlops_core::evaluation::slices::SliceScore;
use mlops_core::ids::FindingKind;
use mlops_core::model::fit::PenaltyGrid;
use mlops_core::model::scorecard::AttributeColumn;
use mlops_core::run::attention;
use mlops_core::stage::performance::Performance;
use serde::Serialize;

/// The content of the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// When the page was made, as RFC 3339.
    pub generated: String,
    /// Version of the tool that made it.
    pub tool_version: String,
    /// The release id of the model, if it was released.
    pub release: Option<String>,
    /// How it went live, if it is live.
    pub standing: Option<Standing>,
    /// What the newest decision on the model, or the one that made it live, saw.
    pub judged: Option<Judged>,
    /// Scores of releases and of decisions, the newest first.
    pub history: Vec<Past>,
    /// The scores of the newest decisions and of the releases since, for the picture of them.
    pub performance: Performance,
    /// Digest of the data that the model was fitted on.
    pub data_version: String,
    /// More digests for the footer, each with its name.
    pub digests: Vec<(String, String)>,
    /// The name of the predicted column.
    pub target: String,
    /// The label of the positive class in the data: `1`, `left`.
    pub positive_label: String,
    /// The label of the negative class.
    pub negative_label: String,
    /// The noun for rows, in the plural: `clients`. `rows` by default.
    pub unit: String,
    /// A verb phrase for positives, to follow "that": `left`. Without it the label is quoted.
    pub positive_phrase: Option<String>,
    /// The files that were read.
    pub ingested: Vec<IngestedFile>,
    /// The model.
    pub model: Model,
    /// The model's score.
    pub score: Score,
    /// The score of parts of the rows.
    pub slices: Vec<SliceScore>,
    /// The data of the curves.
    pub curves: Curves,
    /// The test of calibration; `None` if there are too few rows.
    pub calibration: Option<CalibrationTest>,
    /// The statistics of the columns.
    pub columns: Vec<ColumnRow>,
    /// Findings, in any order.
    pub warnings: Vec<Finding>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            title: "Model report".to_owned(),
            generated: String::new(),
            tool_version: String::new(),
            release: None,
            standing: None,
            judged: None,
            history: Vec::new(),
            performance: Performance::empty(Metric::F1),
            data_version: String::new(),
            digests: Vec::new(),
            target: String::new(),
            positive_label: "1".to_owned(),
            negative_label: "0".to_owned(),
            unit: "rows".to_owned(),
            positive_phrase: None,
            ingested: Vec::new(),
            model: Model::default(),
            score: Score::default(),
            slices: Vec::new(),
            curves: Curves::default(),
            calibration: None,
            columns: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// How a release went live.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// When, RFC 3339.
    pub since: String,
    /// It was made live again by rolling another release back.
    pub rolled_back_to: bool,
    /// Why, in words.
    pub reason: String,
    /// The release that was live before it.
    pub previous: Option<Previous>,
    /// The two on the same rows, if they were compared.
    pub gate: Option<GateVerdict>,
    /// The data set that it was trained on, with the number of its rows.
    pub data: (String, Option<u64>),
}

/// The release that was live before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Previous {
    /// Its id.
    pub release: String,
    /// Its F1 on the test rows of its time.
    pub f1: Option<f64>,
    /// The data set that it was trained on, with the number of its rows, if known.
    pub data: Option<(String, Option<u64>)>,
}

/// A score at an earlier time.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// When it was recorded, RFC 3339.
    pub at: String,
    /// What happened: `went live`, `no drift`…
    pub what: String,
    /// The release that was scored.
    pub release: String,
    /// It was scored on rows that came after its training, not on the test rows of its time.
    pub on_new_rows: bool,
    /// Its F1.
    pub f1: f64,
    /// The interval of it, if known.
    pub interval: Option<Interval>,
    /// The number of rows, if known.
    pub rows: Option<u64>,
}

/// What a decision of `fullprocess` saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The run.
    pub run: String,
    /// When, RFC 3339.
    pub recorded: String,
    /// It is the decision that made the model live.
    pub made_it: bool,
    /// The reason of the outcome, in words.
    pub reason: String,
    /// The verdict on the model that was live.
    pub drift: Option<ModelDrift>,
    /// The new rows against the training rows.
    pub data: Option<DataDrift>,
}

/// A file and the number of its rows by outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestedFile {
    /// The file name without its folder.
    pub name: String,
    /// Number of rows read.
    pub rows_read: u64,
    /// Number of rows kept.
    pub rows_kept: u64,
    /// Number of rows dropped as duplicates.
    pub duplicates: u64,
    /// Number of rows rejected.
    pub quarantined: u64,
    /// Reasons for rejection.
    pub reasons: Vec<Reason>,
    /// One word: `new`, `unchanged`, `rejected`.
    pub status: String,
    /// An additional note.
    pub note: Option<String>,
}

/// A reason for rejection with the number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reason {
    /// The reason in words.
    pub reason: String,
    /// Number of rows.
    pub count: u64,
}

/// The fitted model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// The kind of model: `logistic regression`.
    pub kind: String,
    /// Coefficients, in any order.
    pub features: Vec<Coefficient>,
    /// The intercept.
    pub intercept: f64,
    /// Features were standardised to mean 0 and deviation 1 before the fit.
    pub standardised: bool,
    /// The solver.
    pub solver: String,
    /// The number of iterations, if known.
    pub iterations: Option<u64>,
    /// Largest absolute component of the gradient at the end, if known.
    pub gradient_norm: Option<f64>,
    /// Number of training rows.
    pub rows: u64,
    /// How many of them are positive, if known.
    pub positives: Option<u64>,
    /// Inverse strength of the penalty.
    pub c: Option<f64>,
    /// How missing values are treated.
    pub missing_policy: String,
    /// The columns with bins and, with a scorecard, all others.
    pub attributes: Vec<AttributeColumn>,
    /// How points are made of log-odds; `None` without a scorecard.
    pub scorecard: Option<PointsScale>,
    /// What was added to the intercept because the classes were weighted.
    pub prior_shift: Option<f64>,
    /// How the threshold was chosen, if a rule chose it.
    pub cutoff: Option<Cutoff>,
    /// How the penalty was chosen, if it was searched.
    pub grid: Option<PenaltyGrid>,
}

/// How points are made of log-odds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointsScale {
    /// The configured scale.
    pub scale: Scale,
    /// The points that every row starts with.
    pub base: i64,
}

/// The coefficient of a feature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coefficient {
    /// The name of the feature.
    pub name: String,
    /// Change of the log odds per standard deviation (or per unit).
    pub value: f64,
    /// One standard deviation in the feature's own unit, if known.
    pub deviation: Option<f64>,
    /// The standard error of the value, if known.
    pub standard_error: Option<f64>,
    /// For a category, the most frequent one of its column, from which the value is the difference.
    pub against: Option<String>,
    /// What the feature is to its column.
    pub part: Part,
}

/// What a feature is to its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// The number itself, or one of the categories.
    #[default]
    Whole,
    /// A term of a spline, which means something only together with the others.
    Curve,
    /// The weight of evidence of the column's bins.
    Evidence,
}

/// The model's score on rows that it was not fitted on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Number of rows scored.
    pub n: u64,
    /// Number of positives.
    pub positives: u64,
    /// How these rows were held out, as a sentence.
    pub held_out: String,
    /// The threshold: a row with a higher probability is predicted positive.
    pub threshold: f64,
    /// F1.
    pub f1: f64,
    /// Confidence interval of F1.
    pub f1_interval: Option<Interval>,
    /// How the interval was computed, or why there is none.
    pub interval_note: Option<String>,
    /// Accuracy.
    pub accuracy: f64,
    /// Confidence interval of the accuracy.
    pub accuracy_interval: Option<Interval>,
    /// Precision; NaN if nothing was predicted positive.
    pub precision: f64,
    /// Confidence interval of the precision.
    pub precision_interval: Option<Interval>,
    /// Recall; NaN if there are no positives.
    pub recall: f64,
    /// Confidence interval of the recall.
    pub recall_interval: Option<Interval>,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Confidence interval of the area.
    pub roc_auc_interval: Option<Interval>,
    /// Average precision.
    pub pr_auc: Option<f64>,
    /// Mean negative log likelihood.
    pub log_loss: Option<f64>,
    /// Brier score.
    pub brier: Option<f64>,
    /// The confusion matrix.
    pub confusion: ConfusionMatrix,
    /// All figures of the test, also those that have no field above.
    pub evaluation: Option<Evaluation>,
    /// F1 of the best constant answer.
    pub constant_f1: f64,
    /// Accuracy of the best constant answer.
    pub constant_accuracy: f64,
    /// F1 is above that of the best constant answer, as in `score.json`.
    pub beats_constant: bool,
    /// It is above by more than chance explains: with its whole interval.
    pub beyond_chance: bool,
}

/// The data of the curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// Receiver operating characteristic.
    pub roc: Vec<RocPoint>,
    /// Precision and recall.
    pub pr: Vec<PrPoint>,
    /// Calibration.
    pub calibration: Vec<CalibrationBin>,
    /// Scores by class.
    pub histogram: ScoreHistogram,
    /// Cumulative gain.
    pub gain: Vec<GainPoint>,
    /// Counts at thresholds, in ascending order.
    pub thresholds: Vec<AtThreshold>,
}

/// The counts of predictions at a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtThreshold {
    /// The threshold.
    pub threshold: f64,
    /// The counts if rows with a higher probability are predicted positive.
    pub matrix: ConfusionMatrix,
}

impl Default for Curves {
    fn default() -> Self {
        let histogram = ScoreHistogram { negative: Vec::new(), positive: Vec::new() };
        Self {
            roc: Vec::new(),
            pr: Vec::new(),
            calibration: Vec::new(),
            histogram,
            gain: Vec::new(),
            thresholds: Vec::new(),
        }
    }
}

/// The statistics of a column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnRow {
    /// The column's name.
    pub name: String,
    /// `number`, `text`, `date`…
    pub kind: String,
    /// Number of values present.
    pub count: u64,
    /// Percentage of missing values.
    pub missing_percent: f64,
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub median: Option<f64>,
    /// Standard deviation.
    pub std: Option<f64>,
    /// Minimum.
    pub min: Option<f64>,
    /// Maximum.
    pub max: Option<f64>,
    /// Number of distinct values.
    pub distinct: Option<u64>,
    /// The most frequent categories with their counts, the most frequent first.
    pub top: Vec<(String, u64)>,
    /// Counts between minimum and maximum in parts of equal width, or of each value.
    pub histogram: Vec<u64>,
}

/// The severity of a finding, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For information.
    #[default]
    Note,
    /// To be looked at before relying on the model.
    Warning,
    /// To be resolved before relying on the model.
    Serious,
}

/// Something that a reader should know about the model or its data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Finding {
    /// How severe it is.
    pub severity: Severity,
    /// The finding in a sentence or two.
    pub text: String,
    /// An earlier step of the same run has already reported it: a refused file, drift, or the
    /// choice of test rows.
    #[serde(skip)]
    pub told: bool,
    /// What it is about.
    #[serde(skip)]
    pub kind: FindingKind,
    /// Which ones of these, such as columns.
    #[serde(skip)]
    pub subjects: Vec<String>,
}

impl Finding {
    fn new(severity: Severity, text: String) -> Self {
        Self { severity, text, told: false, kind: FindingKind::Model, subjects: Vec::new() }
    }

    /// The same finding, of another kind than [`FindingKind::Model`].
    #[must_use]
    pub(crate) fn of(mut self, kind: FindingKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same finding about `subjects`.
    #[must_use]
    pub(crate) fn about<S: Into<String>>(mut self, subjects: impl IntoIterator<Item = S>) -> Self {
        self.subjects.extend(subjects.into_iter().map(Into::into));
        self
    }

    /// The finding as steps report it.
    pub(crate) fn as_warning(&self) -> attention::Finding {
        attention::Finding::warning(self.kind, &self.text).about(&self.subjects)
    }
}

/// A finding for information.
pub(crate) fn note(text: String) -> Finding {
    Finding::new(Severity::Note, text)
}

/// A finding to be looked at.
pub(crate) fn warning(text: String) -> Finding {
    Finding::new(Severity::Warning, text)
}

/// A finding to be resolved first.
pub(crate) fn serious(text: String) -> Finding {
    Finding::new(Severity::Serious, text)
}
