//! Models that a cluster trains, and their scores. Not for data sets: see [`super::ingestion`].

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::services::Cluster;
use crate::workspace::{files, said, trained_alone};

#[test]
fn any_number_of_executors_trains_and_scores_as_one_machine() {
    let (workspace, expected) = trained_alone(&files(3, 4_000, 11));
    let mut cluster = Cluster::of(0);
    for (executors, partitions, range_mib) in
        [(1, 1, 1024.0), (2, 7, 0.02), (3, 64, 0.005), (7, 16, 0.01)]
    {
        while cluster.executors.len() < executors {
            cluster.add_executor();
        }
        workspace.configure(&cluster.engine(partitions, range_mib));
        let output = workspace.train();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        assert!(said(&output).contains("test rows"), "{}", said(&output));
        assert!(workspace.model() == expected, "{executors} executors: another model");
        let output = workspace.start("scoring").wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        let scored = workspace.score();
        workspace.configure("");
        assert_eq!(scored, workspace.score_alone(), "{executors} executors");
        assert_eq!(workspace.under_way(), Vec::<String>::new());
        fs::remove_dir_all(workspace.path("model")).unwrap();
    }
}

#[test]
fn an_executor_that_is_killed_or_hangs_while_it_trains_changes_nothing() {
    let (workspace, expected) = trained_alone(&files(3, 4_000, 12));
    let moments = [("stretch-", 1), ("part-", 1), ("pass-", 1), ("pass-", 4)];
    let moments = moments.map(|moment| (moment, "KILL")).into_iter();
    for ((start, count), signal) in moments.chain([(("pass-", 2), "STOP")]) {
        let cluster = Cluster::of(3);
        workspace.configure(&cluster.engine(12, 0.02).replace(": 120", ": 60"));
        let mut driver = workspace.start("training");
        workspace.await_files(start, count, &cluster);
        let at_work = driver.try_wait().unwrap().is_none();
        let process = cluster.executors[1].id().to_string();
        Command::new("kill").args(["-s", signal, &process]).status().unwrap();
        let begun = Instant::now();
        let output = driver.wait_with_output().unwrap();
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
        assert!(at_work, "the work was done before anybody was killed: {}", said(&output));
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
            assert!(said(&output).contains("This step changed nothing"), "{}", said(&output));
            assert!(!workspace.path("model").try_exists().unwrap());
            let again = workspace.train();
            assert!(again.status.success(), "{}\n{}", said(&again), cluster.logs());
        }
        assert!(workspace.model() == expected, "{signal} after {count} {start}: another model");
        assert_eq!(workspace.under_way(), Vec::<String>::new());
        fs::remove_dir_all(workspace.path("model")).unwrap();
    }
}

#[test]
fn a_training_whose_scheduler_is_lost_goes_on_with_another() {
    let (workspace, expected) = trained_alone(&files(3, 4_000, 13));
    let mut cluster = Cluster::of(1);
    workspace.configure(&cluster.engine(4, 0.05));
    let driver = workspace.start("training");
    workspace.await_files("pass-", 1, &cluster);
    cluster.scheduler.kill().unwrap();
    cluster.scheduler.wait().unwrap();
    let begun = Instant::now();
    let output = driver.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!workspace.path("model").exists());
    let kept = workspace.under_way();
    assert!(kept.iter().any(|name| name.starts_with("pass-")), "what was done is kept: {kept:?}");

    let cluster = Cluster::of(2);
    workspace.configure(&cluster.engine(4, 0.05));
    let output = workspace.train();
    assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
    assert!(workspace.model() == expected, "another model");
    assert_eq!(workspace.under_way(), Vec::<String>::new());
}

#[test]
fn a_training_without_executors_and_one_that_is_not_built_end_with_an_error() {
    let (workspace, expected) = trained_alone(&files(1, 500, 14));
    let cluster = Cluster::of(0);
    let engine = cluster.engine(2, 1.0).replace(": 120", ": 25");
    workspace.configure(&engine);
    let begun = Instant::now();
    let output = workspace.train();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("error: "), "{}", said(&output));

    workspace.configure(&(engine + r#","training": {"C": "cv"}"#));
    let output = workspace.train();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("\"training.C\""), "{}", said(&output));
    assert!(!workspace.path("model").exists());
    // The same workspace goes on alone.
    workspace.configure("");
    workspace.train_alone();
    assert!(workspace.model() == expected, "another model");

    workspace.configure(&cluster.engine(2, 1.0).replace(": 120", ": 25"));
    let begun = Instant::now();
    let output = workspace.start("scoring").wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!workspace.path("model/score.json").exists());
}
