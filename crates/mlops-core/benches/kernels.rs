//! How fast the inner loops are, each through the smallest public door that leads to it.
//!
//! `cargo bench -p mlops-core` takes a quarter of a minute when it is built; options go behind
//! `--`, such as a part of a name, or `--max-time 5`. All runs on one thread, on data from a fixed
//! seed. Not for whole stages nor for comparisons with others: see `benches/bench.sh`. Not for
//! results: those are tested.

use std::path::PathBuf;
use std::time::Duration;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use mlops_core::model::fit::PackedBlocks;
use mlops_core::platform::disk::Disk;
use mlops_core::table::schema::{Role, Schema, SchemaFields};
use tempfile::TempDir;

fn main() {
    // Before the arguments, which may say otherwise.
    divan::Divan::default().max_time(Duration::from_secs(1)).config_with_args().main();
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A whole number under `n`.
    fn below(&mut self, n: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "less than n")]
        let number = ((u128::from(self.next()) * u128::from(n)) >> 64) as u32;
        number
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number, small more often than large: as amounts and counts are.
    fn amount(&mut self) -> u32 {
        let most = 10_u32.pow(1 + self.below(5));
        self.below(most)
    }
}

/// What the rows of a file are like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rows {
    /// Five columns, spelt canonically: a text, three whole numbers, a label.
    Narrow,
    /// The same with 28 numbers.
    Wide,
    /// As `Narrow`, with numbers that have a fraction.
    Decimals,
    /// As `Narrow`, with a category of eight.
    Categories,
    /// As `Narrow`; one row in eight is spelt in another way, one in 64 has a missing value, one in
    /// 256 cannot be used.
    Messy,
    /// As `Narrow`; two rows in three have been there before.
    Repeated,
}

const ALL_ROWS: [Rows; 5] =
    [Rows::Narrow, Rows::Wide, Rows::Decimals, Rows::Categories, Rows::Messy];

impl Rows {
    fn numbers(self) -> usize {
        if self == Self::Wide { 28 } else { 3 }
    }

    fn count(self) -> usize {
        if self == Self::Wide { 10_000 } else { 60_000 }
    }

    fn schema(self) -> Schema {
        let numbers: Vec<String> = (0..self.numbers()).map(|j| format!("x{j}")).collect();
        let categories = if self == Self::Categories { vec!["group".to_owned()] } else { vec![] };
        Schema::new(SchemaFields {
            id: &["id".to_owned()],
            numeric: &numbers,
            categorical: &categories,
            target: "left",
            positive_label: "1",
            negative_label: Some("0"),
            ..SchemaFields::default()
        })
    }

    fn file(self) -> File {
        let schema = self.schema();
        let mut random = Random(7);
        let mut lines: Vec<String> = Vec::new();
        for i in 0..self.count() {
            let line = if self == Self::Repeated && i % 3 > 0 {
                let before = random.below(u32::try_from(lines.len()).unwrap_or(1));
                lines[before as usize].clone()
            } else {
                self.line(i, &schema, &mut random)
            };
            lines.push(line);
        }
        let bytes = [schema.header(), lines.concat().into_bytes()].concat();
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("rows.csv");
        Disk::default().write(&path, &bytes).expect("a file in it");
        File { schema, folder, path, rows: self.count(), bytes: bytes.len() }
    }

    fn line(self, i: usize, schema: &Schema, random: &mut Random) -> String {
        let odd = if self == Self::Messy { random.below(256) } else { u32::MAX };
        let mut line = String::new();
        for column in schema.columns() {
            let cell = match column.role {
                Role::Id => format!("corporation {i}"),
                Role::Numeric if self == Self::Decimals => {
                    format!("{}.{}{}", random.amount(), random.below(10), 1 + random.below(9))
                }
                Role::Numeric => random.amount().to_string(),
                Role::Date => "2024-03-31".to_owned(),
                Role::Categorical => format!("group {}", random.below(8)),
                Role::Target => random.below(2).to_string(),
            };
            let cell = match (odd, column.role) {
                (0, Role::Numeric) => format!("{cell} or so"),
                (1..5, Role::Numeric) => "NA".to_owned(),
                (5..13, Role::Id) => format!("\"{cell}, Ltd\""),
                (13..21, _) => format!(" {cell}"),
                (21..29, Role::Numeric) => format!("{cell}.0"),
                (29..37, Role::Numeric) => format!("\"{cell}\""),
                _ => cell,
            };
            line.push_str(&cell);
            line.push(',');
        }
        line.pop();
        line.push('\n');
        line
    }
}

