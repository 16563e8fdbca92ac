//! Clients with an effect of their own and several rows each: what a test on new rows of known
//! clients promises too much, and how often the interval of a test on new clients holds the truth.
//!
//! The figures of `docs/intervals.md`, "Rows of one client". Every draw is a data set, two hold-outs
//! and two fits; the truth is the fitted model's on a large population of clients that it never met.
//! Not for independent rows: see `coverage`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use mlops_core::config::choices::Solver;
use mlops_core::evaluation::metrics::{Clusters, ConfusionMatrix, Evaluation, Interval, Metric};
use mlops_core::evaluation::split::hold_out;
use mlops_core::model::fit::{LogisticRegression, PackedBlocks, Scaler};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Features that are the same in all rows of a client, and those that are not.
const OF_CLIENT: usize = 16;
const OF_ROW: usize = 2;
/// Deviation of the clients' own effects, which no feature tells.
const EFFECT: f64 = 2.0;
const CLIENTS: usize = 150;
/// A client has 1 to so many rows.
const MOST_ROWS: u64 = 8;

struct Row {
    client: usize,
    features: [f64; OF_CLIENT + OF_ROW],
    label: bool,
}

fn clients(count: usize, random: &mut Xoshiro256PlusPlus) -> Vec<Row> {
    let mut rows = Vec::new();
    for client in 0..count {
        let normal = |random: &mut Xoshiro256PlusPlus| -> f64 { StandardNormal.sample(random) };
        let own: [f64; OF_CLIENT] = std::array::from_fn(|_| normal(random));
        let effect = EFFECT * normal(random);
        for _ in 0..=random.next_u64() % MOST_ROWS {
            let mut features = [0.0; OF_CLIENT + OF_ROW];
            features[..OF_CLIENT].copy_from_slice(&own);
            features[OF_CLIENT..].fill_with(|| normal(random));
            let log_odds = 0.8 * own[0] + features[OF_CLIENT] - 0.5 + effect;
            let chance: f64 = StandardUniform.sample(random);
            let label = chance < 1.0 / (1.0 + (-log_odds).exp());
            rows.push(Row { client, features, label });
        }
    }
    rows
}

/// Intercept and coefficients of a fit on `rows`, for features as they are.
fn fit<'a>(rows: impl Iterator<Item = &'a Row>) -> (f64, Vec<f64>) {
    let mut blocks = PackedBlocks::new(OF_CLIENT + OF_ROW);
    for row in rows {
        blocks.push_row(&row.features, row.label).unwrap();
    }
    let scaler = Scaler::fit(&blocks, &[true; OF_CLIENT + OF_ROW], 1).unwrap();
    let model =
        LogisticRegression { solver: Solver::Newton, threads: 1, ..LogisticRegression::default() };
    let fitted = model.fit(&blocks, &scaler).unwrap();
    let plain: Vec<f64> =
        fitted.coefficients.iter().zip(&scaler.scale).map(|(c, scale)| c / scale).collect();
    let shift: f64 = plain.iter().zip(&scaler.mean).map(|(c, mean)| c * mean).sum();
    (fitted.intercept - shift, plain)
}

fn log_odds((intercept, coefficients): &(f64, Vec<f64>), row: &Row) -> f64 {
    intercept + row.features.iter().zip(coefficients).map(|(x, c)| x * c).sum::<f64>()
}

fn evaluated(model: &(f64, Vec<f64>), rows: &[&Row], grouped: bool) -> Evaluation {
    let labels: Vec<bool> = rows.iter().map(|row| row.label).collect();
    let p: Vec<f64> = rows.iter().map(|row| 1.0 / (1.0 + (-log_odds(model, row)).exp())).collect();
    let entities: Vec<u128> = rows.iter().map(|row| row.client as u128).collect();
    let clusters = Clusters::of(&entities).filter(|_| grouped);
    Evaluation::clustered(&labels, &p, 0.5, clusters.as_ref()).unwrap()
}

/// The rows in the hold-out, and the others.
fn parts<'a>(rows: &'a [Row], held: impl Fn(usize) -> bool) -> (Vec<&'a Row>, Vec<&'a Row>) {
    let (held, rest): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(i, _)| held(*i));
    let rows = |part: Vec<(usize, &'a Row)>| part.into_iter().map(|(_, row)| row).collect();
    (rows(held), rows(rest))
}

/// What a hold-out of rows and one of clients say of the models that were fitted without them.
struct Draw {
    row_wise: (Evaluation, (f64, Vec<f64>)),
    grouped: (Evaluation, (f64, Vec<f64>)),
    /// The grouped one with intervals that take every row as independent.
    naive: Evaluation,
}

fn draw(random: &mut Xoshiro256PlusPlus) -> Draw {
    let rows = clients(CLIENTS, random);
    let mut hash = || u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
    let each: Vec<(u128, bool)> = rows.iter().map(|row| (hash(), row.label)).collect();
    let chosen = hold_out(&each, 0.3).unwrap();
    let (test, rest) = parts(&rows, |i| chosen.binary_search(&i).is_ok());
    let model = fit(rest.into_iter());
    let row_wise = (evaluated(&model, &test, false), model);
    // A client counts as positive if its first row is.
    let first = |client: usize| rows.iter().find(|row| row.client == client).unwrap().label;
    let each: Vec<(u128, bool)> = (0..CLIENTS).map(|client| (hash(), first(client))).collect();
    let chosen = hold_out(&each, 0.3).unwrap();
    let (test, rest) = parts(&rows, |i| chosen.binary_search(&rows[i].client).is_ok());
    let model = fit(rest.into_iter());
    let naive = evaluated(&model, &test, false);
    Draw { row_wise, grouped: (evaluated(&model, &test, true), model), naive }
}

