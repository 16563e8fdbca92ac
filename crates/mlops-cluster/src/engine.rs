//! The engine that core is given: tasks become rows of a table, and Ballista runs a query over it.
//!
//! Ballista decides which executor gets which part of the table, and repeats what was lost. Nothing but tasks and their
//! answers passes through it: the rest is in files. Not for what tasks do: see `mlops_core::stage::elsewhere`.

use std::collections::BTreeMap;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ballista::prelude::SessionContextExt;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::logical_expr::ScalarUDF;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use mlops_core::config::{Ballista, Config, Engine as Configured};
use mlops_core::platform::disk::Disk;
use mlops_core::platform::engine::Engine;
use mlops_core::platform::temporary::TemporaryFolder;
use mlops_core::{Error, Result};
use tokio::runtime::Runtime;

use crate::functions::{self, CARRY_OUT};
use crate::session;

/// How long a scheduler may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cluster of Ballista.
struct Cluster {
    settings: Ballista,
    /// The folder in which tables of tasks are, which all machines see.
    folder: PathBuf,
    runtime: Runtime,
}

/// The cluster that `config` names. Whether it answers shows when there is work for it: a run that finds nothing new
/// needs no cluster, and one that does records that it failed.
///
/// # Errors
/// If this process can start no threads.
pub(crate) fn connect(config: &Config) -> Result<Option<Arc<dyn Engine>>> {
    let Configured::Ballista(settings) = &config.engine else { return Ok(None) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| Error::io("start threads for", Path::new("tokio"), e))?;
    let folder = config.output_folder.clone();
    Ok(Some(Arc::new(Cluster { settings: settings.clone(), folder, runtime })))
}

/// Checks that somebody listens at the scheduler's address.
fn reach(scheduler: &str) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::remote(format!(
            "the scheduler at {scheduler} cannot be reached ({e}): start it with `mlops-cluster scheduler`, or \
             correct \"engine.scheduler\""
        ))
    };
    let mut last = std::io::Error::other("the name has no address");
    for address in scheduler.to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(e) => last = e,
        }
    }
    Err(failed(last))
}

/// A table of tasks in files, one for each partition; the files go with it.
struct Table {
    folder: TemporaryFolder,
    partitions: usize,
    tasks: usize,
}

impl Cluster {
    /// Writes a table of tasks.
    fn table(&self, tasks: &[String]) -> Result<Table> {
        let partitions = tasks.len().min(self.settings.partitions).max(1);
        let disk = Disk::default();
        disk.create_folder(&self.folder)?;
        let folder = disk.temporary_folder(&self.folder)?;
        let column = |name: &str, of| Field::new(name, of, false);
        let schema = Arc::new(Schema::new(vec![
            column("id", DataType::Int64),
            column("task", DataType::Utf8),
        ]));
        let numbered = || (0_i64..).zip(tasks);
        for partition in 0..partitions {
            // Neighbours go to different files: a long task is then less often behind another long one.
            let these: Vec<_> = numbered().skip(partition).step_by(partitions).collect();
            let ids = these.iter().map(|(id, _)| *id).collect::<Vec<_>>();
            let texts = these.iter().map(|(_, task)| task.as_str()).collect::<Vec<_>>();
            let columns: Vec<ArrayRef> =
                vec![Arc::new(Int64Array::from(ids)), Arc::new(StringArray::from(texts))];
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
            let batch = batch.map_err(|e| Error::backend("arrow", e))?;
            let written = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), None);
            let bytes = written.and_then(|mut writer| {
                writer.write(&batch)?;
                writer.into_inner()
            });
            let bytes = bytes.map_err(|e| Error::backend("parquet", e))?;
            let path = folder.path().join(format!("tasks-{partition:05}.parquet"));
            let mut file = disk.new_file(&path)?;
            file.write_all(&bytes)?;
            file.publish_unsynced()?;
        }
        Ok(Table { folder, partitions, tasks: tasks.len() })
    }

    /// The numbers and answers of the tasks of `table`.
    fn query(&self, table: &Table) -> Result<Vec<RecordBatch>> {
        let scheduler = &self.settings.scheduler;
        reach(scheduler)?;
        let deadline = self.settings.deadline;
        let query = async {
            let config = session::config(table.partitions.max(self.settings.partitions))?;
            let state = session::state(config)?;
            let url = format!("df://{scheduler}");
            let context = SessionContext::remote_with_state(&url, state).await?;
            // Ballista has put its own functions in the place of those of the state.
            for function in functions::all() {
                context.register_udf(ScalarUDF::clone(&function));
            }
            let folder = std::path::absolute(table.folder.path())?.display().to_string();
            context.register_parquet("tasks", folder, ParquetReadOptions::default()).await?;
            let sql = format!("SELECT id, {CARRY_OUT}(task) AS answer FROM tasks");
            context.sql(&sql).await?.collect().await
        };
        let outcome = self.runtime.block_on(async { tokio::time::timeout(deadline, query).await });
        match outcome {
            Ok(Ok(batches)) => Ok(batches),
            Ok(Err(e)) => {
                reach(scheduler)?;
                Err(Error::remote(format!(
                    "the cluster of {scheduler} gave up: {e}. This step changed nothing; run this again once it is well"
                )))
            }
            Err(_) => {
                reach(scheduler)?;
                Err(Error::remote(format!(
                    "the cluster of {scheduler} took longer than {} s (\"engine.deadline_seconds\"): look whether \
                     its executors are well. This step changed nothing",
                    deadline.as_secs()
                )))
            }
        }
    }
}

