//! All settings as a report. Not for finding them: see `mlops_core::config`.

use std::fmt;
use std::path::PathBuf;

use mlops_core::config::{Origin, Setting};
use mlops_core::run::context::Report;
use mlops_core::text;
use serde::Serialize;

/// Every key of a configuration.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    /// The configuration file.
    pub(crate) file: PathBuf,
    /// The keys, by name.
    pub(crate) settings: Vec<Setting>,
}

impl Report for Settings {
    fn changed(&self) -> bool {
        false
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |setting: &Setting| {
            let value = match setting.from {
                Origin::File => setting.value.to_string(),
                Origin::Default => format!("{}  (default)", setting.value),
            };
            vec![setting.key.clone(), value]
        };
        let rows: Vec<Vec<String>> = self.settings.iter().map(row).collect();
        writeln!(f, "{}", text::printed(&self.file))?;
        f.write_str(&text::list(&rows))
    }
}
