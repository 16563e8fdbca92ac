//! The data for which a configuration is proposed: a file, a folder, a bucket or a table. Reads a sample in place,
//! and determines how the configuration refers to them.
//!
//! Not for what the rows mean: see `proposal`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::config::{Config, InputFolder};
use mlops_core::csv::formats;
use mlops_core::dataset::discover;
use mlops_core::platform::clock::{Clock, SystemClock};
use mlops_core::platform::disk::Disk;
use mlops_core::source::{Around, Fetched, Places, Seen};
use mlops_core::{Error, ErrorKind, Result, text};
use serde_json::{Map, Value, json};

use crate::address;
use crate::sample::Sample;

/// Objects of a bucket that are looked at.
const OBJECTS: usize = 3;
/// The name of the source that the data become.
const SOURCE: &str = "data";
/// What is wrong with a table of anything else.
const NO_DATABASE: &str =
    "--table is for a database, such as sqlite:customers.db or postgres://USER@HOST/DATABASE";
/// Headers of different files that a message shows.
const HEADERS: usize = 3;
/// Folders of a workspace: what each key names.
const FOLDERS: [(&str, &str); 5] = [
    ("input_folder_path", "incoming"),
    ("output_folder_path", "ingested"),
    ("test_data_path", "test"),
    ("output_model_path", "model"),
    ("prod_deployment_path", "live"),
];
/// The folder of releases, which no key needs to name.
const MODELS: &str = "models";

/// The data, as far as they were read.
#[derive(Debug)]
pub(crate) struct Data {
    /// What was named, for people.
    pub(crate) place: String,
    /// The names of its files.
    pub(crate) files: Vec<String>,
    /// Rows of them.
    pub(crate) sample: Sample,
    /// The keys of the configuration that name folders and sources.
    pub(crate) keys: Map<String, Value>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// A file, a folder or an address.
    pub(crate) data: &'a OsStr,
    /// The table of a database.
    pub(crate) table: Option<&'a str>,
    /// The columns that identify a row of it, where it does not say so itself.
    pub(crate) key: &'a [String],
    /// The configuration file that is to be written.
    pub(crate) config: &'a Path,
}

/// Finds and reads the data.
pub(crate) fn look(wanted: Wanted<'_>, places: &dyn Places) -> Result<Data> {
    if let Some(address) = wanted.data.to_str()
        && address::is_one(address)
    {
        address::check(address)?;
        return at_address(wanted, address, places);
    }
    if wanted.table.is_some() {
        return Err(Error::data(NO_DATABASE));
    }
    let path = Path::new(wanted.data);
    let path = path.to_str().and_then(|text| text.strip_prefix("file://")).map_or(path, Path::new);
    let shown = text::printed(path);
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::missing(format!(
            "there is no file or folder {shown}: name the data, as in first_run --init customers.csv"
        ))),
        Err(error) => Err(Error::io("read", path, error)),
        Ok(found) if found.is_dir() => in_folder(wanted, path),
        Ok(found) if found.is_file() => in_file(wanted, path),
        Ok(_) => Err(Error::data(format!("{shown} is neither a file nor a folder"))),
    }
}

fn in_file(wanted: Wanted<'_>, path: &Path) -> Result<Data> {
    let shown = text::printed(path);
    if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        return Err(Error::data(format!("{shown} is empty: name a file with a header and rows")));
    }
    let name = path.file_name().and_then(OsStr::to_str).ok_or_else(|| not_utf8(path))?;
    if name.starts_with(['.', '~', '#']) {
        return Err(Error::data(format!(
            "{shown} would never be read, since files with such names are hidden or temporary: rename it"
        )));
    }
    let sample = read(&[path.to_owned()], &shown)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut source = Map::new();
    source.insert("name".to_owned(), json!(SOURCE));
    source.insert("uri".to_owned(), json!(spelt(folder, wanted.config)?));
    source.insert("pattern".to_owned(), json!(glob_of(name)));
    let mut format = format_of(&sample);
    if !formats::takes(name) {
        // A name with no ending of a format is read only if the format is named.
        format.insert("kind".to_owned(), json!("csv"));
    }
    if !format.is_empty() {
        source.insert("format".to_owned(), Value::Object(format));
    }
    let mut keys = folders(wanted.config, None)?;
    keys.insert("sources".to_owned(), json!([source]));
    Ok(Data { place: shown, files: vec![name.to_owned()], sample, keys })
}

