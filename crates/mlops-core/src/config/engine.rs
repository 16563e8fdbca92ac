//! The section `engine`: where rows are read and models are fitted.
//!
//! Not for an engine itself: see [`crate::platform::engine`].

use std::time::Duration;

use super::section::Section;

/// Where rows are read and models are fitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Engine {
    /// In this process.
    #[default]
    Local,
    /// On a cluster of Apache DataFusion Ballista.
    Ballista(Ballista),
}

/// The cluster, and how work is cut for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballista {
    /// Host and port of its scheduler.
    pub scheduler: String,
    /// About how many bytes of a file are one task.
    pub range_bytes: u64,
    /// How many tasks are worth while at the same time.
    pub partitions: usize,
    /// A query that takes longer is given up.
    pub deadline: Duration,
}

pub(super) fn engine(mut section: Section) -> Engine {
    let kinds = [("local", false), ("ballista", true)];
    let distributed = section.choice("kind", &kinds, false);
    let scheduler = section.text("scheduler");
    let range_mib = section.number("range_mib", &(0.000_1..=1024.0), 32.0);
    let partitions = section.integer("partitions", &(1..=4096), 16);
    let deadline = section.integer("deadline_seconds", &(1..=604_800), 600);
    let scheduler = scheduler.unwrap_or_else(|| "127.0.0.1:27050".to_owned());
    let port = scheduler.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        section.problem("scheduler", "must be a host and a port, such as \"127.0.0.1:27050\"");
    }
    section.finish();
    if !distributed {
        return Engine::Local;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^30")]
    let range_bytes = (range_mib * f64::from(1 << 20)) as u64;
    Engine::Ballista(Ballista {
        scheduler,
        range_bytes,
        partitions: usize::try_from(partitions).unwrap_or(1),
        deadline: Duration::from_secs(deadline),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn one_machine_is_the_default_and_a_cluster_is_named_by_its_scheduler() {
        let parse = |more: &str| {
            let five = r#""input_folder_path":"in","output_folder_path":"out",
                "test_data_path":"test","output_model_path":"m","prod_deployment_path":"p""#;
            Config::parse(&format!("{{{five}{more}}}"), Path::new("config.json"))
        };
        assert_eq!(parse("").unwrap().engine, Engine::Local);
        let text = r#","engine":{"kind":"ballista","scheduler":"10.0.0.1:27050","range_mib":0.5,
            "partitions":8,"deadline_seconds":60}"#;
        let Engine::Ballista(found) = parse(text).unwrap().engine else { panic!("not a cluster") };
        assert_eq!((found.scheduler.as_str(), found.range_bytes), ("10.0.0.1:27050", 1 << 19));
        assert_eq!((found.partitions, found.deadline), (8, Duration::from_mins(1)));
        for wrong in ["here", ":1", "host:port", "host:70000"] {
            let text = format!(r#","engine":{{"kind":"ballista","scheduler":"{wrong}"}}"#);
            assert!(parse(&text).unwrap_err().to_string().contains("\"engine.scheduler\""));
        }
        assert!(parse(r#","engine":{"kind":"spark"}"#).is_err());
    }
}
