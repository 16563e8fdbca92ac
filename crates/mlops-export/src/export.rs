//! `deployment export`: verifies a release from disk and writes it in other forms.
//!
//! Equal releases give equal bytes. Takes no lock, and changes nothing but the files that it is asked for.
//! Not for the forms: see their own files.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use mlops_core::ids::ReleaseId;
use mlops_core::model::{self, Golden};
use mlops_core::release::{self, ARTIFACT, CARD, GOLDEN, Release, SCORE};
use mlops_core::run::context::{Context, Report};
use mlops_core::{Error, Result, text};

use crate::card;
use crate::formula::Formula;
use crate::mlflow;
use crate::onnx::{classic, core};
use crate::pmml;
use crate::sql::{self, Dialect};

/// A form of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// ONNX with core operators, in doubles.
    Onnx,
    /// ONNX with the operators of classic machine learning, in floats.
    OnnxMl,
    /// A SELECT statement.
    Sql(#[serde(skip)] Dialect),
    /// The Predictive Model Markup Language.
    Pmml,
    /// A model folder of MLflow.
    Mlflow,
    /// A model card with the metadata of Hugging Face.
    Card,
}

/// What to export.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The release; `None` is the live one.
    pub release: Option<ReleaseId>,
    /// The forms.
    pub forms: &'a [Form],
    /// The table that the statement reads.
    pub table: &'a str,
    /// Where to write; `None` is `exports/` and the release's name in the folder of models.
    pub to: Option<&'a Path>,
}

/// The report of `deployment export`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// The release.
    pub release: ReleaseId,
    /// The folder of the files.
    pub folder: PathBuf,
    /// The files, within the folder.
    pub files: Vec<String>,
    /// Number of golden rows by which the formula was checked.
    pub golden_rows: usize,
}

impl Report for Exported {
    fn changed(&self) -> bool {
        true
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Release {}, checked on {}, is exported to {}:",
            self.release,
            text::plural(self.golden_rows as u64, "golden row"),
            self.folder.display()
        )?;
        for file in &self.files {
            writeln!(f, "  {file}")?;
        }
        Ok(())
    }
}

/// Exports a release.
///
/// # Errors
/// `Missing` without a live release, `Artifact` if it is damaged, `Data` if a form cannot express the model,
/// and what writing can meet. All forms are made before the first file is written.
pub fn run(context: &Context, options: &Options) -> Result<Exported> {
    let store = context.store();
    let release = match &options.release {
        Some(id) => store.verify(id)?,
        None => store.live_release()?,
    };
    let golden: Golden = release::parse(&release.folder.join(GOLDEN))?;
    let place = release.folder.display().to_string();
    let formula = Formula::of(&release.model, &golden, &place)?;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for form in options.forms {
        files.extend(match form {
            Form::Card => {
                let tested = release::parse(&release.folder.join(SCORE))?;
                let readable: model::card::Card = release::parse(&release.folder.join(CARD))?;
                let card = card::document(&release, &tested, &readable.leaks, &context.config);
                vec![("README.md".to_owned(), card.into_bytes())]
            }
            form => made(&release, &formula, &golden, *form, options.table)?,
        });
    }
    let folder = match options.to {
        Some(folder) => folder.to_owned(),
        None => context.config.output_model.join("exports").join(release.id.as_str()),
    };
    context.disk.create_folder(&folder)?;
    for (name, bytes) in &files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            context.disk.create_folder(parent)?;
        }
        context.disk.write(&path, bytes)?;
    }
    Ok(Exported {
        release: release.id,
        folder,
        files: files.into_iter().map(|(name, _)| name).collect(),
        golden_rows: golden.rows.len(),
    })
}

/// The files of one form.
fn made(
    release: &Release,
    formula: &Formula,
    golden: &Golden,
    form: Form,
    table: &str,
) -> Result<Vec<(String, Vec<u8>)>> {
    let id = release.id.as_str();
    let about = format!("Probability of {} = {}", release.model.schema.target(), formula.labels[0]);
    let facts = || facts(release, formula);
    let one = |name: &str, bytes: Vec<u8>| vec![(name.to_owned(), bytes)];
    Ok(match form {
        Form::Onnx => one("model.onnx", core::file(formula, id, &about, facts())),
        Form::OnnxMl => {
            let file = classic::file(formula, id, &about, facts()).map_err(|unsuited| {
                let names = unsuited.columns.iter().map(|name| format!("\"{name}\""));
                Error::data(format!(
                    "the classic operators of ONNX have no features like those of {}: use --onnx, whose \
                     core operators have",
                    text::names(names)
                ))
            })?;
            one("model-ml.onnx", file)
        }
        Form::Sql(dialect) => vec![
            ("model.sql".to_owned(), sql::select(formula, dialect, table, id).into_bytes()),
            ("model-test.sql".to_owned(), sql::test(formula, dialect, golden).into_bytes()),
        ],
        Form::Pmml => {
            let mut files = one("model.pmml", pmml::regression::document(formula, release).into());
            if let Some(card) = pmml::scorecard::document(formula, release) {
                files.push(("scorecard.pmml".to_owned(), card.into_bytes()));
            }
            files
        }
        // Made of other things than the formula.
        Form::Card => Vec::new(),
        Form::Mlflow => {
            let onnx = core::file(formula, id, &about, facts());
            let files = mlflow::folder(formula, golden, id, onnx)?;
            files.into_iter().map(|(name, bytes)| (format!("mlflow/{name}"), bytes)).collect()
        }
    })
}

/// What a file says of where it comes from.
fn facts<'a>(release: &Release, formula: &Formula) -> Vec<(&'a str, String)> {
    let artifact = release.manifest.files.get(ARTIFACT).map(ToString::to_string);
    vec![
        ("artifact_sha256", artifact.unwrap_or_default()),
        ("schema_sha256", release.model.schema.digest().to_string()),
        ("dataset", release.manifest.dataset.file_name()),
        ("threshold", formula.threshold.to_string()),
        ("positive_label", formula.labels[0].clone()),
        ("negative_label", formula.labels[1].clone()),
    ]
}