/// Rows on disk, most likely in the memory of the system.
struct File {
    schema: Schema,
    folder: TempDir,
    path: PathBuf,
    rows: usize,
    bytes: usize,
}

impl File {
    fn counters(&self) -> (BytesCount, ItemsCount) {
        (BytesCount::new(self.bytes), ItemsCount::new(self.rows))
    }
}

/// Rows of a file as values.
mod reading {
    use mlops_core::config::Ingestion;
    use mlops_core::csv::reader::RowReader;
    use mlops_core::table::Table;

    use super::{ALL_ROWS, Bencher, Rows};

    fn read(bencher: Bencher, rows: Rows, hashes: bool) {
        let (file, options) = (rows.file(), Ingestion::default());
        let reader = RowReader::labelled(&file.schema, &options).without_digest();
        let reader = if hashes { reader } else { reader.without_hashes() };
        let (bytes, items) = file.counters();
        bencher.counter(bytes).counter(items).bench_local(|| {
            let mut read = 0;
            let count = |table: &Table| {
                read += table.len();
                Ok(())
            };
            reader.read(&file.path, count).expect("a file of rows");
            read
        });
    }

    /// What a stage that predicts asks for.
    #[divan::bench(args = ALL_ROWS)]
    fn values(bencher: Bencher, rows: Rows) {
        read(bencher, rows, false);
    }

    /// What a stage that trains asks for.
    #[divan::bench(args = [Rows::Narrow, Rows::Wide])]
    fn values_and_hashes(bencher: Bencher, rows: Rows) {
        read(bencher, rows, true);
    }
}

/// From rows as they arrive to a data set on disk: read, hashed, parsed, de-duplicated, written.
mod ingestion {
    use std::path::Path;

    use mlops_core::config::Ingestion;
    use mlops_core::dataset::builder::Ingest;
    use mlops_core::dataset::discover::SourceFile;
    use mlops_core::dataset::resources::Resources;
    use mlops_core::platform::disk::Disk;

    use super::{Bencher, File, Rows};

    fn build(file: &File, options: &Ingestion, path: &Path) -> u64 {
        let quarantine = file.folder.path().join("quarantine.csv");
        let means = Resources { expected_rows: file.rows, ..Resources::default() };
        let disk = Disk::default();
        let ingest = Ingest::start(&file.schema, options, &disk, path, &quarantine, means);
        let mut ingest = ingest.expect("a folder to write to");
        let candidate = SourceFile { name: "rows.csv".to_owned(), path: file.path.clone() };
        ingest.file(&candidate, &mut (), &mut |_, _| {}).expect("a file of rows");
        ingest.finish().expect("room on the disk").data.1
    }

    #[divan::bench(args = [Rows::Narrow, Rows::Wide, Rows::Messy, Rows::Repeated])]
    fn file(bencher: Bencher, rows: Rows) {
        let (file, options) = (rows.file(), Ingestion::default());
        let path = file.folder.path().join("finaldata.csv");
        let (bytes, items) = file.counters();
        bencher.counter(bytes).counter(items).bench_local(|| build(&file, &options, &path));
    }
}

/// What the values of a column are like; whole numbers are often packed and summed in other ways.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Numbers {
    Whole,
    Fractions,
}

const NUMBERS: [Numbers; 2] = [Numbers::Whole, Numbers::Fractions];

