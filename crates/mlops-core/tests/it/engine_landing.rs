//! Objects that an engine fetches in ranges: the same files, records and data set as if this process had fetched them.
//!
//! Not for object stores: `mlops-cluster` has a test with an S3 server.

use std::fs;
use std::sync::Arc;

use mlops_core::ledger::Landed;
use mlops_core::source::OnlyFolders;
use mlops_core::stage::ingest::report::Ingested;
use mlops_testkit::{HEADER, Memory, Random, Scene, repetitions, sample_rows};
use serde_json::json;

use crate::engine::{Restless, messy, outputs, records, twins};

/// Two workspaces with a source each, which have the same objects.
fn with_places(range_bytes: u64, seed: u64) -> [(Scene, Memory); 2] {
    let more = json!({
        "ingestion": { "max_rejected_share": 0.6 },
        "sources": [{ "name": "far", "uri": "s3://bucket/", "max_mib": 1 }],
    });
    let (alone, mut spread) = twins(&more, range_bytes, seed);
    let places = [Memory::default(), Memory::default()];
    let engine = Restless::new(range_bytes, 3, seed).reaching(Arc::new(places[1].clone()));
    spread.engine = Some(Arc::new(engine));
    let mut scenes = [alone, spread];
    for (scene, place) in scenes.iter_mut().zip(&places) {
        scene.places = Arc::new(place.clone());
    }
    let [near, far] = places;
    let [alone, spread] = scenes;
    [(alone, near), (spread, far)]
}

/// What was fetched, as it is recorded and as it lies there.
fn landed(scene: &Scene) -> (Vec<Landed>, Vec<(String, Vec<u8>)>) {
    let entries = fs::read_dir(scene.path("out/landing/far")).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    let mut files: Vec<_> = entries.map(read).collect();
    files.sort();
    (scene.ledger().landed("far").unwrap(), files)
}

fn told(report: &Ingested) -> [String; 3] {
    [
        format!("{:?}", report.failures),
        format!("{:?}", report.warnings),
        records(report).to_string(),
    ]
}

#[test]
fn random_objects_are_fetched_in_ranges_of_any_size() {
    let (mut broken, mut changed, mut large) = (0, 0, 0);
    for seed in 0..repetitions(8, 500) {
        let mut random = Random(seed);
        let range_bytes = [1, 150, 700, 5_000, 1 << 30][random.below(5)];
        let [(alone, near), (spread, far)] = with_places(range_bytes, seed);
        for round in 0..2 {
            for number in 0..=random.below(4) {
                let name = format!("{round}/{number}.csv");
                let text = if random.one_in(6) { String::new() } else { messy(&mut random) };
                let text = if range_bytes == 1 { HEADER.to_owned() + "c1,1,2,3,1\n" } else { text };
                let [stops, turns] = [0; 2].map(|_| random.one_in(5));
                for place in [&near, &far] {
                    place.put(&name, &text);
                    place.breaks(&name, stops);
                    place.changes(&name, turns);
                }
            }
            if random.one_in(3) && range_bytes > 500 {
                let text = HEADER.to_owned() + &sample_rows(60_000, 3);
                assert!(text.len() > 1 << 20);
                near.put("large.csv", &text);
                far.put("large.csv", &text);
            }
            let [expected, found] = [&alone, &spread].map(|scene| scene.ingest().unwrap());
            let when = format!("seed {seed}, {range_bytes} bytes");
            assert_eq!(told(&found), told(&expected), "{when}");
            assert_eq!(landed(&spread), landed(&alone), "{when}");
            assert_eq!(outputs(&spread), outputs(&alone), "{when}");
            let said = told(&expected).concat();
            broken += usize::from(said.contains("broke off"));
            changed += usize::from(said.contains("while it was fetched"));
            large += usize::from(said.contains("larger than 1 MiB"));
        }
    }
    assert!(broken > 2 && changed > 2 && large > 0, "{broken} {changed} {large}");
}

#[test]
fn an_executor_that_cannot_reach_the_place_says_so() {
    let [_, (mut spread, place)] = with_places(100, 1);
    spread.engine = Some(Arc::new(Restless::new(100, 3, 1).reaching(Arc::new(OnlyFolders))));
    place.put("a.csv", HEADER.to_owned() + &sample_rows(50, 1));
    let report = spread.ingest().unwrap();
    let words = "far/a.csv: an executor: the source \"far\" is read by";
    assert!(
        report.failures.iter().any(|failure| failure.starts_with(words)),
        "{:?}",
        report.failures
    );
    assert!(place.fetched().is_empty(), "the driver fetches nothing itself");
    assert_eq!(landed(&spread).1, []);
}
