//! Checks that a real source of rows does what every source must.
//!
//! A test passes in the means to change the source; the suite does the rest. Whatever else a source
//! does is checked by its own tests.

use std::io::{self, Write};

use mlops_core::source::{Fetched, FetchedRange, Object, Seen, Source};

/// A place under test.
pub trait Ground {
    /// The place, opened anew.
    fn open(&self) -> Box<dyn Source>;

    /// Puts or replaces an object.
    fn put(&self, name: &str, bytes: &[u8]);

    /// Removes an object.
    fn remove(&self, name: &str);

    /// Names that objects of this place can have, the odder the better; one if there is only one.
    fn names(&self) -> Vec<&'static str>;

    /// Whether a list shows that an object changed. Without it only its bytes do.
    fn has_versions(&self) -> bool {
        true
    }
}

/// Names with characters that mean something to addresses, shells, patterns and file systems.
pub const ODD_NAMES: &[&str] = &[
    "a b.csv",
    "a%20b.csv",
    "a+b&c=d.csv",
    "deep/er/and deeper/x.csv",
    "plus%2Fslash.csv",
    "q?u#e;r,y.csv",
    "quote'\"s.csv",
    "ümläut–日本.csv",
    "{brace}[bracket]*.csv",
    "~tilde.csv",
];

/// A writer that fails after `left` bytes.
struct Short {
    left: usize,
}

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// So many bytes without a pattern.
pub fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect()
}

/// The objects of a place.
pub fn list(place: &dyn Source) -> Vec<Object> {
    place.list(&Seen::default()).unwrap()
}

/// The bytes of an object that is there.
pub fn bytes(place: &dyn Source, object: &Object) -> Vec<u8> {
    let mut bytes = Vec::new();
    let fetched = place.fetch(object, &mut bytes).unwrap();
    assert!(matches!(fetched, Fetched::Whole { .. }), "{object:?}: {fetched:?}");
    bytes
}

/// Ranges that are fetched by different readers are those of the object, and tell the same version.
fn check_ranges(ground: &impl Ground, object: &Object, content: &[u8]) {
    let size = content.len() as u64;
    let (mut got, mut versions) = (Vec::new(), Vec::new());
    for range in [0..size / 3, size / 3..size / 2, size / 2..size] {
        let fetched = ground.open().fetch_range(object, range.clone(), &mut got).unwrap();
        let FetchedRange::Whole { version } = fetched else { panic!("{range:?}: {fetched:?}") };
        // Nothing was asked for an empty range.
        versions.extend((!range.is_empty()).then_some(version));
    }
    assert!(got == content, "{} bytes instead of {}", got.len(), content.len());
    versions.dedup();
    assert!(versions.len() <= 1, "{versions:?}");
}

/// All that a place owes whose objects are files.
pub fn check(ground: &impl Ground) {
    let names = ground.names();
    let content = |name: &str| format!("header\n{name}\n").repeat(3).into_bytes();
    for name in names.iter().rev() {
        ground.put(name, &content(name));
    }

    // Sorted, complete, repeatable.
    let place = ground.open();
    let listed = list(&*place);
    let found: Vec<&str> = listed.iter().map(|object| object.name.as_str()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(found, sorted);
    assert_eq!(listed, list(&*place), "two lists of the same differ");
    assert_eq!(listed, list(&*ground.open()), "another opening sees something else");

    // Exactly the bytes, also on threads.
    std::thread::scope(|scope| {
        for object in &listed {
            let place = &*place;
            scope.spawn(move || assert!(bytes(place, object) == content(&object.name)));
        }
    });
    for object in &listed {
        let size = content(&object.name).len() as u64;
        assert!(object.size.is_none_or(|s| s == size), "{object:?} has {size} bytes");
    }

    // Binary, large, and nothing at all.
    let (name, first) = (names[0], content(names[0]));
    let large: Vec<u8> = noise(20_000_000);
    for content in [large.as_slice(), b"", b"\0\xff\r\n\0"] {
        ground.put(name, content);
        let place = ground.open();
        let object = list(&*place).into_iter().find(|object| object.name == name).unwrap();
        let mut got = Vec::new();
        let fetched = place.fetch(&object, &mut got).unwrap();
        let nothing = fetched == Fetched::Empty && content.is_empty();
        assert!(nothing || matches!(fetched, Fetched::Whole { .. }), "{fetched:?}");
        assert!(got == content, "{} bytes instead of {}", got.len(), content.len());
        if place.has_ranges(&object) {
            check_ranges(ground, &object, content);
        }
    }

    // A reader that fails never leaves a whole object.
    ground.put(name, &large);
    let place = ground.open();
    let object = list(&*place).into_iter().find(|object| object.name == name).unwrap();
    for left in [0, 1, large.len() / 2, large.len() - 1] {
        let fetched = place.fetch(&object, &mut Short { left });
        assert!(fetched.is_err(), "{left} bytes were taken for all: {fetched:?}");
    }

    // A change is noticed, and a stale list gives nothing half.
    let before = listed.iter().find(|object| object.name == name).unwrap();
    ground.put(name, &[first.as_slice(), b"more\n"].concat());
    let place = ground.open();
    let after = list(&*place).into_iter().find(|object| object.name == name).unwrap();
    if ground.has_versions() {
        assert!(after.version.is_some() && before.version != after.version, "{before:?} {after:?}");
        let mut got = Vec::new();
        assert_eq!(place.fetch(before, &mut got).unwrap(), Fetched::Changed, "{before:?}");
        if place.has_ranges(before) {
            let fetched = place.fetch_range(before, 0..1, &mut got).unwrap();
            assert_eq!(fetched, FetchedRange::Changed, "{before:?}");
        }
        ground.put(name, &first);
        let again = list(&*ground.open()).into_iter().find(|object| object.name == name).unwrap();
        assert_ne!(again.version, after.version);
    }

    // What is gone is not there.
    if names.len() > 1 {
        let object = list(&*place).into_iter().find(|object| object.name == names[1]).unwrap();
        ground.remove(names[1]);
        let mut got = Vec::new();
        assert_eq!(place.fetch(&object, &mut got).unwrap(), Fetched::Changed);
        assert!(list(&*place).iter().all(|object| object.name != names[1]));
        names.iter().filter(|name| **name != names[1]).for_each(|name| ground.remove(name));
        assert_eq!(list(&*place), []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Memory;

    impl Ground for Memory {
        fn open(&self) -> Box<dyn Source> {
            Box::new(self.clone())
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            Memory::put(self, name, bytes);
        }

        fn remove(&self, name: &str) {
            Memory::remove(self, name);
        }

        fn names(&self) -> Vec<&'static str> {
            ODD_NAMES.to_vec()
        }
    }

    #[test]
    fn the_place_of_tests_conforms() {
        check(&Memory::default());
    }
}
