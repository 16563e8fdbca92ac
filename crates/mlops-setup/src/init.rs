//! `first_run --init`: looks at the data, asks if somebody is there, and writes a configuration with its evidence.
//!
//! An existing file is never overwritten, and nothing else is written. Not for the run that follows.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mlops_core::config::Config;
use mlops_core::platform::disk::Disk;
use mlops_core::run::attention::{Attention, Finding};
use mlops_core::run::context::Report;
use mlops_core::source::Places;
use mlops_core::{Error, Result, text};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::address;
use crate::columns::Use;
use crate::data::{self, Data, Wanted};
use crate::evidence;
use crate::proposal::{Proposal, Wishes};

/// What `--init` was given.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// A file, a folder or an address.
    pub data: OsString,
    /// The table of a database.
    pub table: Option<String>,
    /// The columns that identify a row of it, where it does not say so itself.
    pub key: Vec<String>,
    /// The label column.
    pub target: Option<String>,
    /// The label to find.
    pub positive: Option<String>,
}

/// Asks a question and returns the answer without blanks around it; `None` if there will be no more.
pub type Ask<'a> = dyn FnMut(&str) -> Option<String> + 'a;

/// Somebody who can be asked.
pub struct Person<'a> {
    /// Tells them something.
    pub tell: Box<dyn FnMut(&str) + 'a>,
    /// Asks them.
    pub ask: Box<Ask<'a>>,
}

impl fmt::Debug for Person<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").finish_non_exhaustive()
    }
}

impl Person<'_> {
    /// Somebody at a terminal.
    pub fn at(tell: fn(&str), ask: fn(&str) -> Option<String>) -> Self {
        Self { tell: Box::new(tell), ask: Box::new(ask) }
    }
}

/// What was proposed and written.
#[derive(Debug, Serialize)]
pub struct Initiated {
    /// The data that were looked at.
    pub data: String,
    /// Its files.
    pub files: Vec<String>,
    /// The configuration that was written.
    pub config: PathBuf,
    /// The page with its evidence.
    pub evidence: PathBuf,
    /// What it says and why.
    pub proposal: Proposal,
}

/// Proposes a configuration for the data that `asked` names, and writes it to `config`.
pub fn run(
    asked: &Asked,
    config: &Path,
    places: &dyn Places,
    person: Option<Person<'_>>,
) -> Result<Initiated> {
    let page = evidence::path(config);
    refuse_existing(asked, config, &page)?;
    let data = data::look(
        Wanted { data: &asked.data, table: asked.table.as_deref(), key: &asked.key, config },
        places,
    )?;
    let files = data.files.len();
    let wishes = Wishes {
        target: asked.target.clone(),
        positive: asked.positive.clone(),
        ..Wishes::default()
    };
    let mut proposal = Proposal::of(&data.sample, files, &wishes)?;
    if let Some(mut person) = person {
        (person.tell)(&head(&data, &proposal));
        (person.tell)("\nEnter takes what is proposed in brackets.\n");
        proposal = questions(&data, proposal, &wishes, &mut person);
        (person.tell)("\n");
    }
    let text = written(&data, &proposal)?;
    // A proposal that is not accepted would be a fault of ours; it is told before anything is written.
    Config::parse(&text, config)?;
    let name =
        config.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let disk = Disk::default();
    let evidence = evidence::page(&proposal, &text::name(&name), &data.place, &data.files);
    disk.write(&page, evidence.as_bytes())?;
    let mut file = disk.new_file(config)?;
    file.write_all(text.as_bytes())?;
    file.publish(false)?;
    Ok(Initiated {
        data: data.place,
        files: data.files,
        config: config.to_owned(),
        evidence: page,
        proposal,
    })
}

/// A configuration that is there stays as it is.
fn refuse_existing(asked: &Asked, config: &Path, page: &Path) -> Result<()> {
    let shown = text::printed(config);
    if fs::symlink_metadata(config).is_ok() {
        let data = address::shown(&asked.data.to_string_lossy());
        // To be copied into a shell.
        let blank = data.contains(char::is_whitespace);
        let data = if blank { format!("\"{data}\"") } else { data };
        return Err(Error::conflict(format!(
            "{shown} is there already, and stays as it is. For a workspace of its own, name another place: first_run \
             --init {data} --config workspace/config.json. To use the present one, run first_run; to replace it, move \
             it away first"
        )));
    }
    let known = fs::read_to_string(page).is_ok_and(|text| text.starts_with(evidence::HEAD));
    if fs::symlink_metadata(page).is_ok() && !known {
        return Err(Error::conflict(format!(
            "{} is there already, and the evidence for the configuration would be written there: move it away, or \
             name another place with --config",
            text::printed(page)
        )));
    }
    Ok(())
}

/// The text of the configuration.
fn written(data: &Data, proposal: &Proposal) -> Result<String> {
    let mut keys = data.keys.clone();
    let mut schema = proposal.schema();
    let mut sections: Map<String, Value> = Map::new();
    for chosen in &proposal.chosen {
        let Some((section, key)) = chosen.key.split_once('.') else { continue };
        if section == "schema" {
            schema.insert(key.to_owned(), chosen.value.clone());
            continue;
        }
        let section = sections.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if let Some(section) = section.as_object_mut() {
            section.insert(key.to_owned(), chosen.value.clone());
        }
    }
    // What the source needs, files in the input folder need too.
    let format = keys.get("sources").and_then(|sources| sources.get(0)?.get("format"));
    if let Some(mut format) = format.and_then(Value::as_object).cloned() {
        format.remove("kind");
        if !format.is_empty() {
            let section = sections.entry("ingestion").or_insert_with(|| Value::Object(Map::new()));
            if let Some(section) = section.as_object_mut() {
                section.insert("format".to_owned(), Value::Object(format));
            }
        }
    }
    keys.insert("schema".to_owned(), Value::Object(schema));
    keys.extend(sections);
    let text = serde_json::to_string_pretty(&Value::Object(keys))
        .map_err(|e| Error::backend("JSON", e))?;
    Ok(text + "\n")
}

