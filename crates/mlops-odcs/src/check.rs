//! Compares a document with the configuration and lists each fact that only one has or on which they
//! differ. `facts` defines what a fact is.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use mlops_core::ids::FindingKind;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Report};
use mlops_core::{Result, text};
use serde::Serialize;
use serde_json::Value;

use crate::document::{no_contract, sources};
use crate::facts::{self, Facts};
use crate::yaml;

/// How a document and the configuration differ.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The document.
    pub file: String,
    /// The sources that were compared.
    pub sources: Vec<String>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// A fact that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The source; `input` for the input folder.
    pub source: String,
    /// What it is about: `age: min`.
    pub what: String,
    /// What the document says, if anything.
    pub file: Option<String>,
    /// What the configuration says, if anything.
    pub configuration: Option<String>,
}

impl Report for Checked {
    fn changed(&self) -> bool {
        false
    }

    fn findings(&self) -> Vec<Finding> {
        let differ = match self.differences.len() {
            0 => None,
            n => Some(format!(
                "{} and the configuration differ: {}",
                self.file,
                text::plural(n as u64, "difference")
            )),
        };
        let found = |words| Finding::failed(FindingKind::Difference, words);
        differ.map(found).into_iter().collect()
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.differences.is_empty() {
            let sources = text::names(&self.sources);
            return writeln!(f, "{} says what the configuration says of {sources}.", self.file);
        }
        let said = |fact: &Option<String>| fact.as_deref().map_or("–".to_owned(), text::one_line);
        let mut rows =
            vec![["source", "what", "document", "configuration"].map(str::to_owned).into()];
        for difference in &self.differences {
            rows.push(vec![
                text::one_line(&difference.source),
                text::one_line(&difference.what),
                said(&difference.file),
                said(&difference.configuration),
            ]);
        }
        f.write_str(&text::table(&rows))
    }
}

/// Holds the document in the file at `path` against the configuration of all sources, or of the one called
/// `source`.
///
/// An object of the document is a source by its name. If both have one only, names do not matter.
pub fn check(context: &Context, path: &Path, source: Option<&str>) -> Result<Checked> {
    let document = yaml::read(path)?;
    let file = path.display().to_string();
    let objects = objects(&document).ok_or_else(|| no_contract(&file))?;
    let ours = sources(&context.config, source)?;
    let mut differences = Vec::new();
    let mut met = BTreeSet::new();
    let alone = ours.len() == 1 && objects.len() == 1;
    for one in &ours {
        let named = |object: &&(String, Facts)| object.0 == one.name;
        let found = if alone { objects.first() } else { objects.iter().find(named) };
        let Some((name, theirs)) = found else {
            // A folder without a contract promises nothing.
            if one.contract.is_some() || source.is_some() {
                differences.push(whole(one.name, None, Some("there")));
            }
            continue;
        };
        met.insert(name.as_str());
        compare(one.name, theirs, &facts::of(&one.object()), &mut differences);
    }
    for (name, _) in &objects {
        if source.is_none() && !met.contains(name.as_str()) {
            differences.push(whole(name, Some("there"), None));
        }
    }
    let sources = ours.iter().map(|one| one.name.to_owned()).collect();
    Ok(Checked { file, sources, differences })
}

/// The objects of a document, by name.
fn objects(document: &Value) -> Option<Vec<(String, Facts)>> {
    let standard = document["apiVersion"].as_str()?.starts_with("v3.");
    let contract = document["kind"] == "DataContract";
    let objects = document["schema"].as_array().filter(|_| standard && contract)?;
    let named = |object: &Value| {
        (object["name"].as_str().unwrap_or_default().to_owned(), facts::of(object))
    };
    Some(objects.iter().map(named).collect())
}

fn whole(source: &str, file: Option<&str>, configuration: Option<&str>) -> Difference {
    Difference {
        source: source.to_owned(),
        what: "object".to_owned(),
        file: file.map(str::to_owned),
        configuration: configuration.map(str::to_owned),
    }
}

fn compare(source: &str, theirs: &Facts, ours: &Facts, differences: &mut Vec<Difference>) {
    let both: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for what in both {
        let (file, configuration) = (theirs.get(what), ours.get(what));
        // A document need not name types and severities.
        let silent = what.ends_with(": type") || what.contains("severity of ");
        // Of a column that one of them lacks, this alone is told.
        let column = what.rsplit_once(": ").map(|(column, _)| format!("{column}: column"));
        let absent = column.is_some_and(|column| {
            column != *what && theirs.contains_key(&column) != ours.contains_key(&column)
        });
        if file == configuration
            || absent
            || (silent && (file.is_none() || configuration.is_none()))
        {
            continue;
        }
        differences.push(Difference {
            source: source.to_owned(),
            what: what.clone(),
            file: file.cloned(),
            configuration: configuration.cloned(),
        });
    }
}
