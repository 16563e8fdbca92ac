//! A place in memory, whose objects a test puts, replaces, breaks and counts. Not for real places:
//! those are in mlops-sources.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use mlops_core::config;
use mlops_core::source::{Around, Fetched, FetchedRange, Object, Places, Seen, Source};
use mlops_core::{Error, Result};

/// The place; a copy is the same place.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, (Vec<u8>, u64)>,
    puts: u64,
    broken: BTreeSet<String>,
    changing: BTreeSet<String>,
    down: bool,
    unversioned: bool,
    fetched: Vec<String>,
    seen: Vec<Seen>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Puts or replaces an object.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut state = self.state();
        state.puts += 1;
        let version = state.puts;
        state.objects.insert(name.to_owned(), (bytes.as_ref().to_vec(), version));
    }

    /// Removes an object.
    pub fn remove(&self, name: &str) {
        self.state().objects.remove(name);
    }

    /// From now on, the object breaks off after half of its bytes; or no longer.
    pub fn breaks(&self, name: &str, yes: bool) {
        let broken = &mut self.state().broken;
        if yes {
            broken.insert(name.to_owned())
        } else {
            broken.remove(name)
        };
    }

    /// From now on, the object changes after half of its bytes; or no longer.
    pub fn changes(&self, name: &str, yes: bool) {
        let changing = &mut self.state().changing;
        if yes {
            changing.insert(name.to_owned())
        } else {
            changing.remove(name)
        };
    }

    /// Whether it can be reached at all.
    pub fn is_down(&self, down: bool) {
        self.state().down = down;
    }

    /// From now on, objects have no version.
    pub fn without_versions(&self) {
        self.state().unversioned = true;
    }

    /// The objects that were fetched since the last call, by name.
    pub fn fetched(&self) -> Vec<String> {
        let mut fetched = std::mem::take(&mut self.state().fetched);
        fetched.sort();
        fetched
    }

    /// How far the extracts had been ingested, at each list since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }
}

impl Places for Memory {
    fn open(&self, _: &config::Source, _: &Around<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(self.clone()))
    }
}

impl Source for Memory {
    fn list(&self, seen: &Seen) -> Result<Vec<Object>> {
        let mut state = self.state();
        state.seen.push(seen.clone());
        if state.down {
            return Err(Error::remote("nobody answers"));
        }
        let versioned = !state.unversioned;
        let object = |(name, (bytes, version)): (&String, &(Vec<u8>, u64))| Object {
            name: name.clone(),
            version: versioned.then(|| version.to_string()),
            size: Some(bytes.len() as u64),
            modified: None,
        };
        Ok(state.objects.iter().map(object).collect())
    }

    fn fetch(&self, object: &Object, to: &mut dyn Write) -> Result<Fetched> {
        let mut state = self.state();
        state.fetched.push(object.name.clone());
        let Some((bytes, version)) = state.objects.get(&object.name).cloned() else {
            return Ok(Fetched::Changed);
        };
        let (broken, changing) =
            (state.broken.contains(&object.name), state.changing.contains(&object.name));
        drop(state);
        if object.version.as_ref().is_some_and(|known| *known != version.to_string()) {
            return Ok(Fetched::Changed);
        }
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        let write = |to: &mut dyn Write, bytes: &[u8]| {
            to.write_all(bytes).map_err(|e| Error::backend("the place", e))
        };
        write(to, first)?;
        if broken {
            return Err(Error::remote("the connection broke off"));
        }
        if changing {
            return Ok(Fetched::Changed);
        }
        write(to, rest)?;
        // Rows end with the number that is the cursor.
        let cursor = (object.version.is_none()).then(|| bytes.len().to_string());
        Ok(Fetched::Whole { cursor })
    }

    fn has_ranges(&self, object: &Object) -> bool {
        object.version.is_some() && object.size.is_some()
    }

    fn fetch_range(
        &self,
        object: &Object,
        range: Range<u64>,
        to: &mut dyn Write,
    ) -> Result<FetchedRange> {
        let mut all = Vec::new();
        let fetched = self.fetch(object, &mut all);
        let place = |n: u64| usize::try_from(n).unwrap();
        let there = all.get(place(range.start)..place(range.end)).unwrap_or_default();
        to.write_all(there).map_err(|e| Error::backend("the place", e))?;
        // Trouble comes after half of the object.
        if range.end <= all.len() as u64 && range.end < object.size.unwrap_or_default() {
            return Ok(FetchedRange::Whole { version: object.version.clone() });
        }
        Ok(match fetched? {
            Fetched::Whole { .. } => FetchedRange::Whole { version: object.version.clone() },
            Fetched::Changed | Fetched::Empty => FetchedRange::Changed,
        })
    }
}