/// Asks about what was proposed; Enter takes it.
fn questions(
    data: &Data,
    proposal: Proposal,
    wishes: &Wishes,
    person: &mut Person<'_>,
) -> Proposal {
    let mut talk = Talk { data, proposal, wishes: wishes.clone() };
    if wishes.target.is_none() {
        let target = &talk.proposal.target;
        let others = match target.others.as_slice() {
            [] => String::new(),
            others => format!(" (or {})", text::names(others)),
        };
        let (question, present) =
            (format!("Which column is the label{others}?"), target.column.clone());
        talk.ask(person, &question, &present, |_, wishes, answer| {
            wishes.target = Some(answer);
            Ok(())
        });
    }
    if wishes.positive.is_none() {
        let target = &talk.proposal.target;
        let question = format!(
            "Which of its values is to be found, {} or {}?",
            text::name(&target.positive),
            text::name(&target.negative)
        );
        let present = target.positive.clone();
        talk.ask(person, &question, &present, |_, wishes, answer| {
            wishes.positive = Some(answer);
            Ok(())
        });
    }
    let with = "(names with commas, - for none)";
    let present = listed(&talk.proposal, Use::Id);
    talk.ask(
        person,
        &format!("Which columns identify a row? {with}"),
        &present,
        |proposal, wishes, answer| {
            wishes.ids = Some(names(proposal, &answer)?);
            Ok(())
        },
    );
    let present = listed(&talk.proposal, Use::LeftOut);
    if present != "-" {
        talk.ask(
            person,
            &format!("Which columns are left out? {with}"),
            &present,
            |proposal, wishes, answer| {
                wishes.left_out = Some(names(proposal, &answer)?);
                Ok(())
            },
        );
    }
    talk.proposal
}

/// Questions and what came of them so far.
struct Talk<'a> {
    data: &'a Data,
    proposal: Proposal,
    wishes: Wishes,
}

impl Talk<'_> {
    /// Asks until the answer makes a proposal, or is what is proposed already.
    fn ask(
        &mut self,
        person: &mut Person<'_>,
        question: &str,
        present: &str,
        wish: impl Fn(&Proposal, &mut Wishes, String) -> Result<()>,
    ) {
        while let Some(answer) = answer(person, question, present) {
            let mut wishes = self.wishes.clone();
            let made = wish(&self.proposal, &mut wishes, answer)
                .and_then(|()| Proposal::of(&self.data.sample, self.data.files.len(), &wishes));
            match made {
                Ok(proposal) => {
                    (self.proposal, self.wishes) = (proposal, wishes);
                    return;
                }
                Err(error) => (person.tell)(&format!("{error}\n")),
            }
        }
    }
}

/// The names of the columns that are to be `what`, as an answer has them.
fn listed(proposal: &Proposal, what: Use) -> String {
    let names = proposal.names(what);
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

/// The columns that an answer names.
fn names(proposal: &Proposal, answer: &str) -> Result<Vec<String>> {
    let names = answer.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "-");
    let names: Vec<String> = names.map(str::to_owned).collect();
    let known = |name: &String| proposal.columns.iter().any(|column| column.name == *name);
    match names.iter().find(|name| !known(name)) {
        Some(unknown) => {
            Err(Error::data(format!("there is no column \"{}\"", text::name(unknown))))
        }
        None => Ok(names),
    }
}

/// The answer to a question, if it is another one than the proposed.
fn answer(person: &mut Person<'_>, question: &str, proposed: &str) -> Option<String> {
    let answer = (person.ask)(&format!("{question} [{}] ", text::one_line(proposed)))?;
    (!answer.is_empty() && answer != proposed).then_some(answer)
}

/// What was looked at, and what is proposed.
fn head(data: &Data, proposal: &Proposal) -> String {
    looked_at(&data.place, &data.files, proposal) + &evidence::summary(proposal)
}

fn looked_at(place: &str, files: &[String], proposal: &Proposal) -> String {
    let files = match files.len() {
        1 => String::new(),
        n => format!(" in {}", text::plural(n as u64, "file")),
    };
    format!(
        "Looked at {place}: {}{files}, {}\n",
        text::plural(proposal.rows, "row"),
        text::plural(proposal.columns.len() as u64, "column"),
    )
}

impl Report for Initiated {
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }

    fn attention(&self) -> Attention {
        Attention::Fine
    }
}

impl fmt::Display for Initiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&looked_at(&self.data, &self.files, &self.proposal))?;
        f.write_str(&evidence::summary(&self.proposal))?;
        for doubt in &self.proposal.doubts {
            writeln!(f, "  look at: {doubt}")?;
        }
        writeln!(
            f,
            "Wrote {}, and {} with the evidence for each choice.",
            text::printed(&self.config),
            text::printed(&self.evidence)
        )
    }
}
