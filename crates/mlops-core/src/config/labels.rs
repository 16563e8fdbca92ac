//! The section `labels`: where outcomes of predictions come from, how they are joined, and what
//! becomes of them.
//!
//! Not for joining: see `outcomes`; not for training labels, which are a column of the rows.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;
use super::section::Section;
use super::sources::{self, Place, Role, Source};

/// What labels are joined by, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// A file of labels or a folder of such files, besides sources with `role: labels`.
    pub path: Option<PathBuf>,
    /// What tells whose label it is; `None` for the id columns where there are some, and else the
    /// request.
    pub by: Option<JoinBy>,
    /// The column with the time from which on the outcome is known.
    pub time: Option<String>,
    /// The span of time for which scores are given.
    pub window: Period,
    /// Predicted rows with labels become training rows.
    pub train: bool,
    /// The service takes labels that are sent to it.
    pub receive: bool,
}

/// What tells to which prediction a label belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinBy {
    /// The id columns of the schema.
    Ids,
    /// `request_id` and `row`.
    Request,
    /// `inference_id`, the caller's own id, and `row`.
    Inference,
}

impl JoinBy {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Request => "request_id",
            Self::Inference => "inference_id",
        }
    }
}

/// A span of time for which scores are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The shortest of the others in which there mostly are enough labels.
    #[default]
    Auto,
    /// A day, in UTC.
    Day,
    /// A week from Monday on.
    Week,
    /// A calendar month.
    Month,
}

impl Period {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

impl Config {
    /// Whether labels are joined to predictions.
    pub fn joins_labels(&self) -> bool {
        let role = Role::Labels;
        let labels = &self.labels;
        labels.path.is_some()
            || labels.receive
            || self.sources.iter().any(|source| source.role == role)
    }

    /// What tells to which prediction a label belongs.
    pub fn labels_by(&self) -> JoinBy {
        let ids = self.identifying().next().is_some();
        self.labels.by.unwrap_or(if ids { JoinBy::Ids } else { JoinBy::Request })
    }

    /// The store in which predictions are joined with labels.
    pub fn outcomes_path(&self) -> PathBuf {
        self.output_folder.join("outcomes.sqlite")
    }

    /// The file of labels that were sent to the service.
    pub fn received_path(&self) -> PathBuf {
        self.output_folder.join("received.sqlite")
    }

    /// The folder of predicted rows with labels that are trained on.
    pub fn labelled_folder(&self) -> PathBuf {
        self.landed_in.join(sources::LABELLED)
    }

    /// The folder in which earlier versions kept labels that were sent to the service, each batch as a file.
    pub fn received_folder(&self) -> PathBuf {
        self.landed_in.join(sources::RECEIVED)
    }

    /// Whether the files of `source` are written by this program and may not be there yet.
    pub fn is_ours(&self, source: &Source) -> bool {
        let ours = [self.labelled_folder(), self.received_folder()];
        matches!(&source.place, Place::Folder(folder) if ours.contains(folder))
    }

    /// With the sources whose files this program writes: predicted rows with labels, and labels that were
    /// sent.
    pub(super) fn with_ours(mut self, root: &Section) -> Self {
        let labels = self.labels.clone();
        let labelled = sources::labelled(self.labelled_folder(), &self.ingestion);
        let received = sources::received(self.received_folder(), &self.ingestion);
        for (asked, key, source) in [
            (labels.train && self.joins_labels(), "labels.train", labelled),
            (labels.receive, "labels.receive", received),
        ] {
            if asked && self.sources.iter().any(|other| other.name == source.name) {
                let name = &source.name;
                let message = format!("has a source called \"{name}\", which is that of \"{key}\"");
                root.problem("sources", &message);
            }
            self.sources.extend(asked.then_some(source));
        }
        self
    }

