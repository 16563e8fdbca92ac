//! The engine that core is given: tasks become rows of a table, and Ballista runs a query over it.
//!
//! Ballista decides which executor gets which part of the table, moves hashes between executors, and repeats what
//! was lost. Not for what tasks do: see `mlops_core::stage::elsewhere`.

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
use mlops_core::platform::engine::{Engine, Position};
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

/// Numbers of stretches are added up modulo this prime, so that no sum is too large.
const STRETCHES: i64 = 1_000_003;

/// A table of tasks in files, one for each partition; the files go with it.
struct Table {
    folder: TemporaryFolder,
    partitions: usize,
    tasks: usize,
}

impl Cluster {
    /// Writes a table of tasks, each with the number of its stretch.
    fn table(&self, tasks: &[(u64, String)]) -> Result<Table> {
        let partitions = tasks.len().min(self.settings.partitions).max(1);
        let disk = Disk::default();
        disk.create_folder(&self.folder)?;
        let folder = disk.temporary_folder(&self.folder)?;
        let column = |name: &str, of| Field::new(name, of, false);
        let schema = Arc::new(Schema::new(vec![
            column("id", DataType::Int64),
            column("stretch", DataType::Int64),
            column("task", DataType::Utf8),
        ]));
        let numbered = || (0_i64..).zip(tasks);
        for partition in 0..partitions {
            // Neighbours go to different files: a long task is then less often behind another long one.
            let these: Vec<_> = numbered().skip(partition).step_by(partitions).collect();
            let stretch = |(_, (stretch, _)): &(i64, &(u64, String))| i64::try_from(*stretch);
            let stretches: std::result::Result<Vec<i64>, _> = these.iter().map(stretch).collect();
            let stretches = stretches.map_err(|e| Error::backend("ballista", e))?;
            let ids = these.iter().map(|(id, _)| *id).collect::<Vec<_>>();
            let texts = these.iter().map(|(_, (_, task))| task.as_str()).collect::<Vec<_>>();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from(ids)),
                Arc::new(Int64Array::from(stretches)),
                Arc::new(StringArray::from(texts)),
            ];
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

    /// The rows of `sql` about the tables `tasks` and `hashes`, as far as these are there.
    fn query(
        &self,
        table: Option<&Table>,
        hashes: &[PathBuf],
        sql: &str,
    ) -> Result<Vec<RecordBatch>> {
        let scheduler = &self.settings.scheduler;
        reach(scheduler)?;
        let deadline = self.settings.deadline;
        let query = async {
            let partitions = table.map_or(0, |table| table.partitions);
            let config = session::config(partitions.max(self.settings.partitions))?;
            let state = session::state(config)?;
            let url = format!("df://{scheduler}");
            let context = SessionContext::remote_with_state(&url, state).await?;
            // Ballista has put its own functions in the place of those of the state.
            for function in functions::all() {
                context.register_udf(ScalarUDF::clone(&function));
            }
            let all = ParquetReadOptions::default();
            if let Some(table) = table {
                let folder = std::path::absolute(table.folder.path())?;
                context.register_parquet("tasks", folder.display().to_string(), all).await?;
            }
            if !hashes.is_empty() {
                let paths: Vec<String> = hashes.iter().map(|p| p.display().to_string()).collect();
                let options = ParquetReadOptions::default().file_extension(".hashes");
                let found = context.read_parquet(paths, options).await?;
                context.register_table("hashes", found.into_view())?;
            }
            context.sql(sql).await?.collect().await
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

    /// How many rows of `hashes` equal one with a lower position.
    ///
    /// When an executor is lost, Ballista makes again what others need of it, and has been seen to pass some
    /// of it on twice and some not at all. That every row was counted once is therefore checked against the
    /// files themselves: by the number of rows, and by that of their stretches.
    fn duplicates(&self, hashes: &[PathBuf]) -> Result<i64> {
        let mut there = Extent::default();
        for path in hashes {
            let (rows, stretch) = crate::hashes::extent(path)?;
            there.rows += rows;
            there.stretches += rows * (stretch % STRETCHES);
        }
        let batches = self.query(None, hashes, &counting())?;
        let counted = Extent { rows: sum_of(&batches, 1)?, stretches: sum_of(&batches, 2)? };
        counted.check(there)?;
        Ok(there.rows - sum_of(&batches, 0)?)
    }
}

/// How many rows there are, and a sum that tells whether they are those of all stretches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extent {
    rows: i64,
    /// For each row, the number of its stretch modulo [`STRETCHES`].
    stretches: i64,
}

impl Extent {
    /// Refuses what was counted unless it is what is `there`.
    fn check(self, there: Self) -> Result<()> {
        if self == there {
            return Ok(());
        }
        let Self { rows, stretches } = there;
        Err(worthless(&if self.rows == rows {
            format!(
                "counted as many rows as there are, {rows}, but rows of some stretches more than once and of others \
                 not at all (the sum of the numbers of their stretches is {} and must be {stretches})",
                self.stretches
            )
        } else {
            format!("counted {} rows where there are {rows}", self.rows)
        }))
    }
}

/// The sum of a column of integers, of which an empty one is 0.
fn sum_of(batches: &[RecordBatch], column: usize) -> Result<i64> {
    let mut sum = 0;
    for batch in batches {
        let values = cast(batch.column(column), &DataType::Int64);
        let values = values.map_err(|e| Error::backend("arrow", e))?;
        sum += values.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
    }
    Ok(sum)
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
        let tasks: Vec<(u64, String)> = tasks.into_iter().map(|task| (0, task)).collect();
        let table = self.table(&tasks)?;
        let sql = format!("SELECT id, {CARRY_OUT}(task, NULL) AS answer FROM tasks");
        in_order(&self.query(Some(&table), &[], &sql)?, table.tasks)
    }

