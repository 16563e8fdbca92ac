//! `reporting`: writes pictures and a page about the live release, or else about the candidate.
//!
//! Missing parts are left out with a note: failing for lack of test data would hide the rest. Not
//! for drawing, and not for judging a model before it goes live.

mod columns;
mod files;
mod findings;
mod since;
mod standing;
mod subject;
mod trial;

use std::fmt;

use mlops_core::Result;
use mlops_core::evaluation::metrics::Metric;
use mlops_core::evaluation::metrics::bootstrap::too_few;
use mlops_core::ids::ReleaseId;
use mlops_core::model::Shape;
use mlops_core::platform::threads::both;
use mlops_core::release::Release;
use mlops_core::run::attention;
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::diagnose::Diagnostics;
use mlops_core::stage::performance;
use mlops_core::stage::score::Scoring;
use mlops_core::text;
use serde::Serialize;

use crate::html;
use crate::pdf;
use crate::pictures::{self, Picture};
use crate::report::{
    Coefficient, ColumnRow, Finding, Model, Part, PointsScale, Report, Score, Severity,
};
use crate::sections;
pub use since::{COMPARISON, COMPARISON_PDF, Since, since};
use subject::Subject;
use trial::Trial;

/// The file name of the page.
pub const PAGE: &str = "report.html";
/// The file name of the same as a PDF.
pub const PDF: &str = "report.pdf";

/// The report of `reporting`.
#[derive(Debug, Clone, Serialize)]
pub struct Reported {
    /// The model that the page is about: the live release, or the candidate.
    pub subject: String,
    /// The release id, if it is live.
    pub release: Option<ReleaseId>,
    /// SHA-256 of the model file.
    pub artifact: String,
    /// The model's quality in a sentence.
    pub headline: String,
    /// F1 on the current test data; `None` if it could not be scored.
    pub f1: Option<f64>,
    /// The folder with the files.
    pub folder: String,
    /// The files written there.
    pub files: Vec<String>,
    /// The earlier release that it was compared with, on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<String>,
    /// Findings, the most severe first.
    pub warnings: Vec<Finding>,
}

impl mlops_core::run::context::Report for Reported {
    fn findings(&self) -> Vec<attention::Finding> {
        let loud = self.warnings.iter().filter(|found| found.severity != Severity::Note);
        loud.map(Finding::as_warning).collect()
    }

    fn discovered(&self) -> Vec<attention::Finding> {
        self.on_the_model()
    }
}

/// Results of earlier steps of the same run, which need not be read again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The live release, verified.
    pub release: Option<&'a Release>,
    /// The score of the live release's model.
    pub scoring: Option<&'a Scoring>,
    /// The diagnostics of the live release.
    pub diagnostics: Option<&'a Diagnostics>,
}

/// Writes the pictures and the page into the folder of the model.
pub fn run(context: &Context, workspace: &mut Workspace) -> Result<Reported> {
    knowing(context, workspace, Known::default())
}

/// Like [`run`], with the results `known` from earlier steps.
pub fn knowing(context: &Context, workspace: &mut Workspace, known: Known<'_>) -> Result<Reported> {
    let Known { release, scoring, diagnostics } = known;
    let (subject, mut warnings) = Subject::find(context, release)?;
    let trial = Trial::of(context, workspace, &subject, scoring, &mut warnings);
    let mut known = Vec::new();
    let ingested = files::of(workspace, &mut known)?;
    findings::of_drift(workspace, &subject, &mut known)?;
    findings::on_record(context, workspace, &subject, &mut known)?;
    warnings.extend(known.into_iter().map(|found| Finding { told: true, ..found }));
    let columns = columns::of(context, workspace, &subject, diagnostics, &mut warnings)?;
    findings::of_model(workspace, &subject, &mut warnings)?;
    if let Some(score) = &trial.score {
        findings::of_score(score, &mut warnings);
    }
    findings::of_calibration(trial.calibration, &mut warnings);
    warnings.sort_by_key(|w| std::cmp::Reverse(w.severity));

    let schema = &subject.model.schema;
    let version = subject.model.data.version;
    let data_version = version.name(workspace.ledger.form_of(version)?);
    let label = |positive| spelt_out(schema.target(), subject.model.label(positive));
    let report = Report {
        title: format!("Model report: {}", subject.name()),
        generated: context.now(),
        tool_version: context.tool_version.clone(),
        release: subject.release.as_ref().map(ToString::to_string),
        standing: standing::of(workspace, &subject)?,
        judged: standing::judged(workspace, &subject)?,
        history: standing::history(workspace)?,
        performance: performance::of(&workspace.ledger, context.store(), Metric::F1, 1)?,
        calibration: trial.calibration,
        digests: trial.digests(&subject, &data_version),
        data_version,
        target: schema.target().to_owned(),
        positive_label: label(true),
        negative_label: label(false),
        ingested,
        model: model(&subject, &columns),
        score: trial.score.unwrap_or_default(),
        slices: trial.slices,
        curves: trial.curves,
        columns,
        warnings,
        ..Report::default()
    };
    let files = write(context, &report)?;
    let scored = report.score.n > 0;
    Ok(Reported {
        subject: subject.name(),
        release: subject.release.clone(),
        artifact: subject.artifact.to_string(),
        headline: headline(&report.score),
        f1: scored.then_some(report.score.f1),
        folder: context.config.output_model.display().to_string(),
        files,
        compared_with: None,
        warnings: report.warnings,
    })
}