/// Values to learn from: `features` columns.
fn columns(rows: usize, features: usize, numbers: Numbers) -> (Vec<Vec<f64>>, Vec<bool>) {
    let mut random = Random(11);
    let mut columns = vec![Vec::with_capacity(rows); features];
    let mut labels = Vec::with_capacity(rows);
    for _ in 0..rows {
        let mut score = random.unit() - 0.5;
        for (j, column) in columns.iter_mut().enumerate() {
            let u = random.unit();
            column.push(if numbers == Numbers::Whole { (u * 1000.0).floor() } else { u * 1000.0 });
            score += if j % 2 == 0 { 0.5 - u } else { u - 0.5 } / (1 + j) as f64;
        }
        labels.push(score > 0.2);
    }
    (columns, labels)
}

fn packed((columns, labels): &(Vec<Vec<f64>>, Vec<bool>)) -> PackedBlocks {
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let mut blocks = PackedBlocks::new(columns.len());
    blocks.push_columns(&columns, labels).expect("columns of one length");
    blocks
}

/// From packed rows to coefficients.
mod fit {
    use mlops_core::config::choices::Solver;
    use mlops_core::evaluation::folds::Folds;
    use mlops_core::model::fit::{
        Block, Blocks, CrossValidation, GRID, LogisticRegression, Scaler,
    };

    use super::{Bencher, BytesCount, ItemsCount, NUMBERS, Numbers, columns, packed};

    const ROWS: usize = 50_000;
    const FEATURES: [usize; 2] = [3, 30];

    fn values(features: usize) -> (BytesCount, ItemsCount) {
        (BytesCount::of_many::<f64>(ROWS * features), ItemsCount::new(ROWS))
    }

    /// Rows into packed blocks; whole numbers take less room.
    #[divan::bench(args = NUMBERS)]
    fn pack(bencher: Bencher, numbers: Numbers) {
        let rows = columns(ROWS, 3, numbers);
        let (bytes, items) = values(3);
        bencher.counter(bytes).counter(items).bench_local(|| packed(&rows));
    }

    /// And out of them, as each pass of a fit does.
    #[divan::bench(args = NUMBERS)]
    fn unpack(bencher: Bencher, numbers: Numbers) {
        let blocks = packed(&columns(ROWS, 3, numbers));
        let mut block = Block::new(3);
        let (bytes, items) = values(3);
        bencher.counter(bytes).counter(items).bench_local(|| {
            (0..blocks.blocks()).for_each(|i| blocks.read(i, &mut block).expect("a block"));
        });
    }

    /// Whole numbers take one pass, others two.
    #[divan::bench(args = NUMBERS)]
    fn scaler(bencher: Bencher, numbers: Numbers) {
        let blocks = packed(&columns(ROWS, 30, numbers));
        let (bytes, items) = values(30);
        bencher
            .counter(bytes)
            .counter(items)
            .bench_local(|| Scaler::fit(&blocks, &[true; 30], 1).expect("numbers"));
    }

    /// A searched penalty: nine values in five folds, to be held against `newton`.
    #[divan::bench(args = FEATURES)]
    fn grid(bencher: Bencher, features: usize) {
        let rows = columns(ROWS, features, Numbers::Whole);
        let of_row: Vec<_> = (0..ROWS).map(|row| row % 5).collect();
        let (blocks, folds) = (packed(&rows), Folds::predefined(&of_row, &rows.1));
        let estimator = LogisticRegression { threads: 1, ..LogisticRegression::default() };
        let numeric = vec![true; features];
        let validation = CrossValidation {
            estimator: &estimator,
            blocks: &blocks,
            numeric: &numeric,
            folds: &folds,
        };
        let (bytes, items) = values(features);
        bencher.counter(bytes).counter(items).bench_local(|| {
            validation.fit(&GRID).and_then(|fits| fits.log_losses()).expect("optima")
        });
    }

