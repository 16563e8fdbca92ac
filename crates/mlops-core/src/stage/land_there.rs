//! Objects of which a distributed engine fetches the bytes: each task a range, into the file that all machines see.
//!
//! A task opens the place as this process did, with the secrets of its own environment. It fails for good if the place
//! does, and is done again elsewhere if its disk does. Not for which objects are fetched, nor for what becomes of their
//! files: see [`super::land`].

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::training_tasks::not_json;
use crate::config::Source;
use crate::dataset::counts::own_fault;
use crate::dataset::task::{ConfigText, absolute, answer, next};
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::digest::Digest;
use crate::platform::disk::{Disk, FilePart, NewFile};
use crate::platform::engine::Engine;
use crate::run::context::Context;
use crate::source::{Around, FetchedRange, Object, Places};
use crate::{Error, Result};

/// How the texts of these tasks begin.
pub(crate) const PREFIX: &str = "objects:";

/// What is asked of whoever carries it out.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Fetch(Box<FetchRange>),
    Digest(PathBuf),
}

/// Fetches a range of an object.
#[derive(Debug, Serialize, Deserialize)]
struct FetchRange {
    config: ConfigText,
    /// The name of the source.
    source: String,
    object: Object,
    range: Range<u64>,
    file: PathBuf,
}

/// What became of a range.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Got {
    Fetched(FetchedRange),
    /// The place failed, in words.
    Failed(String),
}

/// Carries out a task whose text began with [`PREFIX`].
pub(crate) fn carry_out(text: &str, places: &dyn Places) -> Result<String> {
    match serde_json::from_str(text).map_err(not_json)? {
        Task::Fetch(task) => answer(task.carry_out(places)),
        Task::Digest(path) => answer(digest(&path)),
    }
}

fn digest(path: &Path) -> Result<(Digest, u64)> {
    let bytes = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
    Ok((Digest::of_file(path)?, bytes))
}

fn text(task: &Task) -> Result<String> {
    serde_json::to_string(task).map(|task| format!("{PREFIX}{task}")).map_err(not_json)
}

