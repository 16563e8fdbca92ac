//! The settings of a session with the cluster, and the functions that all its members know.
//!
//! Not for queries: see [`crate::engine`].

use std::sync::Arc;

use ballista_core::extension::SessionConfigExt;
use ballista_core::registry::BallistaFunctionRegistry;
use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionConfig;

use crate::functions;

/// Settings besides the defaults, each with the reason for it.
const SETTINGS: [(&str, &str); 3] = [
    // With it a query whose executor is lost while it reduces never ends (Ballista's issues 1986 and 2150).
    ("ballista.planner.adaptive.enabled", "false"),
    // Ballista runs no exchange but by hash; a file of tasks is a partition.
    ("datafusion.optimizer.enable_round_robin_repartition", "false"),
    // Nothing is known of tasks by looking into their files.
    ("datafusion.execution.collect_statistics", "false"),
];

/// The configuration of a session of `partitions` partitions.
pub(crate) fn config(partitions: usize) -> Result<SessionConfig> {
    let mut config = SessionConfig::new_with_ballista().with_target_partitions(partitions.max(1));
    for (key, value) in SETTINGS {
        config.options_mut().set(key, value)?;
    }
    Ok(config)
}

/// A session in which our functions are known, for a driver or for the scheduler.
pub(crate) fn state(config: SessionConfig) -> Result<SessionState> {
    let mut state = ballista_core::utils::default_session_builder(config)?;
    for function in functions::all() {
        datafusion::execution::FunctionRegistry::register_udf(&mut state, function)?;
    }
    Ok(state)
}

/// The functions of an executor: all that there are by default, and ours.
pub(crate) fn registry() -> Arc<BallistaFunctionRegistry> {
    let mut registry = BallistaFunctionRegistry::default();
    for function in functions::all() {
        registry.scalar_functions.insert(function.name().to_owned(), function);
    }
    Arc::new(registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_known_and_the_adaptive_planner_is_off() {
        let config = config(7).unwrap();
        assert_eq!(config.target_partitions(), 7);
        assert!(!config.ballista_config().adaptive_query_planner_enabled());
        let mut other = SessionConfig::new_with_ballista();
        assert!(other.options_mut().set("ballista.planner.adaptiv.enabled", "false").is_err());
    }

    #[test]
    fn executors_keep_the_built_in_functions() {
        let registry = registry();
        assert!(registry.scalar_functions.contains_key(functions::CARRY_OUT));
        assert!(registry.aggregate_functions.contains_key("array_agg"));
        assert!(registry.scalar_functions.contains_key("coalesce"));
    }
}