    fn sift(&self, hashes: &[PathBuf], tasks: Vec<(u64, String)>) -> Result<Vec<String>> {
        let table = self.table(&tasks)?;
        let due = self.duplicates(hashes)?;
        let batches = self.query(Some(&table), hashes, &sifting())?;
        let found = sum_of(&batches, 2)?;
        if found != due {
            return Err(worthless(&format!("found {found} duplicates where there are {due}")));
        }
        in_order(&batches, table.tasks)
    }

    fn range_bytes(&self) -> u64 {
        self.settings.range_bytes
    }

    fn partitions(&self) -> usize {
        self.settings.partitions
    }
}

/// The query that finds duplicates and has the others written.
///
/// Only hashes and positions are grouped and joined, 24 bytes a row, and only those hashes that come more than once
/// are joined. `DISTINCT ON` and `ROW_NUMBER` would hold all rows of a group. Tasks without duplicates come from
/// the first part of the union; an outer join would do as well, but inner joins are what Ballista is used for most.
/// Whatever of the input is missing, fewer duplicates are found and never others, which their number shows.
fn sifting() -> String {
    let (stretch, file) = Position::SHIFTS;
    let (stretch, file) = (1_i64 << stretch, 1_i64 << file);
    format!(
        "SELECT id, {CARRY_OUT}(task, positions) AS answer, duplicates FROM (
           SELECT max(id) AS id, max(task) AS task, array_agg(position) AS positions,
                  count(position) AS duplicates FROM (
             SELECT stretch, id, task, CAST(NULL AS BIGINT) AS position FROM tasks
             UNION ALL
             SELECT a.position / {stretch} AS stretch,
                    CAST(NULL AS BIGINT) AS id,
                    CAST(NULL AS VARCHAR) AS task,
                    CASE WHEN a.position / {file} = f.first / {file}
                         THEN -1 - a.position ELSE a.position END AS position
             FROM hashes a JOIN (
               SELECT high, low, min(position) AS first
               FROM hashes GROUP BY high, low HAVING count(*) > 1
             ) f ON a.high = f.high AND a.low = f.low
             WHERE a.position > f.first
           ) GROUP BY stretch
         )"
    )
}

/// The query that counts different hashes, rows, and what tells their stretches apart.
fn counting() -> String {
    let stretch = 1_i64 << Position::SHIFTS.0;
    format!(
        "SELECT count(*) AS different, sum(n) AS rows, sum(of) AS stretches FROM (
           SELECT count(*) AS n, sum((position / {stretch}) % {STRETCHES}) AS of
           FROM hashes GROUP BY high, low
         )"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_count_says_what_is_wrong() {
        let there = Extent { rows: 10, stretches: 40 };
        assert!(there.check(there).is_ok());
        let said = |counted: Extent| counted.check(there).unwrap_err().to_string();
        let fewer = said(Extent { rows: 9, ..there });
        assert!(fewer.contains("counted 9 rows where there are 10"), "{fewer}");
        let others = said(Extent { stretches: 41, ..there });
        assert!(others.contains("as many rows as there are, 10,"), "{others}");
        assert!(others.contains("is 41 and must be 40"), "{others}");
    }

    #[test]
    fn a_sum_goes_over_all_batches_whatever_the_width_of_their_integers() {
        let batch = |values: ArrayRef| RecordBatch::try_from_iter([("n", values)]).unwrap();
        let batches = [
            batch(Arc::new(Int64Array::from(vec![Some(7), None]))),
            batch(Arc::new(datafusion::arrow::array::UInt32Array::from(vec![5, 1]))),
        ];
        assert_eq!(sum_of(&batches, 0).unwrap(), 13);
        assert_eq!(sum_of(&[], 0).unwrap(), 0);
    }
}