fn in_folder(wanted: Wanted<'_>, path: &Path) -> Result<Data> {
    let shown = text::printed(path);
    let listing = discover::list(InputFolder { path, key: "input_folder_path" })?;
    let base = folder_of(wanted.config);
    let here = same(path, base);
    let own = |name: &str| here && wanted.config.file_name().is_some_and(|own| own == name);
    let files: Vec<PathBuf> = listing
        .candidates
        .iter()
        .filter(|file| !own(&file.name))
        .map(|file| file.path.clone())
        .collect();
    let ignored: Vec<(String, String)> =
        listing.ignored.into_iter().map(|one| (one.name, one.reason)).collect();
    if files.is_empty() {
        let mut why = format!("there is no file of rows in the folder {shown}");
        for (name, reason) in ignored.iter().take(text::MOST_NAMES) {
            // Writing to a String cannot fail.
            let _ = write!(why, "\n  - {}: {reason}", text::name(name));
        }
        return Err(Error::missing(why));
    }
    let sample = read(&files, &shown)?;
    let names = files.iter().filter_map(|file| file.file_name().map(OsStr::to_string_lossy));
    let names: Vec<String> = names.map(std::borrow::Cow::into_owned).collect();
    alike(&sample, &names, &shown)?;
    let mut keys;
    if here {
        // The configuration itself lies there, and ends as some data do.
        let pattern = ending(&names).ok_or_else(|| {
            Error::data(format!(
                "the configuration would lie among the data, whose files have several endings: name another place \
                 for it, as in first_run --init {shown} --config workspace/config.json"
            ))
        })?;
        keys = folders(wanted.config, None)?;
        let mut source = Map::new();
        source.insert("name".to_owned(), json!(SOURCE));
        source.insert("uri".to_owned(), json!("."));
        source.insert("pattern".to_owned(), json!(pattern));
        let format = format_of(&sample);
        if !format.is_empty() {
            source.insert("format".to_owned(), Value::Object(format));
        }
        keys.insert("sources".to_owned(), json!([source]));
    } else {
        keys = folders(wanted.config, Some(&spelt(path, wanted.config)?))?;
    }
    Ok(Data { place: shown, files: names, sample, keys })
}

