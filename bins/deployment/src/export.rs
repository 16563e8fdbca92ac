//! `deployment export`: a release in other forms, and in a tracking server.
//!
//! Not for the forms: see `mlops_export`.

use std::fmt;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use mlops_client::tracking::{self, Credentials, Destination, Tracked, Upload};
use mlops_core::Result;
use mlops_core::ids::ReleasePrefix;
use mlops_core::run::context::{Context, Report};
use mlops_core::stage::history;
use mlops_export::sql::Dialect;
use mlops_export::{Exported, Form, Options, record};
use serde::Serialize;

#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a form that may be asked for beside the others"
)]
#[command(group = clap::ArgGroup::new("forms").required(true).multiple(true))]
pub(crate) struct Export {
    /// The release; the beginning of its name is enough [default: the live one]
    #[arg(value_name = "ID")]
    release: Option<ReleasePrefix>,

    /// `model.onnx`: core operators of ONNX, in doubles
    #[arg(long, group = "forms")]
    onnx: bool,

    /// `model-ml.onnx`: the classic operators of ONNX, in floats
    #[arg(long, group = "forms")]
    onnx_ml: bool,

    /// `model.sql`: a SELECT statement, and `model-test.sql`, which tests it on the golden rows
    #[arg(long, group = "forms")]
    sql: bool,

    /// `model.pmml`: PMML 4.4
    #[arg(long, group = "forms")]
    pmml: bool,

    /// `mlflow/`: a model folder of MLflow with the ONNX file
    #[arg(long, group = "forms")]
    mlflow: bool,

    /// `README.md`: a model card with the metadata of Hugging Face
    #[arg(long, group = "forms")]
    card: bool,

    /// The dialect of the statement
    #[arg(long, requires = "sql", default_value = "postgresql", value_parser = dialect_parser())]
    dialect: Dialect,

    /// The table that the statement reads
    #[arg(long, requires = "sql", value_name = "NAME", default_value = "clients")]
    table: String,

    /// Also record the release, with `mlflow/`, in MLflow's tracking server at this address
    #[arg(long, group = "forms", value_name = "URI")]
    mlflow_tracking: Option<String>,

    /// The experiment of MLflow, which is created if there is none
    #[arg(long, requires = "mlflow_tracking", value_name = "NAME", default_value = "mlops")]
    experiment: String,

    /// The registered model of MLflow that gets a version
    #[arg(long, requires = "mlflow_tracking", value_name = "NAME")]
    registered_model: Option<String>,

    /// The alias that then stands for this version
    #[arg(long, requires = "registered_model", value_name = "NAME")]
    alias: Option<String>,

    /// Where to write [default: exports/ID in output_model_path]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

impl Export {
    fn forms(&self) -> Vec<Form> {
        let forms = [
            (self.onnx, Form::Onnx),
            (self.onnx_ml, Form::OnnxMl),
            (self.sql, Form::Sql(self.dialect)),
            (self.pmml, Form::Pmml),
            (self.mlflow || self.mlflow_tracking.is_some(), Form::Mlflow),
            (self.card, Form::Card),
        ];
        forms.into_iter().filter(|(wanted, _)| *wanted).map(|(_, form)| form).collect()
    }
}

/// Reads the name of a dialect; help lists all.
fn dialect_parser() -> impl TypedValueParser<Value = Dialect> {
    PossibleValuesParser::new(Dialect::ALL.map(Dialect::name)).map(|name| {
        Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.name() == name)
            .unwrap_or(Dialect::PostgreSql)
    })
}

/// What was written, and what a tracking server has.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Recorded {
    #[serde(flatten)]
    exported: Exported,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracked: Option<Tracked>,
}

impl Report for Recorded {
    fn changed(&self) -> bool {
        self.exported.changed()
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exported.fmt(f)?;
        self.tracked.iter().try_for_each(|tracked| tracked.fmt(f))
    }
}

/// Exports a release, and records it where that is asked for.
pub(crate) fn run(context: &Context, export: &Export) -> Result<Recorded> {
    let release = export.release.as_ref().map(|id| history::find(context, id)).transpose()?;
    let forms = export.forms();
    let (table, to) = (export.table.as_str(), export.to.as_deref());
    let exported = mlops_export::run(context, &Options { release, forms: &forms, table, to })?;
    let tracked = match &export.mlflow_tracking {
        Some(uri) => Some(tracking::record(
            &Destination {
                uri: uri.clone(),
                experiment: export.experiment.clone(),
                model: export.registered_model.clone(),
                alias: export.alias.clone(),
                credentials: Credentials::of(mlops_runtime::secret),
            },
            &upload(context, &exported)?,
        )?),
        None => None,
    };
    Ok(Recorded { exported, tracked })
}

fn upload(context: &Context, exported: &Exported) -> Result<Upload> {
    let record::Record { parameters, metrics, tags } = record::of(context, &exported.release)?;
    let of_model = |path: &String| {
        let name = path.strip_prefix("mlflow/")?;
        Some((name.to_owned(), exported.folder.join(path)))
    };
    Ok(Upload {
        release: exported.release.to_string(),
        parameters,
        metrics,
        tags,
        files: exported.files.iter().filter_map(of_model).collect(),
        at: context.clock.now().timestamp_millis(),
    })
}
