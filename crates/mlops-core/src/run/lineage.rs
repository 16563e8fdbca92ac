//! What each step read and wrote, as events of OpenLineage: a START, then a COMPLETE or a FAIL.
//!
//! An event that cannot be written is a line in the log; no run fails or waits for it. Not for sending events:
//! see the runtime crate.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::config::contract::Severity;
use crate::dataset::rule_broken::RuleBroken;
use crate::ids::Step;
use crate::platform::digest::Digest;
use crate::platform::disk::Disk;
use crate::table::schema::Role;

/// The specification that the events follow.
const SPECIFICATION: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
/// The facets of the specification.
const FACETS: &str = "https://openlineage.io/spec/facets";
/// The most inputs that are named.
const MOST_INPUTS: usize = 200;

/// What a step read and wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lineage {
    /// Its inputs.
    pub inputs: Vec<Dataset>,
    /// Its outputs.
    pub outputs: Vec<Dataset>,
}

/// A file that a step read or wrote, or a table of a database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dataset {
    /// Its path, or its name in `namespace`.
    pub path: String,
    /// The namespace, if it is no file.
    pub namespace: Option<String>,
    /// Its digest.
    pub sha256: Option<Digest>,
    /// It has the columns of the schema.
    pub table: bool,
    /// The number of its rows.
    pub rows: Option<u64>,
    /// The number of its bytes.
    pub bytes: Option<u64>,
    /// What became of its rows, by name.
    pub fates: Vec<(&'static str, u64)>,
    /// The rules of its contract that it breaks.
    pub broken: Vec<RuleBroken>,
}

/// How a step stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage<'a> {
    Begins,
    Ends(&'a Lineage),
    Fails(&'a str),
}

/// Where a step runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) config: &'a Config,
    pub(crate) run: &'a str,
    pub(crate) step: Step,
    pub(crate) version: &'a str,
    pub(crate) host: &'a str,
}

/// Sends an event somewhere, without waiting.
pub type Send = dyn Fn(&str) + std::marker::Send + Sync;

/// The events of a run so far.
#[derive(Clone, Default)]
pub struct Events {
    lines: Arc<Mutex<String>>,
    /// Who else gets each event.
    pub send: Option<Arc<Send>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// Tells an event.
    pub(crate) fn tell(&self, disk: &Disk, job: Job, stage: Stage, time: &str) {
        let line = event(job, stage, time).to_string();
        if let Some(send) = &self.send {
            send(&line);
        }
        let Some(folder) = &job.config.lineage.folder else { return };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_str(&line);
        lines.push('\n');
        let path = folder.join(format!("{}.ndjson", job.run));
        let written = disk.create_folder(folder).and_then(|()| disk.write(&path, lines.as_bytes()));
        if let Err(error) = written {
            tracing::warn!("the lineage of {} was not written: {error}", job.step);
        }
    }
}

fn event(job: Job, stage: Stage, time: &str) -> Value {
    let (kind, lineage, error) = match stage {
        Stage::Begins => ("START", None, None),
        Stage::Ends(lineage) => ("COMPLETE", Some(lineage), None),
        Stage::Fails(why) => ("FAIL", None, Some(why)),
    };
    let mut facets = Map::new();
    let own = json!({"run": job.run, "host": job.host, "version": job.version});
    facets.insert("mlops_run".to_owned(), of_our_own(job, "RunFacet", own));
    if let Some(why) = error {
        let error = json!({"message": why, "programmingLanguage": "Rust"});
        facets
            .insert("errorMessage".to_owned(), facet(job, "1-0-1", "ErrorMessageRunFacet", error));
    }
    let inputs = lineage.map_or(&[][..], |lineage| &lineage.inputs);
    let outputs = lineage.map_or(&[][..], |lineage| &lineage.outputs);
    let named = &inputs[..inputs.len().min(MOST_INPUTS)];
    if named.len() < inputs.len() {
        let more = json!({"inputs_not_named": inputs.len() - named.len()});
        facets.insert("mlops_omitted".to_owned(), of_our_own(job, "OmittedFacet", more));
    }
    json!({
        "eventType": kind,
        "eventTime": time,
        "producer": producer(job),
        "schemaURL": SPECIFICATION,
        "run": {"runId": run_id(job), "facets": facets},
        "job": {"namespace": job.config.lineage.namespace, "name": job.step.as_str(), "facets": {}},
        "inputs": named.iter().map(|input| of_input(job, input)).collect::<Vec<_>>(),
        "outputs": outputs.iter().map(|output| of_output(job, output, named)).collect::<Vec<_>>(),
    })
}

fn of_input(job: Job, input: &Dataset) -> Value {
    let mut facets = facets(job, input);
    let mut checked = Map::new();
    let contract = job.config.contract_at(Path::new(&input.path));
    if contract.is_some() || !input.broken.is_empty() {
        let quality = json!({"assertions": assertions(job.config, input)});
        let name = "DataQualityAssertionsDatasetFacet";
        checked.insert("dataQualityAssertions".to_owned(), facet(job, "1-1-0", name, quality));
    }
    if !input.fates.is_empty() {
        let fates: Map<String, Value> =
            input.fates.iter().map(|(fate, rows)| ((*fate).to_owned(), json!(rows))).collect();
        facets.insert("mlops_rows".to_owned(), of_our_own(job, "RowsFacet", Value::Object(fates)));
    }
    let (namespace, name) = named(input);
    json!({"namespace": namespace, "name": name, "facets": facets, "inputFacets": checked})
}

