//! The plain data that a report is made of; whoever has it fills it in.
//!
//! Owned data with public fields and no behaviour beyond small sums. Only findings are serialised;
//! the records of a run live in `mlops-core`.

use mlops_core::evaluation::metrics::{
    CalibrationBin, ConfusionMatrix, Interval, PrPoint, RocPoint, ScoreHistogram,
};
use serde::Serialize;

/// Everything that the page says.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// When the page was made, as RFC 3339.
    pub generated: String,
    /// Version of the tool that made it.
    pub tool_version: String,
    /// Which release the model is, if it was released.
    pub release: Option<String>,
    /// Digest of the data that the model was fitted on.
    pub data_version: String,
    /// More digests to show in the footer: what of, and the digest.
    pub digests: Vec<(String, String)>,
    /// Name of the column that is predicted.
    pub target: String,
    /// What one is called in the data: `1`, `left`.
    pub positive_label: String,
    /// What the other class is called.
    pub negative_label: String,
    /// What a row stands for, in the plural: `clients`. `rows` by default.
    pub unit: String,
    /// What a positive did, to follow "that": `left`. Without it the label is quoted.
    pub positive_phrase: Option<String>,
    /// The files that were read.
    pub ingested: Vec<IngestedFile>,
    /// The model.
    pub model: Model,
    /// How good it is.
    pub score: Score,
    /// The curves behind the pictures.
    pub curves: Curves,
    /// What the columns hold.
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
            curves: Curves::default(),
            columns: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// One file and what became of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestedFile {
    /// Its name, without the way to it.
    pub name: String,
    /// Rows read.
    pub rows_read: u64,
    /// Rows kept.
    pub rows_kept: u64,
    /// Rows dropped because they were there already.
    pub duplicates: u64,
    /// Rows set aside because they make no sense.
    pub quarantined: u64,
    /// Why they were set aside.
    pub reasons: Vec<Reason>,
    /// One word: `new`, `unchanged`, `rejected`.
    pub status: String,
    /// Anything else to know.
    pub note: Option<String>,
}

/// A reason to set rows aside, and how many it met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reason {
    /// The reason in words.
    pub reason: String,
    /// Rows.
    pub count: u64,
}

/// What was fitted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// What sort of model: `logistic regression`.
    pub kind: String,
    /// Coefficients, in any order.
    pub features: Vec<Coefficient>,
    /// The constant term.
    pub intercept: f64,
    /// Whether features were brought to mean 0 and deviation 1 before the fit.
    pub standardised: bool,
    /// What fitted it.
    pub solver: String,
    /// Steps it took, if known.
    pub iterations: Option<u64>,
    /// Largest component of the gradient at the end, if known.
    pub gradient_norm: Option<f64>,
    /// Rows it was fitted on.
    pub rows: u64,
    /// Inverse strength of the penalty.
    pub c: Option<f64>,
    /// What is done about missing values.
    pub missing_policy: String,
}

/// One feature's weight.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coefficient {
    /// Name of the feature.
    pub name: String,
    /// Change of the log odds per standard deviation (or per unit).
    pub value: f64,
    /// What one standard deviation is in the feature's own unit, if known.
    pub deviation: Option<f64>,
    /// For one category of a column: the most frequent one, which the value is the difference to.
    pub against: Option<String>,
}

/// How good the model is on rows that it was not fitted on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Rows scored.
    pub n: u64,
    /// Positives among them.
    pub positives: u64,
    /// How these rows were held out, as a sentence.
    pub held_out: String,
    /// From which probability on a row is named positive.
    pub threshold: f64,
    /// F1.
    pub f1: f64,
    /// Its interval.
    pub f1_interval: Option<Interval>,
    /// How the interval was made, or why there is none.
    pub interval_note: Option<String>,
    /// Accuracy.
    pub accuracy: f64,
    /// Its interval.
    pub accuracy_interval: Option<Interval>,
    /// Precision; NaN when nothing was named.
    pub precision: f64,
    /// Its interval.
    pub precision_interval: Option<Interval>,
    /// Recall; NaN when there are no positives.
    pub recall: f64,
    /// Its interval.
    pub recall_interval: Option<Interval>,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Its interval.
    pub roc_auc_interval: Option<Interval>,
    /// Average precision.
    pub pr_auc: Option<f64>,
    /// Mean negative log likelihood.
    pub log_loss: Option<f64>,
    /// Brier score.
    pub brier: Option<f64>,
    /// The counts.
    pub confusion: ConfusionMatrix,
    /// F1 of the best constant answer.
    pub constant_f1: f64,
    /// Accuracy of the best constant answer.
    pub constant_accuracy: f64,
    /// Whether the model's F1 is above the constant's, as in `score.json`.
    pub beats_constant: bool,
    /// Whether it is so by more than chance explains: with its whole interval.
    pub beyond_chance: bool,
}

/// The curves behind the pictures.
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
}

impl Default for Curves {
    fn default() -> Self {
        let histogram = ScoreHistogram { negative: Vec::new(), positive: Vec::new() };
        Self { roc: Vec::new(), pr: Vec::new(), calibration: Vec::new(), histogram }
    }
}

/// What one column holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnRow {
    /// Its name.
    pub name: String,
    /// `number`, `text`, `date`…
    pub kind: String,
    /// Values that are there.
    pub count: u64,
    /// Share of missing values, 0 to 100.
    pub missing_percent: f64,
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub median: Option<f64>,
    /// Standard deviation.
    pub std: Option<f64>,
    /// Smallest.
    pub min: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
    /// Different values.
    pub distinct: Option<u64>,
    /// The most frequent category.
    pub most_frequent: Option<String>,
}

/// How much a warning matters; the order is from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    #[default]
    Note,
    /// Look at it before relying on the model.
    Warning,
    /// Do not rely on the model before this is settled.
    Serious,
}

/// Something that a reader should know about the model or its data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The finding in a sentence or two.
    pub text: String,
    /// An earlier step of the same run has already reported it: a refused file, drift, which rows
    /// the figures rest on.
    #[serde(skip)]
    pub told: bool,
}

/// Good to know.
pub(crate) fn note(text: String) -> Finding {
    Finding { severity: Severity::Note, text, told: false }
}

/// To be looked at.
pub(crate) fn warning(text: String) -> Finding {
    Finding { severity: Severity::Warning, text, told: false }
}

/// To be settled first.
pub(crate) fn serious(text: String) -> Finding {
    Finding { severity: Severity::Serious, text, told: false }
}
