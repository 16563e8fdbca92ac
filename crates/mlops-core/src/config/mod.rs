//! `config.json`: reads and checks the user's settings once and reports all problems together.
//!
//! Relative paths are resolved against the folder of the file, never against the working directory,
//! which differs under cron. Not for command-line arguments: see the runtime crate.

pub mod alerts;
mod apicalls;
mod card;
pub mod choices;
mod columns;
pub mod contract;
mod decide;
mod described;
mod document;
mod engine;
mod expect;
mod format;
mod holdout;
mod ingestion;
mod input_folder;
mod labels;
mod lineage;
mod network;
mod output;
mod output_table;
mod places;
mod reasons;
mod retention;
mod schema;
mod section;
mod service;
mod shapes;
mod shown;
mod signing;
pub mod sources;
mod training;
mod unattended;
mod window;

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::choices::{Metric, Rule};
use crate::expect::Expectation;
use crate::platform::location::plain;
use crate::table::schema::Schema;
use crate::{Error, Result};
pub use alerts::Alerts;
pub use apicalls::ApiCalls;
pub use card::CardWords;
pub use choices::{Since, Window};
pub use columns::Columns;
pub use contract::Contract;
pub use decide::{Decide, INPUT};
pub use engine::{Ballista, Engine};
pub use format::{Compression, FixedField, Format, Kind, Quote};
pub use holdout::Holdout;
pub use ingestion::{Duplicates, Ingestion, Latest, NumberFormat, OnChange};
pub use input_folder::InputFolder;
pub use labels::{JoinBy, Labels, Period};
pub use lineage::Lineage;
pub use network::Network;
pub use output::Output;
pub use output_table::{OutputMode, OutputTable};
pub use reasons::Reasons;
pub use retention::Retention;
use section::{Problems, Section};
pub use service::{
    Counted, PredictionLog, ProxyHeader, RateLimit, Service, Tls, address, is_root_path,
};
pub use shapes::{Against, Binning, DateParts, Scale, Shapes};
pub use shown::{Origin, Setting};
pub use signing::Signing;
pub use sources::Source;
pub use training::Training;
pub use unattended::{Limits, Logging, Monitoring};

/// A checked configuration. Paths are absolute or relative to the working directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// The path of the configuration file.
    pub file: PathBuf,
    /// The folder of the configuration file, against which paths are resolved.
    pub base: PathBuf,
    /// `input_folder_path`: what `ingestion` and `first_run` read.
    pub input_folder: PathBuf,
    /// `source_folder_path`: what `fullprocess` reads.
    pub source_folder: PathBuf,
    /// `output_folder_path`: data sets, the ledger and its text projections.
    pub output_folder: PathBuf,
    /// The output folder in which fetched objects were recorded so far.
    pub landed_in: PathBuf,
    /// `test_data_path`: labelled rows that no model is trained on.
    pub test_data: PathBuf,
    /// `output_model_path`: the latest candidate model, its score, diagnostics and reports.
    pub output_model: PathBuf,
    /// `models_path`: immutable releases.
    pub models: PathBuf,
    /// `models_path` was not set, so that it is the folder `models` beside the pointer.
    pub models_by_default: bool,
    /// `prod_deployment_path`: the pointer to the live release.
    pub deployment: PathBuf,
    /// The columns of the data.
    pub schema: Schema,
    /// `schema.reasons`: texts for contributions to predictions.
    pub reasons: Reasons,
    /// `schema.slice`: columns by whose values scores are given too.
    pub slices: Vec<String>,
    /// Those of them that are in no other list of the section: kept as ids are, but not identifying.
    pub only_slices: Vec<String>,
    /// The section `ingestion`.
    pub ingestion: Ingestion,
    /// The section `expect`: what is expected of the input folder.
    pub expect: Option<Expectation>,
    /// The section `contract`: what the rows of the input folder must be.
    pub contract: Option<Contract>,
    /// The section `decide`.
    pub decide: Decide,
    /// The section `training`.
    pub training: Training,
    /// What the section `training` says of single columns, and of points.
    pub shapes: Shapes,
    /// The section `holdout`.
    pub holdout: Holdout,
    /// The section `drift`.
    pub drift: Drift,
    /// The section `alerts`.
    pub alerts: Alerts,
    /// The section `gate`.
    pub gate: Gate,
    /// The section `output`.
    pub output: Output,
    /// The section `retention`.
    pub retention: Retention,
    /// The section `monitoring`.
    pub monitoring: Monitoring,
    /// The section `lineage`.
    pub lineage: Lineage,
    /// The section `logging`.
    pub logging: Logging,
    /// The section `limits`.
    pub limits: Limits,
    /// The section `service`.
    pub service: Service,
    /// The section `card`.
    pub card: CardWords,
    /// The section `signing`.
    pub signing: Signing,
    /// The section `labels`.
    pub labels: Labels,
    /// The section `apicalls`.
    pub apicalls: ApiCalls,
    /// The list `sources`.
    pub sources: Vec<Source>,
    /// The section `engine`: where rows are read and models are fitted.
    pub engine: Engine,
    /// The text of the file, for readers on other machines.
    pub(crate) text: String,
}

