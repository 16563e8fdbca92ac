//! Populations to draw rows from: skewed, tied, gappy and categorical features, and their shifts.

use mlops_core::drift::{Reference, Sample, SampleBuilder};
use mlops_core::table::Table;
use mlops_core::table::schema::{Schema, SchemaFields};
use rand_distr::{Distribution, Exp1, Poisson, StandardNormal, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// Numeric columns, in order.
pub(crate) const NUMERIC: [&str; 6] =
    ["normal", "lognormal", "poisson", "zero_inflated", "gappy", "rounded"];
/// Categorical columns, in order.
pub(crate) const CATEGORICAL: [&str; 2] = ["three", "zipf"];

/// Levels of the first categorical column; the last occurs only after a shift.
const THREE: [&str; 4] = ["a", "b", "c", "fresh"];
/// Levels of the second.
const LEVELS: usize = 50;

/// How a population differs from the training rows' one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shift {
    /// Added to the normal and the rounded column, in standard deviations.
    pub(crate) mean: f64,
    /// Added to the share of the first of three categories (0.6), taken from the second.
    pub(crate) share: f64,
    /// Added to the share of missing values of the gappy column (0.1).
    pub(crate) missing: f64,
    /// Share of rows with a category that did not exist.
    pub(crate) fresh: f64,
}

/// The schema of a population.
pub(crate) fn schema() -> Schema {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    Schema::new(SchemaFields {
        numeric: &names(&NUMERIC),
        categorical: &names(&CATEGORICAL),
        target: "label",
        positive_label: "1",
        ..SchemaFields::default()
    })
}

/// A source of rows, the same for the same seed.
pub(crate) struct Population {
    random: Xoshiro256PlusPlus,
    schema: Schema,
    /// Both texts of a row, by the index of the first and of the second.
    texts: Vec<[String; 2]>,
}

impl Population {
    /// A source with this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let pair = |i: usize| [THREE[i / LEVELS].to_owned(), format!("level {}", i % LEVELS)];
        let texts = (0..THREE.len() * LEVELS).map(pair).collect();
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), schema: schema(), texts }
    }

    fn uniform(&mut self) -> f64 {
        StandardUniform.sample(&mut self.random)
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.random)
    }

    /// This many rows.
    pub(crate) fn draw(&mut self, rows: usize, shift: Shift) -> Sample {
        let poisson = Poisson::new(3.0).expect("a mean above 0");
        let mut table = Table::new(&self.schema);
        for _ in 0..rows {
            let exponential: f64 = Exp1.sample(&mut self.random);
            let numeric = [
                Some(self.normal() + shift.mean),
                Some(self.normal().exp()),
                Some(poisson.sample(&mut self.random)),
                Some(if self.uniform() < 0.8 { 0.0 } else { exponential }),
                Some(self.normal().exp()).filter(|_| self.uniform() >= 0.1 + shift.missing),
                Some(((self.normal() + shift.mean) * 2.0).round()),
            ];
            let three = match self.uniform() {
                u if u < shift.fresh => 3,
                _ => match self.uniform() {
                    u if u < 0.6 + shift.share => 0,
                    u if u < 0.9 => 1,
                    _ => 2,
                },
            };
            // Share of level i about 1 / (i + 1): a long tail of rare ones.
            let rank = (51.0_f64.powf(self.uniform()) - 1.0).floor().min(49.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 49")]
            let zipf = rank as usize;
            table.push_values(&numeric, &self.texts[three * LEVELS + zipf]);
        }
        let mut builder = SampleBuilder::new(&self.schema, 1);
        builder.add(&table, |_| true);
        builder.finish()
    }

    /// What a model trained on this many rows remembers.
    pub(crate) fn reference(&mut self, rows: usize) -> Reference {
        Reference::of(&self.draw(rows, Shift::default()))
    }
}