/// Files of a bucket, of a web server, or a table.
fn at_address(wanted: Wanted<'_>, address: &str, places: &dyn Places) -> Result<Data> {
    let shown = address::shown(address);
    let database = address::is_database(address);
    let mut source = Map::new();
    source.insert("name".to_owned(), json!(SOURCE));
    source.insert("uri".to_owned(), json!(spelt_address(address, wanted.config)?));
    if database {
        let table = wanted.table.ok_or_else(|| {
            Error::data(format!(
                "{shown} is a database: name the table too, as in first_run --init {shown} --table customers"
            ))
        })?;
        source.insert("table".to_owned(), json!(table));
        if !wanted.key.is_empty() {
            source.insert("key".to_owned(), json!(wanted.key));
        }
        source.insert("mode".to_owned(), json!("snapshot"));
    } else if wanted.table.is_some() {
        return Err(Error::data(NO_DATABASE));
    }
    let mut keys = folders(wanted.config, None)?;
    keys.insert("sources".to_owned(), json!([source]));
    // The source as a configuration has it: the schema does not matter here.
    let config = Config::parse(&Value::Object(keys.clone()).to_string(), wanted.config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let opened = config.sources.first().ok_or_else(|| Error::data("there is no source"))?;
    let about = |error| if address.starts_with("sqlite:") { error } else { about(&shown, error) };
    let around = Around { base: &config.base, clock: &clock };
    let place = places.open(opened, &around).map_err(about)?;
    let objects = place.list(&Seen::default()).map_err(about)?;
    let disk = Disk::default();
    let folder = disk.temporary_folder(&std::env::temp_dir())?;
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for object in objects.iter().filter(|object| database || formats::takes(&object.name)) {
        if files.len() == OBJECTS {
            break;
        }
        let name = object.name.rsplit('/').next().unwrap_or(&object.name);
        // Two may have the same name, which messages show.
        let at = folder.path().join(files.len().to_string());
        disk.create_folder(&at)?;
        let at = at.join(name);
        let mut file = disk.new_file(&at)?;
        let fetched = place.fetch(object, &mut Into(&mut file)).map_err(about)?;
        if matches!(fetched, Fetched::Whole { .. }) {
            file.publish_unsynced()?;
            files.push(at);
            names.push(object.name.clone());
        }
    }
    if files.is_empty() {
        return Err(Error::missing(format!(
            "{shown} has no file of rows that could be read ({} in all)",
            text::plural(objects.len() as u64, "object")
        )));
    }
    // Where they were fetched to is gone when somebody reads the message.
    let sample = read(&files, &shown).map_err(|error| {
        let (mut said, here) = (error.to_string(), text::printed(folder.path()));
        for n in 0..files.len() {
            said = said.replace(&format!("{here}/{n}/"), "");
        }
        Error::data(said)
    })?;
    alike(&sample, &names, &shown)?;
    let format = format_of(&sample);
    if !format.is_empty() && !database {
        source.insert("format".to_owned(), Value::Object(format));
        keys.insert("sources".to_owned(), json!([source]));
    }
    Ok(Data { place: shown, files: names, sample, keys })
}

/// A file of ours as a place to write to.
struct Into<'f>(&'f mut mlops_core::platform::disk::NewFile);

impl Write for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same error, which says which data it is about.
fn about(shown: &str, error: Error) -> Error {
    match error.to_string() {
        said if said.contains(shown) => error,
        said if matches!(error.kind(), ErrorKind::Remote(_)) => {
            Error::remote(format!("{shown}: {said}"))
        }
        said => Error::data(format!("{shown}: {said}")),
    }
}

fn read(files: &[PathBuf], shown: &str) -> Result<Sample> {
    let sample = Sample::of(files).map_err(|error| about(shown, error))?;
    let foreign = |name: &String| name.chars().any(|c| c.is_control() && !c.is_whitespace());
    if sample.columns.iter().any(|column| foreign(&column.name)) {
        return Err(Error::data(format!(
            "{shown} is not a table: its first line has characters that are not text. Formats that are read are CSV, JSON, \
             Parquet and Excel, packed or not"
        )));
    }
    if sample.rows == 0 {
        return Err(Error::data(format!(
            "{shown} has a header, but no row below it{}: with rows a configuration can be proposed",
            match sample.bad {
                0 => String::new(),
                bad => format!(" that can be read ({} cannot)", text::plural(bad, "line")),
            }
        )));
    }
    Ok(sample)
}

/// Refuses files that have too little in common to be rows of one table.
fn alike(sample: &Sample, files: &[String], shown: &str) -> Result<()> {
    let common = sample.columns.iter().filter(|column| column.absent == 0).count();
    if files.len() < 2 || 2 * common >= sample.columns.len() {
        return Ok(());
    }
    let of = |(file, names): &(usize, Vec<String>)| {
        format!("\n  - {} has {}", text::name(&files[*file]), text::names(names))
    };
    let headers: String = sample.headers.iter().take(HEADERS).map(of).collect();
    Err(Error::data(text::bounded(format!(
        "the files of {shown} have different columns, so that they are not rows of one table:{headers}\nName one of \
         them, as in first_run --init {}/FILE, or put those of one kind into a folder of their own",
        shown.trim_end_matches('/')
    ))))
}