/// What an answer that cannot be right is.
fn worthless(what: &str) -> Error {
    Error::remote(format!(
        "the cluster {what}, as it may when an executor is lost: its answer is not used. This step changed nothing; \
         run this again once it is well"
    ))
}

/// The answers in the order of their tasks, each exactly once.
fn in_order(batches: &[RecordBatch], tasks: usize) -> Result<Vec<String>> {
    let arrow = |e| Error::backend("arrow", e);
    let mut answers = BTreeMap::new();
    let mut rows = 0;
    for batch in batches {
        let ids = cast(batch.column(0), &DataType::Int64).map_err(arrow)?;
        let texts = cast(batch.column(1), &DataType::Utf8).map_err(arrow)?;
        let (ids, texts) = (ids.as_primitive::<Int64Type>(), texts.as_string::<i32>());
        for row in 0..batch.num_rows() {
            answers.insert(ids.value(row), texts.value(row).to_owned());
        }
        rows += batch.num_rows();
    }
    let expected = (0_i64..).take(tasks);
    if rows != tasks || !answers.keys().copied().eq(expected) {
        return Err(worthless(&format!("answered {rows} times where {tasks} answers were due")));
    }
    Ok(answers.into_values().collect())
}

impl Engine for Cluster {
    fn run(&self, tasks: Vec<String>) -> Result<Vec<String>> {
        let table = self.table(&tasks)?;
        in_order(&self.query(&table)?, table.tasks)
    }

    fn range_bytes(&self) -> u64 {
        self.settings.range_bytes
    }

    fn partitions(&self) -> usize {
        self.settings.partitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_in_the_order_of_tasks_and_each_comes_once() {
        let batch = |ids: &[i64]| {
            let texts = ids.iter().map(|id| format!("answer {id}"));
            let texts = StringArray::from(texts.collect::<Vec<_>>());
            let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
            RecordBatch::try_from_iter([("id", ids), ("answer", Arc::new(texts))]).unwrap()
        };
        let found = in_order(&[batch(&[2]), batch(&[]), batch(&[1, 0])], 3).unwrap();
        assert_eq!(found, ["answer 0", "answer 1", "answer 2"]);
        for wrong in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, 2, 2]] {
            let words = in_order(&[batch(wrong)], 3).unwrap_err().to_string();
            assert!(words.contains("where 3 answers were due"), "{words}");
        }
    }
}
