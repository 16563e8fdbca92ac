//! The columns that objects have, for somebody who does not know them: the paths of all values but arrays.
//!
//! Not for objects whose columns are known: see [`super::columns`].

use std::collections::HashSet;

use super::columns::unescaped;
use super::scan::{Problem, Scanner};

/// More columns are not looked for.
const MOST: usize = 10_000;
/// Objects within more objects are values.
const DEEPEST: usize = 16;

/// The paths that were met.
#[derive(Default)]
pub(super) struct Paths {
    known: HashSet<String>,
    in_order: Vec<String>,
}

impl Paths {
    /// Notes those of the object at the beginning of `bytes`, as far as it can be read.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        let _ = self.members(&mut Scanner::of(bytes, true), "", DEEPEST);
    }

    /// All of them: not those that are values in one object and objects in another.
    pub(super) fn columns(self) -> Vec<String> {
        let Self { known, in_order } = self;
        let outer: HashSet<&str> = known
            .iter()
            .flat_map(|path| path.match_indices('.').map(|(at, _)| &path[..at]))
            .collect();
        in_order.iter().filter(|path| !outer.contains(path.as_str())).cloned().collect()
    }

    fn members(&mut self, scanner: &mut Scanner, path: &str, depth: usize) -> Result<(), Problem> {
        scanner.expect(b'{', "a brace is missing")?;
        if scanner.takes(b'}')? {
            return Ok(());
        }
        loop {
            let key = scanner.key()?;
            let Ok(own) = unescaped(&scanner.bytes()[key.start..key.end]) else {
                return Err(Problem::Syntax("a name is no text"));
            };
            let name = format!("{path}{own}");
            match scanner.peek()? {
                b'{' if depth > 0 => self.members(scanner, &format!("{name}."), depth - 1)?,
                b'[' => scanner.skip()?,
                _ => {
                    scanner.skip()?;
                    if self.in_order.len() < MOST && self.known.insert(name.clone()) {
                        self.in_order.push(name);
                    }
                }
            }
            if !scanner.takes(b',')? {
                return scanner.expect(b'}', "a comma or a closing brace is missing");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let mut paths = Paths::default();
        paths.note(br#"{"id":1,"geo":null,"tags":["x"],"a\u00e9":2}"#);
        paths.note(br#"{"geo":{"lat":1,"deep":{"er":null}},"id":2,"empty":{},"late":true,"cut":"#);
        assert_eq!(paths.columns(), ["id", "aé", "geo.lat", "geo.deep.er", "late"]);
    }
}