/// One assertion for each rule that is broken, and one for each column whose rules are all kept.
fn assertions(config: &Config, input: &Dataset) -> Vec<Value> {
    let mut assertions = Vec::new();
    for rule in &input.broken {
        let severity = if rule.severity == Severity::Warn { "warn" } else { "error" };
        let mut assertion = json!({"assertion": rule.rule, "success": false, "severity": severity});
        if let Some(column) = &rule.column {
            assertion["column"] = json!(column);
        }
        assertions.push(assertion);
    }
    let columns = config.contract_at(Path::new(&input.path)).map_or(&[][..], |c| &c.columns);
    let kept = columns.iter().filter(|column| {
        input.broken.iter().all(|rule| rule.column.as_ref() != Some(&column.name))
    });
    assertions
        .extend(kept.map(|c| json!({"assertion": "contract", "success": true, "column": c.name})));
    assertions
}

fn of_output(job: Job, output: &Dataset, inputs: &[Dataset]) -> Value {
    let mut facets = facets(job, output);
    let tables: Vec<&Dataset> = inputs.iter().filter(|input| input.table).collect();
    if output.table && !tables.is_empty() {
        let fields = column_lineage(job.config, &tables);
        let fields = json!({"fields": fields});
        let name = "ColumnLineageDatasetFacet";
        facets.insert("columnLineage".to_owned(), facet(job, "1-2-0", name, fields));
    }
    let mut written = Map::new();
    if let Some(rows) = output.rows {
        let mut statistics = json!({"rowCount": rows});
        if let Some(bytes) = output.bytes {
            statistics["size"] = json!(bytes);
        }
        let name = "OutputStatisticsOutputDatasetFacet";
        written.insert("outputStatistics".to_owned(), facet(job, "1-0-2", name, statistics));
    }
    let (namespace, name) = named(output);
    json!({"namespace": namespace, "name": name, "facets": facets, "outputFacets": written})
}

/// For each column of the schema, the columns of the inputs from which it comes.
fn column_lineage(config: &Config, inputs: &[&Dataset]) -> Map<String, Value> {
    let theirs: Vec<Vec<String>> = inputs
        .iter()
        .map(|input| config.reading_at(Path::new(&input.path)).columns.theirs(&config.schema))
        .collect();
    let columns = config.schema.columns().iter().enumerate();
    let fields = columns.map(|(at, column)| {
        let from = inputs.iter().zip(&theirs).map(|(input, names)| {
            let (namespace, name) = named(input);
            json!({"namespace": namespace, "name": name, "field": names[at]})
        });
        (column.name.clone(), json!({"inputFields": from.collect::<Vec<_>>()}))
    });
    fields.collect()
}

/// The facets that inputs and outputs have alike.
fn facets(job: Job, dataset: &Dataset) -> Map<String, Value> {
    let mut facets = Map::new();
    if dataset.table {
        let kind = |role| match role {
            Role::Numeric => "number",
            Role::Date => "timestamp",
            Role::Id | Role::Categorical | Role::Target => "string",
        };
        let columns = job.config.schema.columns().iter();
        let fields = columns.map(|column| json!({"name": column.name, "type": kind(column.role)}));
        let fields = json!({"fields": fields.collect::<Vec<_>>()});
        facets.insert("schema".to_owned(), facet(job, "1-2-0", "SchemaDatasetFacet", fields));
    }
    if let Some(digest) = dataset.sha256 {
        let version = json!({"datasetVersion": digest.to_string()});
        let name = "DatasetVersionDatasetFacet";
        facets.insert("version".to_owned(), facet(job, "1-0-1", name, version));
    }
    facets
}

/// Namespace and name, the same from wherever it is looked at.
fn named(dataset: &Dataset) -> (&str, String) {
    if let Some(namespace) = &dataset.namespace {
        return (namespace, dataset.path.clone());
    }
    let full = std::path::absolute(&dataset.path);
    ("file", full.map_or_else(|_| dataset.path.clone(), |path| path.display().to_string()))
}

fn producer(job: Job) -> String {
    format!("urn:mlops:{}", job.version)
}

/// A facet of the specification, as its own `version` defines it.
fn facet(job: Job, version: &str, name: &str, mut content: Value) -> Value {
    content["_producer"] = json!(producer(job));
    content["_schemaURL"] = json!(format!("{FACETS}/{version}/{name}.json#/$defs/{name}"));
    content
}

fn of_our_own(job: Job, name: &str, mut content: Value) -> Value {
    content["_producer"] = json!(producer(job));
    content["_schemaURL"] = json!(format!("urn:mlops:facets:{name}:1"));
    content
}

/// An identifier as OpenLineage wants it: the same for all events of a step of a run, and for no other.
fn run_id(job: Job) -> String {
    let digest =
        Digest::of(format!("{} {} {}", job.host, job.run, job.step).as_bytes()).to_string();
    // Version 8: of the application's own making.
    format!(
        "{}-{}-8{}-8{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[12..15],
        &digest[15..18],
        &digest[18..30]
    )
}