    /// Reports what joining labels needs and does not have.
    pub(super) fn check_labels(&self, root: &Section) {
        if !self.joins_labels() {
            if self.labels.train {
                let message = "has a meaning only where labels come from somewhere: \"labels.path\", \
                               \"labels.receive\", or a source with the role \"labels\"";
                root.problem("labels.train", message);
            }
            return;
        }
        let Some(log) = &self.service.prediction_log else {
            let message = "is missing: labels are joined to the predictions that are logged there";
            return root.problem("service.prediction_log_path", message);
        };
        if self.labels.train && !log.features {
            let message = "must be true for \"labels.train\": a training row needs its features";
            root.problem("service.prediction_log_features", message);
        }
        if self.labels_by() == JoinBy::Ids && self.identifying().next().is_none() {
            let message = "must not be \"ids\", since \"schema.id\" names no columns";
            root.problem("labels.by", message);
        }
    }
}

pub(super) fn labels(mut section: Section, at: impl Fn(String) -> PathBuf) -> Labels {
    let kinds = [JoinBy::Ids, JoinBy::Request, JoinBy::Inference];
    let windows = [Period::Auto, Period::Day, Period::Week, Period::Month];
    let labels = Labels {
        path: section.text("path").map(at),
        by: section
            .has("by")
            .then(|| section.choice("by", &kinds.map(|by| (by.name(), by)), JoinBy::Ids)),
        time: section.text("time"),
        window: section.choice("window", &windows.map(|w| (w.name(), w)), Period::default()),
        train: section.boolean("train", false),
        receive: section.boolean("receive", false),
    };
    section.finish();
    labels
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn parse(more: &str) -> Result<Config> {
        let text = format!(
            r#"{{"input_folder_path":"in","output_folder_path":"out","test_data_path":"test",
            "output_model_path":"m","prod_deployment_path":"p"{more}}}"#
        );
        Config::parse(&text, Path::new("/w/config.json"))
    }

    #[test]
    fn what_is_joined_and_how_follows_from_the_schema() {
        let log = r#","service":{"prediction_log_path":"log"}"#;
        let config = parse(&format!(r#"{log},"labels":{{"path":"labels"}}"#)).unwrap();
        assert!(config.joins_labels() && config.labels_by() == JoinBy::Ids);
        assert_eq!(config.labels.path.as_deref(), Some(Path::new("/w/labels")));
        let schema = r#","schema":{"numeric":["x"],"target":"y"}"#;
        let role = r#","sources":[{"name":"crm","uri":"crm","role":"labels"}]"#;
        let config = parse(&format!("{log}{schema}{role}")).unwrap();
        assert!(config.joins_labels() && config.labels_by() == JoinBy::Request);
        assert!(!parse("").unwrap().joins_labels());
    }

    #[test]
    fn what_is_missing_is_named() {
        let schema = r#","schema":{"numeric":["x"],"target":"y"}"#;
        let source = r#","sources":[{"name":"crm","uri":"sqlite:crm.db","table":"t","mode":"cursor",
            "cursor":{"column":"at"},"role":"labels","expect":{"error_after":"1d"}}]"#;
        for (text, part) in [
            (r#","labels":{"path":"l"}"#.to_owned(), "\"service.prediction_log_path\" is missing"),
            (r#","labels":{"train":true}"#.to_owned(), "\"labels.train\" has a meaning only where"),
            (
                r#","service":{"prediction_log_features":true}"#.to_owned(),
                "\"service.prediction_log_features\" has a meaning only with",
            ),
            (
                r#","gate":{"max_slice_drop":0.1}"#.to_owned(),
                "\"gate.max_slice_drop\" has a meaning only with columns in \"schema.slice\"",
            ),
            (
                r#","labels":{"path":"l","train":true},"service":{"prediction_log_path":"log"}"#
                    .to_owned(),
                "\"service.prediction_log_features\" must be true",
            ),
            (
                format!(
                    r#"{schema},"labels":{{"path":"l","by":"ids"}},"service":{{"prediction_log_path":"log"}}"#
                ),
                "\"labels.by\" must not be \"ids\"",
            ),
            (r#","labels":{"window":"year"}"#.to_owned(), "\"labels.window\" must be one of"),
            (source.to_owned(), "must be \"files\" or \"snapshot\" for a source of labels"),
            (source.to_owned(), "is not for a source of labels"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }
}
