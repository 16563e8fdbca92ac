//! How often each rule on the F1 calls a model drifted that did not, or did.

use mlops_core::config::choices::Rule;
use mlops_core::drift::{Past, model_drift};
use mlops_core::evaluation::metrics::ConfusionMatrix;
use rand_distr::{Distribution, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// Answers of a model that finds this share of the positives and takes a fifth of the negatives
/// for such; two rows of five are positive.
fn answers(rows: usize, recall: f64, random: &mut Xoshiro256PlusPlus) -> ConfusionMatrix {
    let mut chance = || -> f64 { StandardUniform.sample(&mut *random) };
    ConfusionMatrix::from_pairs((0..rows).map(|_| {
        let label = chance() < 0.4;
        (label, chance() < if label { recall } else { 0.2 })
    }))
}

/// Share of batches that each rule calls drifted, in the order of [`Rule::ALL`].
fn rates(batches: u32, rows: usize, recall: f64) -> [f64; 6] {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut drifted = [0; 6];
    for batch in 0..batches {
        let deployed = answers(rows, 0.75, &mut random);
        let history: Vec<f64> = (0..10).map(|_| answers(rows, 0.75, &mut random).f1()).collect();
        let new = answers(rows, recall, &mut random);
        let batches = (0..10).map(|_| answers(rows, 0.75, &mut random)).fold(
            ConfusionMatrix::default(),
            |mut sum, batch| {
                sum += batch;
                sum
            },
        );
        let past = Past { deployed: &deployed.into(), history: &history, batches };
        let verdict = model_drift(&past, &new, Rule::Raw, 20, u64::from(batch));
        for (count, verdict) in drifted.iter_mut().zip(&verdict.verdicts) {
            *count += u32::from(verdict.drifted == Some(true));
        }
    }
    drifted.map(|count| f64::from(count) / f64::from(batches))
}

#[test]
fn rules_by_their_false_alarms_and_power() {
    let batches = if crate::soak() { 1_000 } else { 100 };
    for rows in [100, 1_000, 10_000] {
        if rows > 1_000 && !crate::soak() {
            continue;
        }
        for recall in [0.75, 0.65] {
            let rates = rates(batches, rows, recall);
            let text = rates.map(|rate| format!("{rate:.3}")).join(" | ");
            println!("| {rows} | {recall} | {batches} | {text} |");
            if recall > 0.7 {
                // One end of a 95 % interval.
                let nominal: f64 = 0.025;
                let band = 2.5 * (nominal * (1.0 - nominal) / f64::from(batches)).sqrt();
                assert!(rates[3].max(rates[4]) <= nominal + band, "{rows} rows: {rates:?}");
            }
        }
    }
}
