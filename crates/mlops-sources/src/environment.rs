//! The environment's variables, where secrets come from. Not for settings, which are in the
//! configuration.

use std::fmt;
use std::sync::Arc;

/// Variables by name; they appear in no debug output.
#[derive(Clone, Default)]
pub(crate) struct Environment(Arc<Vec<(String, String)>>);

impl Environment {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let utf8 = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self(Arc::new(utf8.collect()))
    }

    /// These and no others.
    pub(crate) fn only(variables: &[(&str, &str)]) -> Self {
        let owned = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self(Arc::new(owned.collect()))
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// Whether one of these is set.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.get(name).is_some())
    }

    /// All whose names begin with `prefix`.
    pub(crate) fn beginning(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let named = self.0.iter().filter(move |(name, _)| name.starts_with(prefix));
        named.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} variables", self.0.len())
    }
}