/// How `fullprocess` decides whether the live model drifted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The rule that decides; the others are evaluated for information.
    pub rule: Rule,
    /// With fewer new rows, nothing is decided.
    pub min_rows: u64,
    /// Family-wise false alarm rate of the tests for drifted columns.
    pub alpha: f64,
}

impl Default for Drift {
    fn default() -> Self {
        Self { rule: Rule::Raw, min_rows: 20, alpha: 0.05 }
    }
}

/// When `fullprocess` promotes a new model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// The metric in which challenger and champion are compared.
    pub metric: Metric,
    /// The smallest improvement in it, challenger over champion, at which the challenger is
    /// promoted.
    pub min_improvement: f64,
    /// How much of the metric a challenger may lose on a slice; `None` for any amount.
    pub max_slice_drop: Option<f64>,
    /// Who makes a challenger live that passed.
    pub mode: GateMode,
    /// For how many days a challenger waits for approval.
    pub approval_days: u64,
}

/// Who makes a challenger live that passed the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateMode {
    /// The run that made it.
    #[default]
    Auto,
    /// A person, by `deployment approve`.
    Manual,
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&Self::text_at(path)?, path)
    }

    /// Checks `text` as if it were the content of the file `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let map = Self::object(text, path)?;
        let problems = Problems::default();
        let config = Self { text: text.to_owned(), ..Self::read(map, path, &problems) };
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Error::config(path.display().to_string(), problems.found()))
        }
    }

    /// The content of the file at `path`.
    fn text_at(path: &Path) -> Result<String> {
        let wrong = |problem| Error::config(path.display().to_string(), vec![problem]);
        let bytes = crate::platform::files::read(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => wrong(
                "there is no such file: run from the project's folder, or name one with --config or \
                 MLOPS_CONFIG"
                    .to_owned(),
            ),
            _ => wrong(format!("cannot read it: {e}")),
        })?;
        String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8: save it as UTF-8".to_owned()))
    }

    /// The object that `text` is, the content of the file `path`.
    fn object(text: &str, path: &Path) -> Result<Map<String, Value>> {
        let wrong = |problem| Error::config(path.display().to_string(), vec![problem]);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match document::parse(text).map_err(wrong)? {
            Value::Object(map) => Ok(map),
            _ => Err(wrong("the file must be an object { … }".to_owned())),
        }
    }

    /// Reads all keys, and notes what is wrong with them.
    fn read(map: Map<String, Value>, path: &Path, problems: &Problems) -> Self {
        let mut root = Section::root(map, problems);
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        let at = |text: String| normal(&base.join(text));

        let input_folder = at(root.required("input_folder_path"));
        let output_folder = at(root.required("output_folder_path"));
        let test_data = at(root.required("test_data_path"));
        let output_model = at(root.required("output_model_path"));
        let deployment = at(root.required("prod_deployment_path"));
        // Folders without a name have been reported already.
        let named = problems.is_empty();
        let source_folder = root.text("source_folder_path").map(&at);
        let models = root.text("models_path").map(&at);
        let service = service::service(root.section("service"), &at);
        let schema::SchemaSection { schema, pooling, reasons, slices, kept } =
            schema::schema(root.section("schema"));
        let has_slices = !slices.is_empty();
        let ingestion = ingestion::ingestion(root.section("ingestion"), &schema, &kept);
        let expect = expect::expect(&mut root, &schema, &at);
        let contract = contract::contract(&mut root, &schema);
        let sources = sources::sources(root.sections("sources"), &schema, &ingestion, at);
        let output = output::output(root.section("output"), &schema);
        let (training, shapes) = training::training(root.section("training"), &schema);
        let config = Self {
            file: path.to_owned(),
            base: plain(&base),
            source_folder: source_folder.unwrap_or_else(|| input_folder.clone()),
            models_by_default: models.is_none(),
            models: models.unwrap_or_else(|| deployment.with_file_name("models")),
            input_folder,
            landed_in: output_folder.clone(),
            output_folder,
            test_data,
            output_model,
            deployment,
            holdout: holdout::holdout(root.section("holdout"), &schema, &kept, &ingestion),
            decide: decide::decide(root.section("decide"), expect.is_some(), &sources),
            expect,
            contract,
            schema,
            reasons,
            slices,
            only_slices: kept,
            sources,
            ingestion,
            training: Training { pooling, ..training },
            shapes,
            drift: drift(root.section("drift")),
            alerts: alerts::alerts(root.section("alerts"), at),
            gate: gate(root.section("gate"), has_slices),
            output,
            retention: retention::retention(root.section("retention")),
            monitoring: unattended::monitoring(root.section("monitoring"), at),
            lineage: lineage::lineage(root.section("lineage"), at),
            logging: unattended::logging(root.section("logging")),
            limits: unattended::limits(root.section("limits")),
            apicalls: apicalls::apicalls(root.section("apicalls"), &service),
            service,
            card: card::card(root.section("card")),
            signing: signing::signing(root.section("signing"), at),
            labels: labels::labels(root.section("labels"), |text| normal(&base.join(text))),
            engine: engine::engine(root.section("engine")),
            text: String::new(),
        };
        config.check_labels(&root);
        let config = config.with_ours(&root);
        if named {
            places::check(&config, &root);
        }
        root.finish();
        config
    }

    /// The path of the ledger.
    pub fn ledger_path(&self) -> PathBuf {
        self.output_folder.join("ledger.sqlite")
    }

    /// The source from which the file at `path` came, and its path in the folder of that source; `None`
    /// for the input folders'. Both may be relative or absolute, as the path of the configuration was.
    pub fn source_at(&self, path: &Path) -> Option<(&Source, PathBuf)> {
        if self.sources.is_empty() {
            return None;
        }
        let path = plain(path);
        // A dry run has an output folder of its own, but reads what was fetched before it.
        let landings = |source: &Source| {
            let [here, there] = [&self.output_folder, &self.landed_in];
            vec![sources::landing(here, &source.name), sources::landing(there, &source.name)]
        };
        self.sources.iter().find_map(|source| {
            let folders = match &source.place {
                sources::Place::Folder(folder) => vec![folder.clone()],
                _ => landings(source),
            };
            let mut within = folders.iter().map(|folder| path.strip_prefix(plain(folder)));
            Some((source, within.find_map(Result::ok)?.to_owned()))
        })
    }

    /// The folder in which the files of a source are: its own, or that of what was fetched.
    pub fn folder_of(&self, source: &Source) -> PathBuf {
        match &source.place {
            sources::Place::Folder(folder) => folder.clone(),
            _ => sources::landing(&self.output_folder, &source.name),
        }
    }

    /// How the file at `path` is read.
    pub fn reading_at(&self, path: &Path) -> &Ingestion {
        self.source_at(path).map_or(&self.ingestion, |(source, _)| &source.reading)
    }

    /// Which rows replace each other, if any do.
    pub fn latest(&self) -> Option<Latest> {
        self.ingestion.latest(&self.schema)
    }

    /// The names of the id columns that identify a row.
    pub fn identifying(&self) -> impl Iterator<Item = &str> {
        let ids = self.schema.names(crate::table::schema::Role::Id);
        ids.filter(|name| !self.only_slices.iter().any(|slice| slice == name))
    }

    /// The path of the lock that at most one run holds.
    pub fn lock_path(&self) -> PathBuf {
        self.output_folder.join("run.lock")
    }
}