    /// A whole fit, of several passes.
    #[divan::bench(args = FEATURES)]
    fn newton(bencher: Bencher, features: usize) {
        let blocks = packed(&columns(ROWS, features, Numbers::Whole));
        let scaler = Scaler::fit(&blocks, &vec![true; features], 1).expect("numbers");
        let model = LogisticRegression {
            solver: Solver::Newton,
            threads: 1,
            ..LogisticRegression::default()
        };
        let (bytes, items) = values(features);
        bencher
            .counter(bytes)
            .counter(items)
            .bench_local(|| model.fit(&blocks, &scaler).expect("an optimum"));
    }
}

/// A column's summary.
mod statistics {
    use mlops_core::profile::NumericProfile;

    use super::{Bencher, BytesCount, ItemsCount, NUMBERS, Numbers, columns};

    const CELLS: usize = 200_000;

    /// Whole numbers are counted in a table, others in a sorted list.
    #[divan::bench(args = NUMBERS)]
    fn numbers(bencher: Bencher, numbers: Numbers) {
        let (columns, _) = columns(CELLS, 1, numbers);
        bencher
            .counter(BytesCount::of_slice(&columns[0]))
            .counter(ItemsCount::new(CELLS))
            .bench_local(|| {
                let mut profile = NumericProfile::new();
                columns[0].chunks(8_192).for_each(|cells| profile.extend(cells));
                profile.finish()
            });
    }
}

/// From columns to probabilities.
mod predictions {
    use mlops_core::config::choices::MissingPolicy;
    use mlops_core::config::choices::Solver;
    use mlops_core::config::{NumberFormat, Training};
    use mlops_core::ids::DatasetVersion;
    use mlops_core::model::fit::{Fitted, Scaler};
    use mlops_core::model::{
        CategoricalFeature, Encoder, Model, NumericFeature, Predictor, TrainingData, Tuned,
    };
    use mlops_core::platform::digest::Digest;
    use mlops_core::table::Table;
    use mlops_core::table::schema::{Schema, SchemaFields};

    use super::{Bencher, BytesCount, ItemsCount, Numbers, columns};

    const ROWS: usize = 8_192;
    const GROUPS: usize = 8;

    fn model(numbers: usize, groups: usize) -> Model {
        let names: Vec<String> = (0..numbers).map(|j| format!("x{j}")).collect();
        let levels: Vec<String> = (0..groups).map(|level| format!("group {level}")).collect();
        let category = (groups > 0).then(|| "group".to_owned());
        let schema = Schema::new(SchemaFields {
            numeric: &names,
            categorical: category.as_slice(),
            target: "left",
            positive_label: "1",
            ..SchemaFields::default()
        });
        let numeric = names.iter().map(|n| NumericFeature::line(n.clone(), Some(500.0)));
        let categorical = CategoricalFeature {
            name: "group".to_owned(),
            levels,
            pooled: Vec::new(),
            fill: Some(0),
            bins: None,
        };
        let encoder = Encoder {
            missing: MissingPolicy::Median,
            numeric: numeric.collect(),
            dates: Vec::new(),
            categorical: category.map(|_| categorical).into_iter().collect(),
        };
        let width = encoder.width();
        let is_number = |j: usize| j < numbers;
        let scaled = |number: f64, other: f64| {
            (0..width).map(|j| if is_number(j) { number } else { other }).collect()
        };
        Model {
            schema,
            missing_values: Vec::new(),
            numbers: NumberFormat::default(),
            date_pattern: None,
            window: None,
            encoder,
            scaler: Scaler { mean: scaled(500.0, 0.0), scale: scaled(289.0, 1.0) },
            fitted: Fitted {
                coefficients: (0..width).map(|j| 0.5 - (j % 5) as f64 / 4.0).collect(),
                intercept: -0.25,
                solver: Solver::Newton,
                fallback: None,
                iterations: 1,
                gradient_norm: 0.0,
                loss: 0.0,
                rows: 1,
            },
            training: Training::default(),
            scale: None,
            tuned: Tuned::default(),
            data: TrainingData {
                version: DatasetVersion(1),
                sha256: Digest::of(b""),
                rows: 1,
                positives: 1,
                dropped: 0,
                held_out: 0,
                test_files: Vec::new(),
            },
        }
    }

