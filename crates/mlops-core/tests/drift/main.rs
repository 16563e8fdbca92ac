//! False alarms and power of the data drift test, by simulation; `docs/drift.md` has the tables.
//!
//! Counts are reduced; in full with `MLOPS_SOAK=1`. Each test prints its rows of the tables. Not
//! for single functions: their tests stand beside them.

mod population;
mod rules;

use mlops_core::drift::data::PsiBand;
use mlops_core::drift::{DataDrift, data_drift};
use population::{Population, Shift};

/// The family-wise level of all simulations.
const ALPHA: f64 = 0.05;

/// Training rows and new rows.
const SIZES: [(usize, usize); 6] =
    [(100, 100), (1_000, 100), (1_000, 1_000), (10_000, 1_000), (10_000, 10_000), (1_000, 10_000)];

#[expect(clippy::disallowed_methods, reason = "a switch for long tests, not configuration")]
fn soak() -> bool {
    std::env::var("MLOPS_SOAK").is_ok_and(|v| v == "1")
}

/// Alarms of the deciding test and of the others, had they decided.
#[derive(Debug, Default)]
struct Alarms {
    batches: u32,
    deciding: u32,
    psi: u32,
    jensen_shannon: u32,
    kolmogorov_smirnov: u32,
    psi_band: u32,
}

impl Alarms {
    fn count(&mut self, drift: &DataDrift) {
        let any = |alarm: &dyn Fn(&mlops_core::drift::ColumnDrift) -> bool| {
            u32::from(drift.columns.iter().any(alarm))
        };
        self.batches += 1;
        self.deciding += u32::from(drift.data_drift);
        self.psi += any(&|c| c.comparison.psi.is_some_and(|s| s.value > s.threshold));
        self.jensen_shannon +=
            any(&|c| c.comparison.jensen_shannon.is_some_and(|s| s.value > s.threshold));
        self.kolmogorov_smirnov +=
            any(&|c| c.kolmogorov_smirnov.is_some_and(|s| s.value > s.threshold));
        self.psi_band += any(&|c| c.psi_band.is_some_and(|f| f != PsiBand::Stable));
    }

    fn rate(&self, alarms: u32) -> f64 {
        f64::from(alarms) / f64::from(self.batches)
    }

    /// Rates in the order of the table's columns.
    fn row(&self) -> String {
        let of =
            [self.deciding, self.jensen_shannon, self.psi, self.kolmogorov_smirnov, self.psi_band];
        of.map(|alarms| format!("{:.3}", self.rate(alarms))).join(" | ")
    }
}

fn simulate(batches: u32, seed: u64, (n, m): (usize, usize), shift: Shift) -> Alarms {
    let mut population = Population::new(seed);
    let mut alarms = Alarms::default();
    for _ in 0..batches {
        let reference = population.reference(n);
        let new = population.draw(m, shift);
        alarms.count(&data_drift(&reference, &new, ALPHA).expect("the same schema"));
    }
    alarms
}

/// The highest rate that a test of the nominal level shows in 97.5 % of simulations.
fn band(batches: u32) -> f64 {
    ALPHA + 1.96 * (ALPHA * (1.0 - ALPHA) / f64::from(batches)).sqrt()
}

#[test]
fn the_family_wise_alarm_rate_holds_its_level() {
    for (n, m) in SIZES {
        for seed in [1, 2] {
            let batches = if soak() {
                1_000
            } else if n.max(m) > 1_000 {
                40
            } else {
                200
            };
            let alarms = simulate(batches, seed, (n, m), Shift::default());
            println!("| {n} | {m} | {seed} | {batches} | {} |", alarms.row());
            let rate = alarms.rate(alarms.deciding);
            assert!(rate <= band(batches), "{n} {m} seed {seed}: {rate} over {}", band(batches));
        }
    }
}

#[test]
fn real_shifts_are_found() {
    let none = Shift::default();
    let shifts = [
        ("mean of two columns + 0.2 sd", Shift { mean: 0.2, ..none }),
        ("mean of two columns + 0.5 sd", Shift { mean: 0.5, ..none }),
        ("a category from 60 % to 65 %", Shift { share: 0.05, ..none }),
        ("a category from 60 % to 75 %", Shift { share: 0.15, ..none }),
        ("missing from 10 % to 20 %", Shift { missing: 0.1, ..none }),
        ("a new category in 2 % of the rows", Shift { fresh: 0.02, ..none }),
    ];
    let batches = if soak() { 400 } else { 40 };
    for (name, shift) in shifts {
        for (n, m) in [(100, 100), (1_000, 1_000), (10_000, 1_000), (10_000, 10_000)] {
            if m > 1_000 && !soak() {
                continue;
            }
            let alarms = simulate(batches, 3, (n, m), shift);
            println!("| {name} | {n} | {m} | {} |", alarms.row());
            let power = alarms.rate(alarms.deciding);
            let strong = shift.mean > 0.4 || shift.share > 0.1 || shift.missing > 0.0;
            assert!(m < 1_000 || !strong || power > 0.95, "{name} {n} {m}: {power}");
        }
    }
}

/// With many columns the level of each is small, and chi-square only approximates such tails.
#[test]
fn p_values_of_one_column_hold_small_levels() {
    let references = if soak() { 1_000 } else { 50 };
    for (n, m) in [(1_000, 100), (10_000, 100), (1_000, 1_000)] {
        let mut population = Population::new(4);
        let mut p_values = Vec::new();
        for _ in 0..references {
            let reference = population.reference(n);
            for _ in 0..20 {
                let new = population.draw(m, Shift::default());
                let drift = data_drift(&reference, &new, ALPHA).expect("the same schema");
                p_values.extend(drift.columns.iter().map(|c| c.comparison.p_value));
            }
        }
        let rate = |level: f64| {
            p_values.iter().filter(|p| **p < level).count() as f64 / p_values.len() as f64
        };
        let rates = [0.05, 0.01, 0.001, 0.000_1].map(rate);
        let text = rates.map(|rate| format!("{rate:.5}")).join(" | ");
        println!("| {n} | {m} | {} | {text} |", p_values.len());
        assert!(rates[0] < 0.06 && rates[1] < 0.015 && rates[2] < 0.003, "{n} {m} {rates:?}");
    }
}