fn drift(mut section: Section) -> Drift {
    let default = Drift::default();
    let rules = Rule::ALL;
    let drift = Drift {
        rule: section.choice("rule", &rules.map(|rule| (rule.name(), rule)), default.rule),
        min_rows: section.integer("min_rows", &(2..=1_000_000_000), default.min_rows),
        alpha: section.number("alpha", &(1e-6..=0.5), default.alpha),
    };
    section.finish();
    drift
}

fn gate(mut section: Section, has_slices: bool) -> Gate {
    let metrics = Metric::ALL.map(|metric| (metric.name(), metric));
    let metric = section.choice("metric", &metrics, Metric::default());
    let min_improvement = section.number("min_improvement", &(-1.0..=1.0), 0.0);
    let max_slice_drop = section.number_or_null("max_slice_drop", &(0.0..=10.0), None);
    if max_slice_drop.is_some() && !has_slices {
        section.problem("max_slice_drop", "has a meaning only with columns in \"schema.slice\"");
    }
    let modes = [("auto", GateMode::Auto), ("manual", GateMode::Manual)];
    let mode = section.choice("mode", &modes, GateMode::Auto);
    let approval_days = section.integer("approval_days", &(1..=365), 14);
    section.finish();
    Gate { metric, min_improvement, max_slice_drop, mode, approval_days }
}