    fn predict(bencher: Bencher, numbers: usize, groups: usize) {
        let model = model(numbers, groups);
        let (columns, _) = columns(ROWS, numbers, Numbers::Whole);
        let mut table = Table::new(&model.schema);
        for i in 0..ROWS {
            let row: Vec<_> = columns.iter().map(|c| (i % 97 > 0).then_some(c[i])).collect();
            let texts: Vec<_> = (0..groups.min(1)).map(|_| format!("group {}", i % 9)).collect();
            table.push_values(&row, &texts);
        }
        let predictor = Predictor::new(&model);
        let mut probabilities = Vec::new();
        bencher
            .counter(BytesCount::of_many::<f64>(ROWS * numbers))
            .counter(ItemsCount::new(ROWS))
            .bench_local(|| predictor.probabilities(&table, &mut probabilities));
    }

    #[divan::bench(args = [3, 30])]
    fn numbers(bencher: Bencher, features: usize) {
        predict(bencher, features, 0);
    }

    /// Three numbers and a category.
    #[divan::bench]
    fn category(bencher: Bencher) {
        predict(bencher, 3, GROUPS);
    }
}

/// SHA-256.
mod digests {
    use mlops_core::platform::digest::Digest;
    use mlops_core::platform::sha256_state::Sha256State;

    use super::{Bencher, BytesCount, Random};

    const BYTES: usize = 1 << 20;

    fn bytes() -> Vec<u8> {
        let mut random = Random(3);
        (0..BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect()
    }

    #[divan::bench]
    fn whole(bencher: Bencher) {
        let bytes = bytes();
        bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| Digest::of(&bytes));
    }

    #[divan::bench]
    fn resumable(bencher: Bencher) {
        let bytes = bytes();
        bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| {
            let mut sum = Sha256State::default();
            sum.update(&bytes);
            sum.finish()
        });
    }
}

/// What predictions are worth.
mod metrics {
    use mlops_core::evaluation::metrics::bootstrap::RESAMPLES;
    use mlops_core::evaluation::metrics::difference::two_sample_interval;
    use mlops_core::evaluation::metrics::{ConfusionMatrix, Ranking};

    use super::{Bencher, BytesCount, ItemsCount, Numbers, columns};

    /// Beyond 100,000 rows two threads sort.
    const ROWS: usize = 90_000;

    fn ranking_of(scores: &[f64], labels: &[bool]) -> Ranking {
        Ranking::new(labels, scores).expect("finite scores")
    }

    /// Sorts; that is nearly all the work.
    #[divan::bench]
    fn ranking(bencher: Bencher) {
        let (scores, labels) = columns(ROWS, 1, Numbers::Fractions);
        bencher
            .counter(BytesCount::of_slice(&scores[0]))
            .counter(ItemsCount::new(ROWS))
            .bench_local(|| ranking_of(&scores[0], &labels));
    }

    #[divan::bench]
    fn roc_auc(bencher: Bencher) {
        let (scores, labels) = columns(ROWS, 1, Numbers::Fractions);
        let ranking = ranking_of(&scores[0], &labels);
        bencher
            .counter(BytesCount::of_slice(&scores[0]))
            .counter(ItemsCount::new(ROWS))
            .bench_local(|| ranking.roc_auc());
    }

    /// Items are resamples; how many rows there are makes no difference.
    #[divan::bench]
    fn difference(bencher: Bencher) {
        let matrix = ConfusionMatrix { tn: 25_000, fp: 5_000, fn_: 4_000, tp: 16_000 };
        bencher
            .counter(ItemsCount::new(RESAMPLES))
            .bench_local(|| two_sample_interval(&matrix, &matrix, 0.95, RESAMPLES, 7));
    }
}