/// With less memory the PDF is made after the pictures instead of beside them, in the memory that they took.
const ROOMY: usize = 144 << 20;

/// Draws everything, then writes it; the page last, since it stands for the whole.
fn write(context: &Context, report: &Report) -> Result<Vec<String>> {
    let folder = &context.config.output_model;
    let limits = &context.config.limits;
    let at_once = limits.at_once(pictures::BYTES_EACH);
    let drawn = || pictures::within(report, at_once);
    let told = || -> Result<_> {
        let document = sections::document(report);
        let pdf = pdf::of(&document, &report.tool_version, &pictures::drawings(report)?)?;
        Ok((document, pdf))
    };
    let is_roomy = limits.memory > ROOMY;
    let (pictures, told) = if is_roomy { both(drawn, told) } else { (drawn(), told()) };
    let pictures = pictures?;
    let (document, pdf) = told?;
    let page = html::page(&document, &pictures);
    let mut drawn: Vec<(String, &[u8])> = Vec::new();
    for Picture { name, svg, png, .. } in &pictures {
        drawn.push((format!("{name}.png"), png));
        drawn.push((format!("{name}.svg"), svg.as_bytes()));
    }
    // Pictures of the same numbers are the same bytes.
    let named: Vec<(&str, &[u8])> =
        drawn.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    context.disk.write_changed(folder, &named)?;
    context.disk.write_changed(folder, &[(PDF, &pdf), (PAGE, page.as_bytes())])?;
    let whole = [PDF, PAGE].map(str::to_owned);
    Ok(drawn.into_iter().map(|(name, _)| name).chain(whole).collect())
}

/// A label that means nothing by itself, with its column: `exited = 1`.
fn spelt_out(target: &str, label: &str) -> String {
    let bare = label.parse::<f64>().is_ok()
        || ["true", "false", "yes", "no", "y", "n", "t", "f"]
            .iter()
            .any(|word| label.eq_ignore_ascii_case(word));
    if bare { format!("{target} = {label}") } else { label.to_owned() }
}

/// The reference level of each categorical column: the most frequent one of the training rows or,
/// if the model does not know it, of the newest data set.
fn references(subject: &Subject, columns: &[ColumnRow]) -> Vec<usize> {
    let categorical = subject.model.encoder.categorical.iter();
    let most = |name: &str| {
        let column = columns.iter().find(|column| column.name == name);
        column.and_then(|column| column.top.first()).map(|(value, _)| value.clone())
    };
    categorical
        .map(|feature| {
            let known = feature.fill.map(|level| level as usize);
            known.or_else(|| feature.level(&most(&feature.name)?)).unwrap_or(0)
        })
        .collect()
}