/// The keys of a format that is not recognised by itself.
fn format_of(sample: &Sample) -> Map<String, Value> {
    let mut format = Map::new();
    if sample.headerless {
        let names: Vec<&str> = sample.columns.iter().map(|column| column.name.as_str()).collect();
        format.insert("header".to_owned(), json!(false));
        format.insert("names".to_owned(), json!(names));
    }
    if let Some(encoding) = sample.encoding {
        format.insert("encoding".to_owned(), json!(encoding));
    }
    format
}

/// The keys that name folders; those that a run would make must not be there yet.
fn folders(config: &Path, input: Option<&str>) -> Result<Map<String, Value>> {
    let base = folder_of(config);
    let taken = |prefix: &str| {
        let ours = FOLDERS.iter().skip(usize::from(input.is_some())).map(|(_, name)| *name);
        ours.chain([MODELS])
            .any(|name| fs::symlink_metadata(base.join(format!("{prefix}{name}"))).is_ok())
    };
    let prefixes = std::iter::once(String::new())
        .chain(std::iter::once("workspace/".to_owned()))
        .chain((2..100).map(|n| format!("workspace{n}/")));
    let prefix = prefixes.into_iter().find(|prefix| !taken(prefix)).ok_or_else(|| {
        Error::conflict(format!(
            "{} already has the folders of a hundred workspaces: name another place with --config",
            text::printed(base)
        ))
    })?;
    let mut keys = Map::new();
    for (key, name) in FOLDERS {
        let value = match input {
            Some(input) if key == "input_folder_path" => input.to_owned(),
            _ => format!("{prefix}{name}"),
        };
        keys.insert(key.to_owned(), json!(value));
    }
    Ok(keys)
}

/// The folder in which the file at `path` is.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// How the configuration names `path`: from its own folder if it lies there, else in full.
fn spelt(path: &Path, config: &Path) -> Result<String> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|e| Error::io("resolve", path, e));
    let (path, base) = (absolute(path)?, absolute(folder_of(config))?);
    let (path, base) = (plain(&path), plain(&base));
    let within = match path.strip_prefix(&base) {
        Ok(within) if within.as_os_str().is_empty() => Path::new("."),
        Ok(within) => within,
        Err(_) => &path,
    };
    within.to_str().map(str::to_owned).ok_or_else(|| not_utf8(&path))
}

/// How the configuration names an address: a file of SQLite is named as other files are, since its address is
/// relative to the configuration.
fn spelt_address(address: &str, config: &Path) -> Result<String> {
    let Some(path) = address.strip_prefix("sqlite:") else { return Ok(address.to_owned()) };
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(format!("sqlite:{}", spelt(path, config)?)),
        Ok(_) => Err(Error::data(format!("{} is not a file", text::printed(path)))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::missing(format!(
            "there is no file {}: name the database, as in first_run --init sqlite:customers.db --table customers",
            text::printed(path)
        ))),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// Without `.`, as `..` may lead through a link.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

fn not_utf8(path: &Path) -> Error {
    Error::data(format!(
        "the name of {} is not UTF-8, so that no configuration can hold it: rename it",
        text::printed(path)
    ))
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}

/// A pattern that takes the file `name` only.
fn glob_of(name: &str) -> String {
    let escape = |c: char| match c {
        '*' | '?' | '[' | ']' => format!("[{c}]"),
        c => c.to_string(),
    };
    name.chars().map(escape).collect()
}

/// A pattern for the ending that all `names` have, unless configurations have it too.
fn ending(names: &[String]) -> Option<String> {
    let (_, end) = names.first()?.split_once('.')?;
    let all = names.iter().all(|name| name.split_once('.').is_some_and(|(_, other)| other == end));
    (all && !end.ends_with("json")).then(|| format!("*.{}", glob_of(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_pattern_of_itself_only() {
        assert_eq!(glob_of("a b.csv"), "a b.csv");
        assert_eq!(glob_of("a[1]*?.csv"), "a[[]1[]][*][?].csv");
        assert_eq!(ending(&["a.csv".into(), "b.csv".into()]).as_deref(), Some("*.csv"));
        assert_eq!(ending(&["a.csv".into(), "b.txt".into()]), None);
        assert_eq!(ending(&["a.json".into()]), None);
    }
}