impl FetchRange {
    fn carry_out(&self, places: &dyn Places) -> Result<Got> {
        let config = self.config.parse()?;
        let Some(source) = config.sources.iter().find(|source| source.name == self.source) else {
            return Ok(Got::Failed(format!("an executor knows no source \"{}\"", self.source)));
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let place = match places.open(source, &Around { base: &config.base, clock: &clock }) {
            Ok(place) => place,
            Err(error) => return Ok(Got::Failed(format!("an executor: {}", own_fault(&error)))),
        };
        let file = Disk::for_task().part_of(&self.file, self.range.start)?;
        let mut to = Part { file, failed: None };
        let fetched = place.fetch_range(&self.object, self.range.clone(), &mut to);
        if let Some(failed) = to.failed {
            return Err(failed);
        }
        Ok(match fetched {
            Ok(fetched) => {
                to.file.finish()?;
                Got::Fetched(fetched)
            }
            Err(error) => Got::Failed(own_fault(&error)),
        })
    }
}

/// The bytes of a range on their way to the file.
struct Part {
    file: FilePart,
    failed: Option<Error>,
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(bytes) {
            self.failed = Some(error);
            return Err(io::ErrorKind::Other.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of an object.
pub(super) enum FetchedThere {
    /// All its bytes are in the file, and this is their digest.
    Whole(NewFile, Digest),
    Changed,
    /// The place failed, in words.
    Failed(String),
}

/// Has `engine` fetch `objects` of `source` into these files; the results are in their order.
pub(super) fn fetch(
    context: &Context,
    engine: &Arc<dyn Engine>,
    source: &Source,
    objects: Vec<(&Object, NewFile)>,
) -> Result<Vec<FetchedThere>> {
    let config = ConfigText::of(&context.config)?;
    let mut texts = Vec::new();
    let mut counts = Vec::new();
    for (object, file) in &objects {
        let path = absolute(file.temporary_path())?;
        let ranges = ranges(object.size.unwrap_or_default(), engine.range_bytes());
        counts.push(ranges.len());
        for range in ranges {
            let (config, source) = (config.clone(), source.name.clone());
            let (object, file) = ((*object).clone(), path.clone());
            let task = FetchRange { config, source, object, range, file };
            texts.push(text(&Task::Fetch(Box::new(task)))?);
        }
    }
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let answers = engine.run(texts)?;
    let mut answers = answers.iter().map(String::as_str);
    let mut found = Vec::new();
    for ((object, file), count) in objects.into_iter().zip(counts) {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(next::<Got>(&mut answers)?.map_err(Error::data)?);
        }
        found.push((object, file, together(all)));
    }
    let whole = found.iter().filter(|(.., got)| matches!(got, Together::Whole));
    let digests = whole.map(|(_, file, _)| text(&Task::Digest(absolute(file.temporary_path())?)));
    let digests = digests.collect::<Result<Vec<_>>>()?;
    let answers = if digests.is_empty() { Vec::new() } else { engine.run(digests)? };
    let mut answers = answers.iter().map(String::as_str);
    let finish = |(object, file, got): (&Object, NewFile, Together)| {
        Ok(match got {
            Together::Changed => FetchedThere::Changed,
            Together::Failed(words) => FetchedThere::Failed(words),
            Together::Whole => {
                let (digest, bytes): (Digest, u64) = next(&mut answers)?.map_err(Error::data)?;
                if Some(bytes) != object.size {
                    return Err(Error::remote(format!(
                        "{} does not have the bytes that the cluster fetched: the folder that all machines share is \
                         unreliable. Nothing was changed",
                        file.temporary_path().display()
                    )));
                }
                FetchedThere::Whole(file, digest)
            }
        })
    };
    found.into_iter().map(finish).collect()
}

/// What became of all ranges of an object.
#[derive(Debug, PartialEq)]
enum Together {
    Whole,
    Changed,
    Failed(String),
}

/// What the first range that is not whole makes of all of them, or one that is of another version.
fn together(ranges: Vec<Got>) -> Together {
    let mut first: Option<Option<String>> = None;
    for range in ranges {
        match range {
            Got::Failed(words) => return Together::Failed(words),
            Got::Fetched(FetchedRange::Whole { version })
                if *first.get_or_insert_with(|| version.clone()) == version => {}
            Got::Fetched(_) => return Together::Changed,
        }
    }
    Together::Whole
}

/// The ranges of an object of `size` bytes, which is at least one.
fn ranges(size: u64, bytes: u64) -> Vec<Range<u64>> {
    let mut all = Vec::new();
    let mut from = 0;
    while from < size || all.is_empty() {
        let until = from.saturating_add(bytes.max(1)).min(size);
        all.push(from..until);
        from = until;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_the_whole_object() {
        let pairs = |size| -> Vec<(u64, u64)> {
            ranges(size, 5).into_iter().map(|range| (range.start, range.end)).collect()
        };
        assert_eq!(pairs(0), [(0, 0)]);
        assert_eq!(pairs(5), [(0, 5)]);
        assert_eq!(pairs(11), [(0, 5), (5, 10), (10, 11)]);
    }

    #[test]
    fn ranges_of_different_versions_are_no_object() {
        let of = |version: Option<&str>| {
            Got::Fetched(FetchedRange::Whole { version: version.map(str::to_owned) })
        };
        let failed = || Got::Failed("no".to_owned());
        let changed = || Got::Fetched(FetchedRange::Changed);
        assert_eq!(together(vec![of(Some("a")), of(Some("a"))]), Together::Whole);
        assert_eq!(together(vec![of(None), of(None)]), Together::Whole);
        assert_eq!(together(vec![of(Some("a")), of(Some("b"))]), Together::Changed);
        assert_eq!(together(vec![of(None), of(Some("b"))]), Together::Changed);
        assert_eq!(together(vec![of(None), changed(), failed()]), Together::Changed);
        assert_eq!(
            together(vec![of(None), failed(), changed()]),
            Together::Failed("no".to_owned())
        );
    }
}
