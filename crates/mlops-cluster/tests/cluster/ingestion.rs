//! Data sets that a cluster makes. Not for models: see [`super::training`].

use std::fs;
use std::time::{Duration, Instant};

use crate::services::Cluster;
use crate::workspace::{Workspace, files, said};

#[test]
fn one_two_three_and_seven_executors_make_the_data_set_of_one_machine() {
    let files = files(5, 400, 7);
    let alone = Workspace::with(&files, "");
    alone.ingest_alone();
    let expected = alone.outputs();
    assert!(expected.iter().any(|(name, _)| name == "quarantine5.csv"), "there are bad rows");
    let mut cluster = Cluster::of(0);
    for (executors, partitions, range_mib) in
        [(1, 1, 1024.0), (2, 7, 0.002), (3, 64, 0.001), (7, 5, 0.004)]
    {
        while cluster.executors.len() < executors {
            cluster.add_executor();
        }
        let spread = Workspace::with(&files, &cluster.engine(partitions, range_mib));
        let output = spread.ingest();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        assert!(spread.outputs() == expected, "{executors} executors: other bytes");
        // More files on top of the data set, and nothing to do after that.
        for workspace in [&alone, &spread] {
            fs::write(workspace.path("in/later.csv"), &self::files(1, 300, 8)[0].1).unwrap();
        }
        if executors == 1 {
            alone.ingest_alone();
        }
        let output = spread.ingest();
        assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
        assert!(spread.outputs() == alone.outputs(), "{executors} executors: other bytes");
        let output = spread.ingest();
        assert!(said(&output).contains("Nothing"), "{}", said(&output));
    }
}

#[test]
fn an_executor_that_is_killed_at_work_changes_nothing() {
    let files = files(6, 1_500, 3);
    let alone = Workspace::with(&files, "");
    alone.ingest_alone();
    // While rows are read, equal ones are found, and what is left out is written.
    for (file, count) in [(".rows", 1), (".hashes", 9), ("equal-", 1), ("equal-", 9), (".cuts", 1)]
    {
        let mut cluster = Cluster::of(3);
        let spread = Workspace::with(&files, &cluster.engine(24, 0.004));
        let driver = spread.start("ingestion");
        spread.await_files(file, count, &cluster);
        cluster.executors[1].kill().unwrap();
        let output = driver.wait_with_output().unwrap();
        // Answers are where they were made until the driver has them: if they are lost at that moment, Ballista ends
        // the query. Nothing was changed then, and the next run does it.
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{}\n{}", said(&output), cluster.logs());
            assert!(said(&output).contains("This step changed nothing"), "{}", said(&output));
            assert!(!spread.path("out/finaldata6.csv").try_exists().unwrap());
            let again = spread.ingest();
            assert!(again.status.success(), "{}\n{}", said(&again), cluster.logs());
        }
        assert!(spread.outputs() == alone.outputs(), "killed at {count} {file}: other bytes");
    }
}

#[test]
fn a_scheduler_that_is_lost_is_an_error_in_bounded_time_and_the_next_run_goes_on() {
    let files = files(6, 1_500, 4);
    let mut cluster = Cluster::of(1);
    let spread = Workspace::with(&files, &cluster.engine(24, 0.004));
    let driver = spread.start("ingestion");
    std::thread::sleep(Duration::from_millis(700));
    cluster.scheduler.kill().unwrap();
    cluster.scheduler.wait().unwrap();
    let begun = Instant::now();
    let output = driver.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    // How far the driver had come decides what it met first; what it says of itself is the same.
    let address = format!("127.0.0.1:{}", cluster.port);
    let [away, lost] = ["the scheduler at {} cannot be reached", "the cluster of {} gave up"]
        .map(|words| words.replace("{}", &address));
    let told = said(&output);
    assert!(told.contains(&away) || told.contains(&lost), "{told}");
    assert!(!spread.path("out/finaldata6.csv").exists());

    // Nobody at all: at once.
    let begun = Instant::now();
    let output = spread.ingest();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot be reached"), "{}", said(&output));

    let cluster = Cluster::of(1);
    spread.configure(&cluster.engine(4, 0.05));
    let output = spread.ingest();
    assert!(output.status.success(), "{}\n{}", said(&output), cluster.logs());
    let alone = Workspace::with(&files, "");
    alone.ingest_alone();
    assert!(spread.outputs() == alone.outputs(), "other bytes");
}

#[test]
fn without_executors_the_work_ends_with_an_error_in_bounded_time() {
    let cluster = Cluster::of(0);
    let spread = Workspace::with(&files(1, 50, 1), &cluster.engine(2, 1.0));
    let text = fs::read_to_string(spread.path("config.json")).unwrap();
    let text = text.replace("\"deadline_seconds\": 120", "\"deadline_seconds\": 25");
    fs::write(spread.path("config.json"), text).unwrap();
    let begun = Instant::now();
    let output = spread.ingest();
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("error: "), "{}", said(&output));
    assert!(!spread.path("out/finaldata1.csv").exists());
}