/// `path` with `.` removed, `a/..` folded and no trailing slash; links are not followed.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

#[cfg(test)]
mod tests {
    use crate::config::choices::{Frequency, Pooling};

    use super::*;

    const FIVE: &str = r#""input_folder_path":"data/practicedata","output_folder_path":"out/",
        "test_data_path":"./testdata","output_model_path":"models",
        "prod_deployment_path":"production_deployment/""#;

    fn parse(more: &str) -> Result<Config> {
        Config::parse(&format!("{{{FIVE}{more}}}"), Path::new("/w/config.json"))
    }

    #[test]
    fn five_keys_are_enough_and_paths_resolve_from_the_file() {
        let config = parse("").unwrap();
        assert_eq!(config.output_folder, Path::new("/w/out"));
        assert_eq!(config.test_data, Path::new("/w/testdata"));
        assert_eq!(config.models, Path::new("/w/models"));
        assert_eq!(config.models, config.output_model);
        assert_eq!(config.deployment, Path::new("/w/production_deployment"));
        assert_eq!(config.source_folder, config.input_folder);
        assert_eq!(config.schema.target(), "exited");
        assert_eq!(config.schema.negative_label(), Some("0"));
        assert_eq!(config.training, Training::default());
    }

    #[test]
    fn every_problem_is_reported_at_once_with_the_nearest_key() {
        let text = r#"{"input_folder_path": 3, "output_folder_path": "x",
            "test_data_path": "x", "ouput_model_path": "m", "prod_deployment_path": "p",
            "training": {"C": -1, "solvr": "newton", "missing": "zero"},
            "schema": {"numeric": ["a", "a", "y", " b"], "target": "y"}}"#;
        let error = Config::parse(text, Path::new("config.json")).unwrap_err().to_string();
        for part in [
            "problems in config.json",
            "\"input_folder_path\" must be a text in quotes, not 3",
            "\"output_model_path\" is missing",
            "\"ouput_model_path\" is not a known key; did you mean \"output_model_path\"?",
            "\"training.C\" must be a number from",
            "\"training.solvr\" is not a known key; did you mean \"training.solver\"?",
            "\"training.missing\" must be one of \"median\", \"mean\"",
            "\"schema.numeric\" names the column \"a\" twice",
            "\"schema.numeric\" has the column name \" b\": trim it",
            "\"schema.target\" names the column \"y\", which \"schema.numeric\" names too",
        ] {
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }

    #[test]
    fn folders_that_are_not_named_are_one_problem_each() {
        let error = Config::parse("{\"input_folder_path\": \"in\"}", Path::new("config.json"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("4 problems") && error.matches("is missing").count() == 4,
            "{error}"
        );
    }

    #[test]
    fn a_schema_of_ones_own_replaces_the_default_whole() {
        let own = r#","schema":{"categorical":["size"],"target":"left","positive_label":true}"#;
        let config = parse(own).unwrap();
        let names: Vec<_> = config.schema.columns().iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["size", "left"]);
        assert_eq!(config.schema.positive_label(), "true");
        assert_eq!(config.schema.negative_label(), None);
        assert!(parse(r#","schema":{"target":"left"}"#).is_err());
    }

    #[test]
    fn rare_levels_are_few_or_a_share() {
        let schema =
            |more: &str| format!(r#","schema":{{"categorical":["g"],"target":"y"{more}}}"#);
        let of = |more: &str| parse(&schema(more)).map(|config| config.training.pooling);
        assert_eq!(of("").unwrap(), Pooling::default());
        let both = of(r#","max_levels":20,"min_frequency":5"#).unwrap();
        assert_eq!(both.max_levels, Some(20));
        assert_eq!(both.min_frequency, Some(Frequency::Rows(5)));
        let share = of(r#","min_frequency":0.01"#).unwrap();
        assert_eq!(share.min_frequency, Some(Frequency::Share(0.01)));
        for wrong in ["-1", "0", "1.5", "\"5\""] {
            let error = of(&format!(r#","min_frequency":{wrong}"#)).unwrap_err().to_string();
            assert!(error.contains("\"schema.min_frequency\" must be"), "{error}");
        }
    }

    #[test]
    fn separators_of_numbers_are_checked() {
        let of = |section: &str| parse(&format!(r#","ingestion":{{{section}}}"#));
        let numbers = |section: &str| of(section).unwrap().ingestion.numbers;
        let format = |decimal, thousands| NumberFormat { decimal, thousands };
        assert_eq!(numbers(""), format('.', Some(',')));
        assert_eq!(numbers(r#""decimal":",""#), format(',', Some('.')));
        assert_eq!(numbers(r#""decimal":",","thousands":" ""#), format(',', Some(' ')));
        assert_eq!(numbers(r#""thousands":null"#), format('.', None));
        assert_eq!(numbers(r#""decimal":",","thousands":"none""#), format(',', None));
        for wrong in [r#""decimal":",","thousands":",""#, r#""thousands":".""#, r#""decimal":";""#]
        {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("ingestion."), "{error}");
        }
    }

    #[test]
    fn null_keeps_all_and_nothing_keeps_the_default() {
        let of = |more: &str| parse(more).unwrap().retention;
        assert_eq!(
            of(""),
            Retention { keep_releases: Some(10), keep_datasets: Some(5), keep_days: Some(90) }
        );
        let both = r#","retention":{"keep_releases":null,"keep_datasets":3,"keep_days":null}"#;
        assert_eq!(
            of(both),
            Retention { keep_releases: None, keep_datasets: Some(3), keep_days: None }
        );
        let error = parse(r#","retention":{"keep_releases":0}"#).unwrap_err().to_string();
        assert!(error.contains("\"retention.keep_releases\" must be a whole number"), "{error}");
    }

    #[test]
    fn a_group_is_a_column_or_a_list_of_them() {
        let of = |more: &str| parse(&format!(r#","holdout":{more}"#)).map(|c| c.holdout);
        assert_eq!(of("{}").unwrap(), Holdout::default());
        let group = |more: &str| of(more).unwrap().group.unwrap();
        assert_eq!(group(r#"{"group":"corporation"}"#), ["corporation"]);
        assert_eq!(group(r#"{"group":["corporation","number_of_employees"]}"#).len(), 2);
        assert!(group(r#"{"group":[]}"#).is_empty(), "rows by themselves");
        assert_eq!(of(r#"{"time":"corporation"}"#).unwrap().time.unwrap(), "corporation");
        for wrong in [r#"{"group":"client"}"#, r#"{"group":["exited"]}"#, r#"{"time":"day"}"#] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("name columns of \"schema\" other than the target"), "{error}");
        }
        assert!(of(r#"{"group":3}"#).is_err());
    }

    #[test]
    fn broken_json_says_where() {
        let error = Config::parse("{\"a\": }", Path::new("c.json")).unwrap_err().to_string();
        assert!(error.contains("line 1 column 7"), "{error}");
    }
}
