//! A model-based random test: people and programs do at random what they may do to a workspace,
//! programs are killed at random, and after each step the workspace is held against a small model
//! of what the product promises.
//!
//! A failure prints the shortest list of operations that was found, and how to repeat it:
//! `MLOPS_MODEL=SEED:COUNT:NUMBERS`. `MLOPS_MODEL=SEED:COUNT` runs one seed, and `MLOPS_SOAK=1`
//! runs many; `MLOPS_MODEL_SECONDS` says for how long. Not for single rules: they have tests of
//! their own.
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

mod chance;
mod content;
mod invariants;
mod model;
mod operation;
mod program;
mod records;
mod releases;
mod world;

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use operation::{Operation, draw};
use world::{Counts, World};

/// What went wrong, and at which place of the list.
struct Failure {
    at: usize,
    what: String,
}

/// Carries out a list in a workspace of its own.
fn carry_out(seed: u64, list: &[Operation]) -> Result<Counts, Failure> {
    let mut world = World::new(seed);
    for (at, operation) in list.iter().enumerate() {
        if std::env::var("MLOPS_MODEL_TRACE").is_ok() {
            let mut out = std::io::stdout();
            writeln!(out, "{operation}").unwrap();
        }
        let applied = catch_unwind(AssertUnwindSafe(|| world.apply(operation)));
        applied
            .unwrap_or_else(|_| Err("the test panicked".to_owned()))
            .map_err(|what| Failure { at, what })?;
    }
    Ok(world.counts)
}

/// The shortest list that still fails, found by leaving out one operation after the other.
fn shortened(seed: u64, mut list: Vec<Operation>, failure: Failure) -> (Vec<Operation>, Failure) {
    let start = Instant::now();
    list.truncate(failure.at + 1);
    let mut newest = failure;
    let mut size = list.len().div_ceil(4).max(1);
    loop {
        let mut from = 0;
        let length = list.len();
        while from < list.len() {
            if start.elapsed() > Duration::from_mins(3) {
                return (list, newest);
            }
            let mut shorter = list.clone();
            shorter.drain(from..(from + size).min(list.len()));
            match carry_out(seed, &shorter) {
                Err(failure) => {
                    shorter.truncate(failure.at + 1);
                    (list, newest) = (shorter, failure);
                }
                Ok(_) => from += size,
            }
        }
        match (size, length == list.len()) {
            (1, true) => return (list, newest),
            (1, false) => {}
            _ => size = size.div_ceil(2),
        }
    }
}

/// Runs `seed`; panics with what a person needs to repeat a failure.
fn must_hold(seed: u64, count: usize, chosen: Option<&[usize]>) -> Counts {
    let mut list = draw(seed, count);
    if let Some(chosen) = chosen {
        list.retain(|operation| chosen.contains(&operation.number));
    }
    let failure = match carry_out(seed, &list) {
        Ok(counts) => return counts,
        Err(failure) => failure,
    };
    let first = format!("{} after {}", failure.what, list[failure.at]);
    let (list, failure) = if chosen.is_some() {
        list.truncate(failure.at + 1);
        (list, failure)
    } else {
        shortened(seed, list, failure)
    };
    let numbers: Vec<String> = list.iter().map(|o| o.number.to_string()).collect();
    let mut text = format!("{}\n(at first: {first})\n", failure.what);
    for operation in &list {
        writeln!(text, "{operation}").unwrap();
    }
    panic!("{text}again: MLOPS_MODEL={seed}:{count}:{}", numbers.join(","));
}

#[test]
fn random_histories_keep_every_promise() {
    if let Ok(text) = std::env::var("MLOPS_MODEL") {
        let mut parts = text.split(':');
        let seed = parts.next().unwrap().parse().unwrap();
        let count = parts.next().map_or(60, |count| count.parse().unwrap());
        let chosen: Option<Vec<usize>> =
            parts.next().map(|list| list.split(',').map(|n| n.parse().unwrap()).collect());
        println!("{:?}", must_hold(seed, count, chosen.as_deref()));
        return;
    }
    let soak = std::env::var("MLOPS_SOAK").is_ok_and(|v| v == "1");
    let (seeds, count) = if soak { (0..60, 80) } else { (0..3, 25) };
    let seconds = std::env::var("MLOPS_MODEL_SECONDS").ok().map(|text| text.parse().unwrap());
    let first = std::env::var("MLOPS_MODEL_FIRST").ok().map_or(0, |text| text.parse().unwrap());
    let begun = Instant::now();
    let mut all = Counts::default();
    let mut run = 0;
    let enough = |run: u64| match seconds {
        Some(seconds) => begun.elapsed() >= Duration::from_secs(seconds),
        None => run >= seeds.end,
    };
    while !enough(run) {
        all += must_hold(first + run, count, None);
        run += 1;
    }
    println!("{run} seeds from {first}, {:?}: {all:?}", begun.elapsed());
    if !soak {
        return;
    }
    assert!(all.kills > 100 && all.rollbacks > 10 && all.holdouts > 20, "{all:?}");
    assert!(all.erasures > 10, "{all:?}");
}