fn model(subject: &Subject, columns: &[ColumnRow]) -> Model {
    use mlops_core::config::choices::MissingPolicy;
    let model = &subject.model;
    let card = &subject.card;
    let mut features: Vec<Coefficient> = Vec::new();
    let error = |j: usize| card.standard_errors.get(j).copied().flatten();
    let plain = |j: usize, part: Part| Coefficient {
        name: card.features[j].clone(),
        value: card.coefficients[j],
        standard_error: error(j),
        deviation: Some(card.scaler.scale[j]).filter(|_| part == Part::Whole),
        against: None,
        part,
    };
    let mut ranges = model.encoder.features_of_columns().into_iter().map(|(_, range)| range);
    for (column, range) in model.encoder.numeric.iter().zip(&mut ranges) {
        let part = match column.shape {
            Shape::Line => Part::Whole,
            Shape::Spline(_) => Part::Curve,
            Shape::Bins(_) => Part::Evidence,
        };
        features.extend(range.map(|j| plain(j, part)));
    }
    // Only differences between the levels of a column are meaningful.
    let mut intercept = card.intercept;
    for (column, range) in model.encoder.dates.iter().zip(&mut ranges) {
        let ages = column.width() - column.categories().map(|(_, width)| width).sum::<usize>();
        features.extend((range.start..range.start + ages).map(|j| plain(j, Part::Whole)));
        for (at, width) in column.categories() {
            let first = range.start + at;
            let base = card.coefficients[first];
            intercept += base;
            features.extend((first + 1..first + width).map(|j| Coefficient {
                name: card.features[j].clone(),
                value: card.coefficients[j] - base,
                standard_error: error(j),
                deviation: None,
                against: card.features[first].rsplit_once('=').map(|(_, level)| level.to_owned()),
                part: Part::Whole,
            }));
        }
    }
    let categorical = model.encoder.categorical.iter().zip(references(subject, columns));
    for ((column, reference), range) in categorical.zip(ranges) {
        if column.bins.is_some() {
            features.extend(range.map(|j| plain(j, Part::Evidence)));
            continue;
        }
        let first = range.start;
        let values = &card.coefficients[range];
        let base = values.get(reference).copied().unwrap_or(0.0);
        intercept += base;
        for (level, value) in values.iter().enumerate().filter(|(level, _)| *level != reference) {
            features.push(Coefficient {
                name: card.features[first + level].clone(),
                value: value - base,
                standard_error: error(first + level),
                deviation: None,
                against: Some(column.level_name(reference).to_owned()),
                part: Part::Whole,
            });
        }
    }
    let policy = match model.encoder.missing {
        MissingPolicy::Median => "the median, or the most frequent category, of the training rows",
        MissingPolicy::Mean => "the mean, or the most frequent category, of the training rows",
        MissingPolicy::Drop => "rows with one are left out",
        MissingPolicy::Reject => "rows with one are an error",
    };
    Model {
        kind: "logistic regression".to_owned(),
        features,
        intercept,
        standardised: true,
        solver: match card.solver.as_str() {
            "newton" => "Newton".to_owned(),
            "lbfgs" => "L-BFGS, then Newton".to_owned(),
            other => other.to_owned(),
        },
        iterations: Some(card.iterations as u64),
        gradient_norm: Some(card.gradient_norm),
        rows: card.rows,
        positives: Some(model.data.positives),
        c: model.training.c,
        missing_policy: policy.to_owned(),
        attributes: card.attributes.clone(),
        scorecard: card
            .scorecard
            .as_ref()
            .map(|card| PointsScale { scale: card.scale, base: card.base.rounded }),
        prior_shift: card.prior_shift,
        cutoff: card.threshold_choice.clone(),
        grid: card.penalty_grid.clone(),
    }
}

fn headline(score: &Score) -> String {
    if score.n == 0 {
        return "The model could not be scored: its quality is unknown.".to_owned();
    }
    let interval = score.f1_interval.map_or_else(String::new, |i| {
        let few = too_few(&score.confusion).map_or_else(String::new, |few| format!(": {few}"));
        format!("{:.0} % interval {:.3} to {:.3}{few}; ", i.level * 100.0, i.low, i.high)
    });
    let verdict = if score.beyond_chance {
        "better than always giving the same answer"
    } else if score.beats_constant {
        "better than always giving the same answer, but possibly by chance"
    } else {
        "no better than always giving the same answer"
    };
    format!(
        "F1 {:.4} on {} ({interval}best constant answer {:.4}): {verdict}.",
        score.f1,
        text::plural(score.n, "test row"),
        score.constant_f1
    )
}

impl Reported {
    /// The findings that ingestion and the decision have not reported, without notes.
    pub fn on_the_model(&self) -> Vec<attention::Finding> {
        let loud =
            self.warnings.iter().filter(|found| found.severity != Severity::Note && !found.told);
        loud.map(Finding::as_warning).collect()
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", text::capitalised(&self.subject), self.headline)?;
        let pictures: Vec<_> = self.files.iter().filter_map(|n| n.strip_suffix(".png")).collect();
        writeln!(f, "Written to {}:", self.folder)?;
        writeln!(f, "  {PAGE}, {PDF}")?;
        if let Some(release) = &self.compared_with {
            writeln!(f, "  {COMPARISON}, {COMPARISON_PDF}: what changed since {release}")?;
        }
        for names in pictures.chunks(3) {
            writeln!(
                f,
                "  {}",
                names.iter().map(|n| format!("{n}.png, .svg")).collect::<Vec<_>>().join("; ")
            )?;
        }
        let mut notes =
            self.warnings.iter().filter(|found| found.severity == Severity::Note && !found.told);
        notes.try_for_each(|found| writeln!(f, "note: {}", found.text))
    }
}
