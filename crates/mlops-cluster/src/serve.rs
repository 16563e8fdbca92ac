//! The two services of a cluster: the scheduler, and an executor.
//!
//! Not for what is run on them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::{BallistaError, Result};
use ballista_core::extension::SessionConfigExt;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use clap::Args;
use datafusion::prelude::SessionConfig;

use crate::{address, session};

/// Executors ask for work. Where the scheduler pushed it instead, which is the default, a query whose executor was
/// killed while it read what others had written waited until the deadline (the test that kills executors shows it).
const POLICY: TaskSchedulingPolicy = TaskSchedulingPolicy::PullStaged;
/// Ports below 32768 are not given to anybody who asks for any port.
const SCHEDULER_PORT: u16 = 27_050;
const EXECUTOR_PORT: u16 = 27_051;
/// An executor says so often that it is there.
const HEARTBEAT_SECONDS: u64 = 2;
/// An executor that has said nothing for so long is lost.
const LOST_SECONDS: u64 = 12;
/// Without any executor for so long, a query fails.
const NOBODY_SECONDS: u64 = 15;

/// The options of `scheduler`.
#[derive(Args)]
pub(crate) struct Scheduler {
    /// The address on which it listens
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,

    /// The port
    #[arg(long, default_value_t = SCHEDULER_PORT)]
    port: u16,

    /// Listen on an address that others can reach, too; nobody there is asked who they are
    #[arg(long)]
    any_address: bool,
}

/// The options of `executor`.
#[derive(Args)]
pub(crate) struct Executor {
    /// The scheduler
    #[arg(long, value_name = "HOST:PORT", default_value_t = format!("127.0.0.1:{SCHEDULER_PORT}"))]
    scheduler: String,

    /// The address on which it listens, and by which the others know it
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,

    /// The port from which others fetch results; the next one takes orders from the scheduler
    #[arg(long, default_value_t = EXECUTOR_PORT)]
    port: u16,

    /// How many tasks it carries out at the same time; all processors by default
    #[arg(long, value_name = "N")]
    cores: Option<usize>,

    /// Memory for grouping and joining, all tasks together, in MiB; beyond it they use files
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory_mib: u64,

    /// The folder for what it passes on to others; by default one for its port among the temporary files of the
    /// machine
    #[arg(long, value_name = "PATH")]
    folder: Option<PathBuf>,

    /// Listen on an address that others can reach, too; nobody there is asked who they are
    #[arg(long)]
    any_address: bool,
}

/// Runs a scheduler.
pub(crate) fn scheduler(options: &Scheduler) -> ExitCode {
    if let Some(refusal) = address::refusal(options.bind, options.any_address) {
        return mlops_runtime::refuse(&refusal);
    }
    attend(async {
        let config = SchedulerConfig {
            external_host: options.bind.to_string(),
            bind_host: options.bind.to_string(),
            bind_port: options.port,
            scheduling_policy: POLICY,
            executor_timeout_seconds: LOST_SECONDS,
            expire_dead_executor_interval_seconds: 2,
            no_executors_grace_period_seconds: NOBODY_SECONDS,
            override_session_builder: Some(Arc::new(session::state)),
            override_config_producer: Some(Arc::new(own_config)),
            ..SchedulerConfig::default()
        };
        let cluster = BallistaCluster::new_from_config(&config).await?;
        let address = SocketAddr::new(options.bind, options.port);
        start_server(cluster, address, Arc::new(config)).await
    })
}

/// Runs an executor.
pub(crate) fn executor(options: &Executor) -> ExitCode {
    if let Some(refusal) = address::refusal(options.bind, options.any_address) {
        return mlops_runtime::refuse(&refusal);
    }
    let port = options.scheduler.rsplit_once(':');
    let Some((host, Ok(port))) = port.map(|(host, port)| (host, port.parse::<u16>())) else {
        return mlops_runtime::refuse(
            "--scheduler must be a host and a port, such as 10.0.0.1:27050",
        );
    };
    let Some(next_port) = options.port.checked_add(1) else {
        return mlops_runtime::refuse("--port must be below 65535, since the next one is used too");
    };
    let folder = options.folder.clone();
    let folder = folder.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("mlops-cluster-executor-{}", options.port))
    });
    if let Err(e) = std::fs::create_dir_all(&folder) {
        return mlops_runtime::refuse(&format!("cannot create {}: {e}", folder.display()));
    }
    mlops_runtime::install_formats();
    attend(async {
        let config = ExecutorProcessConfig {
            bind_host: options.bind.to_string(),
            external_host: Some(options.bind.to_string()),
            port: options.port,
            grpc_port: next_port,
            scheduler_host: host.to_owned(),
            scheduler_port: port,
            scheduler_connect_timeout_seconds: 30,
            vcores: options.cores.unwrap_or(0),
            work_dir: Some(folder.display().to_string()),
            task_scheduling_policy: POLICY,
            executor_heartbeat_interval_seconds: HEARTBEAT_SECONDS,
            job_data_ttl_seconds: 3600,
            job_data_clean_up_interval_seconds: 60,
            memory_pool_size: Some(options.memory_mib << 20),
            override_function_registry: Some(session::registry()),
            override_config_producer: Some(Arc::new(own_config)),
            ..ExecutorProcessConfig::default()
        };
        start_executor_process(Arc::new(config)).await
    })
}

fn own_config() -> SessionConfig {
    // A test says when a setting is no longer known.
    session::config(1).unwrap_or_else(|_| SessionConfig::new_with_ballista())
}

/// Runs a service until it ends.
fn attend(service: impl Future<Output = Result<()>>) -> ExitCode {
    // Warnings of Ballista; everything from "info" on would be several lines for each task.
    tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(service),
        Err(e) => Err(BallistaError::IoError(e)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => mlops_runtime::refuse(&format!("the service ended: {e}")),
    }
}