fn holds(interval: Interval, truth: f64) -> bool {
    interval.low <= truth && truth <= interval.high
}

#[test]
fn new_rows_of_known_clients_promise_too_much_and_new_clients_do_not() {
    let soak = std::env::var_os("MLOPS_SOAK").is_some_and(|v| v == "1");
    let draws = if soak { 1_000 } else { 250 };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(20_260);
    let population = clients(8_000, &mut random);
    let true_f1 = |model: &(f64, Vec<f64>)| {
        let pairs = population.iter().map(|row| (row.label, log_odds(model, row) > 0.0));
        ConfusionMatrix::from_pairs(pairs).f1()
    };
    let (mut excess, mut gap) = (Vec::new(), Vec::new());
    let (mut of_clients, mut of_rows, mut of_row_wise) = (0, 0, 0);
    for _ in 0..draws {
        let Draw { row_wise, grouped, naive } = draw(&mut random);
        let truth = true_f1(&row_wise.1);
        excess.push(row_wise.0.f1 - truth);
        of_row_wise += u32::from(holds(row_wise.0.f1_interval, truth));
        let truth = true_f1(&grouped.1);
        gap.push(grouped.0.f1 - truth);
        of_clients += u32::from(holds(grouped.0.f1_interval, truth));
        of_rows += u32::from(holds(naive.f1_interval, truth));
        assert!((naive.f1 - grouped.0.f1).abs() < 1e-15 && naive.entities.is_none());
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let error = |values: &[f64]| {
        let mean = mean(values);
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (squares / (values.len() * (values.len() - 1)) as f64).sqrt()
    };
    let share = |held: u32| f64::from(held) / f64::from(draws);
    println!(
        "{draws} draws; F1 less the true one: row-wise {:+.4} ± {:.4}, grouped {:+.4} ± {:.4}; \
         coverage: grouped by clients {:.3}, grouped by rows {:.3}, row-wise {:.3}",
        mean(&excess),
        1.96 * error(&excess),
        mean(&gap),
        1.96 * error(&gap),
        share(of_clients),
        share(of_rows),
        share(of_row_wise)
    );
    assert!(mean(&excess) > 0.02 && mean(&excess) > 4.0 * error(&excess), "{}", mean(&excess));
    assert!(mean(&gap).abs() < 0.01 + 3.0 * error(&gap), "{}", mean(&gap));
    // The error of the share of 250 draws is 0.014.
    let (least, most) = if soak { (0.93, 0.97) } else { (0.91, 0.985) };
    let held = share(of_clients);
    assert!((least..=most).contains(&held), "{held}");
    assert!(share(of_rows) < held, "{} {held}", share(of_rows));
}

/// Prints the coverage of all intervals on rows of clients, for the documentation.
#[test]
#[ignore = "prints a table of docs/intervals.md, for minutes"]
fn tables_of_clients() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(20_261);
    let population = clients(4_000, &mut random);
    let all: Vec<&Row> = population.iter().collect();
    let intervals = |e: &Evaluation| -> Vec<(&'static str, Interval, f64)> {
        let top = e.top_decile.unwrap();
        let c = e.calibration.clone().unwrap();
        let of = |metric: Metric| metric.of(e).unwrap();
        vec![
            ("F1", e.f1_interval, e.f1),
            ("accuracy", e.accuracy_interval, e.accuracy),
            ("precision", e.precision_interval.unwrap(), e.precision),
            ("recall", e.recall_interval.unwrap(), e.recall),
            ("specificity", e.specificity_interval.unwrap(), of(Metric::Specificity)),
            (
                "balanced accuracy",
                e.balanced_accuracy_interval.unwrap(),
                of(Metric::BalancedAccuracy),
            ),
            ("MCC", e.mcc_interval.unwrap(), of(Metric::Mcc)),
            ("ROC AUC", e.roc_auc_interval.unwrap(), of(Metric::RocAuc)),
            ("KS", e.ks_interval.unwrap(), of(Metric::Ks)),
            ("top precision", top.precision_interval, top.precision),
            ("lift", top.lift_interval, top.lift),
            ("calibration intercept", c.intercept_interval.unwrap(), c.intercept.unwrap()),
            ("calibration slope", c.slope_interval.unwrap(), c.slope.unwrap()),
        ]
    };
    let draws = 1_000;
    let mut held: Vec<(&str, [u32; 2])> = Vec::new();
    for _ in 0..draws {
        let Draw { grouped, naive, .. } = draw(&mut random);
        let truth = intervals(&evaluated(&grouped.1, &all, false));
        let pairs = intervals(&grouped.0).into_iter().zip(intervals(&naive)).zip(truth);
        for (k, (((name, by_client, _), (_, by_row, _)), (.., truth))) in pairs.enumerate() {
            if held.len() <= k {
                held.push((name, [0, 0]));
            }
            held[k].1[0] += u32::from(holds(by_row, truth));
            held[k].1[1] += u32::from(holds(by_client, truth));
        }
    }
    println!("| figure | rows as independent | rows of clients |\n|---|---|---|");
    for (name, [by_row, by_client]) in held {
        let share = |held: u32| f64::from(held) / f64::from(draws);
        println!("| {name} | {:.3} | {:.3} |", share(by_row), share(by_client));
    }
}
