//! `trainedmodel.bin`: serialises a model and reads it back without trusting any byte of the file.
//!
//! Layout, little-endian: magic `MLOPSMDL`, format version (u32), payload length (u64), SHA-256 of
//! all bytes before it and of the payload, payload. The payload is our own `Payload` in bincode's
//! standard encoding. bincode is no longer maintained; only this module uses it, so that a new
//! format version can replace it. Everything is verified before the first byte is decoded, and the
//! decoded model is checked for consistency. Not for writing files: see `platform::disk`.

use bincode::{Decode, Encode};

use super::tuned::StoredTuned;
use super::{
    AgeAt, Bins, CategoricalFeature, DateFeature, Encoder, Model, NumericFeature, Shape,
    TrainedWindow, TrainingData,
};
use crate::config::choices::{ClassWeight, Solver};
use crate::config::choices::{MissingPolicy, Pooling};
use crate::config::{NumberFormat, Scale, Training};
use crate::ids::DatasetVersion;
use crate::model::fit::{Fitted, Scaler};
use crate::platform::digest::Digest;
use crate::table::schema::{Role, Schema, SchemaFields};
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"MLOPSMDL";
/// Version 2 has the parts of version 1, then [`Added`]; version 3 has those of version 2, then
/// [`AddedIn3`], and is written only for a model that needs it.
const FORMAT_VERSION: u32 = 3;
const HEAD: usize = 8 + 4 + 8;
const DIGEST: usize = 32;
/// Largest payload in bytes; a model of a million levels is smaller.
const MAX_PAYLOAD: usize = 1 << 26;

/// The stored form of a model. Plain types only, no struct of a library.
#[derive(Encode, Decode)]
struct Payload {
    columns: [Vec<String>; 3],
    target: String,
    labels: [String; 2],
    missing_values: Vec<String>,
    encoder: StoredEncoder,
    mean: Vec<f64>,
    scale: Vec<f64>,
    coefficients: Vec<f64>,
    intercept: f64,
    lbfgs: bool,
    fallback: Option<String>,
    iterations: u64,
    gradient_norm: f64,
    loss: f64,
    rows: u64,
    c: f64,
    asked_solver: u8,
    balanced: bool,
    threshold: f64,
    seed: u64,
    data_version: u32,
    data_sha256: [u8; 32],
    positives: u64,
    dropped: u64,
    held_out: u64,
    test_files: Vec<[u8; 32]>,
}

#[derive(Encode, Decode)]
struct StoredEncoder {
    missing: MissingPolicy,
    numeric: Vec<StoredNumber>,
    categorical: Vec<StoredCategory>,
}

#[derive(Encode, Decode)]
struct StoredNumber {
    name: String,
    fill: Option<f64>,
}

#[derive(Encode, Decode)]
struct StoredCategory {
    name: String,
    levels: Vec<String>,
    fill: Option<u32>,
}

/// The part that version 2 added.
#[derive(Encode, Decode)]
struct Added {
    decimal: char,
    thousands: Option<char>,
    /// For each categorical column the rare values that share a feature.
    pooled: Vec<Vec<String>>,
    pooling: Pooling,
}

impl Added {
    /// The values that a file of version 1 implies.
    fn nothing(columns: usize) -> Self {
        let NumberFormat { decimal, thousands } = NumberFormat::default();
        let pooled = vec![Vec::new(); columns];
        Self { decimal, thousands, pooled, pooling: Pooling::default() }
    }
}

/// The part that version 3 added.
#[derive(PartialEq, Encode, Decode)]
struct AddedIn3 {
    tuned: StoredTuned,
    /// For each numeric column how its numbers become features.
    shapes: Vec<Shape>,
    /// For each categorical column its bins.
    bins: Vec<Option<Bins>>,
    /// The scorecard's `points0`, `odds0` and `pdo`.
    scale: Option<[f64; 3]>,
    /// Columns of dates.
    dates: Vec<DateFeature>,
    date_pattern: Option<String>,
    window: Option<TrainedWindow>,
}

impl AddedIn3 {
    /// The values that a file of an earlier version implies, for this number of columns.
    fn nothing(numeric: usize, categorical: usize) -> Self {
        let (shapes, bins) = (vec![Shape::Line; numeric], vec![None; categorical]);
        let (tuned, dates) = (StoredTuned::default(), Vec::new());
        Self { tuned, shapes, bins, scale: None, dates, date_pattern: None, window: None }
    }

    fn of(model: &Model) -> Self {
        let Encoder { numeric, categorical, .. } = &model.encoder;
        Self {
            tuned: StoredTuned::of(&model.tuned, &model.training),
            shapes: numeric.iter().map(|feature| feature.shape.clone()).collect(),
            bins: categorical.iter().map(|feature| feature.bins.clone()).collect(),
            scale: model.scale.map(|scale| [scale.points0, scale.odds0, scale.pdo]),
            dates: model.encoder.dates.clone(),
            // Without dates, no pattern is of use.
            date_pattern: model.date_pattern.clone().filter(|_| !model.encoder.dates.is_empty()),
            window: model.window.clone(),
        }
    }
}

fn encoding() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_PAYLOAD>()
}

/// The bytes of `trainedmodel.bin`; equal models give equal bytes.
pub fn encode(model: &Model) -> Result<Vec<u8>> {
    let Model { schema, encoder, scaler, fitted, training, data, missing_values, numbers, .. } =
        model;
    let columns = [Role::Id, Role::Numeric, Role::Categorical];
    let numeric = encoder
        .numeric
        .iter()
        .map(|feature| StoredNumber { name: feature.name.clone(), fill: feature.fill });
    let categorical = encoder.categorical.iter().map(|feature| StoredCategory {
        name: feature.name.clone(),
        levels: feature.levels.clone(),
        fill: feature.fill,
    });
    let payload = Payload {
        columns: columns.map(|role| super::owned(schema, role)),
        target: schema.target().to_owned(),
        labels: [model.label(true).to_owned(), model.label(false).to_owned()],
        missing_values: missing_values.clone(),
        encoder: StoredEncoder {
            missing: encoder.missing,
            numeric: numeric.collect(),
            categorical: categorical.collect(),
        },
        mean: scaler.mean.clone(),
        scale: scaler.scale.clone(),
        coefficients: fitted.coefficients.clone(),
        intercept: fitted.intercept,
        lbfgs: fitted.solver == Solver::Lbfgs,
        fallback: fitted.fallback.clone(),
        iterations: fitted.iterations as u64,
        gradient_norm: fitted.gradient_norm,
        loss: fitted.loss,
        rows: fitted.rows,
        // Infinity stands for no penalty.
        c: training.c.unwrap_or(f64::INFINITY),
        asked_solver: match training.solver {
            Solver::Auto => 0,
            Solver::Newton => 1,
            Solver::Lbfgs => 2,
        },
        balanced: training.class_weight == ClassWeight::Balanced,
        threshold: training.threshold,
        seed: training.seed,
        data_version: data.version.0,
        data_sha256: *data.sha256.bytes(),
        positives: data.positives,
        dropped: data.dropped,
        held_out: data.held_out,
        test_files: data.test_files.iter().map(|d| *d.bytes()).collect(),
    };
    let added = Added {
        decimal: numbers.decimal,
        thousands: numbers.thousands,
        pooled: encoder.categorical.iter().map(|feature| feature.pooled.clone()).collect(),
        pooling: training.pooling,
    };
    let added_in_3 = AddedIn3::of(model);
    let nothing = AddedIn3::nothing(encoder.numeric.len(), encoder.categorical.len());
    let plain = bincode::config::standard();
    // Without anything new the bytes, and so the name of a release, stay what they were.
    let (version, payload) = if added_in_3 == nothing {
        (2, bincode::encode_to_vec((payload, added), plain))
    } else {
        (FORMAT_VERSION, bincode::encode_to_vec((payload, added, added_in_3), plain))
    };
    let payload = payload.map_err(|e| Error::backend("bincode", e))?;
    if payload.len() > MAX_PAYLOAD {
        return Err(Error::data(format!(
            "the model takes {} bytes, over the {MAX_PAYLOAD} that an artifact may have: use \
             fewer or coarser categories",
            payload.len()
        )));
    }
    let mut bytes = Vec::with_capacity(HEAD + DIGEST + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&u32::to_le_bytes(version));
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let digest = Digest::of(&[&bytes, payload.as_slice()].concat());
    bytes.extend_from_slice(digest.bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// Reads a model from `bytes`; error messages name the file `place`.
///
/// # Errors
/// `Artifact` for anything that [`encode`] did not write. Memory stays within a small multiple of
/// the input.
pub fn decode(bytes: &[u8], place: &str) -> Result<Model> {
    let bad = |message: String| Error::artifact(place, message);
    let (version, payload) = checked(bytes).map_err(bad)?;
    tracing::trace!(place, "decoded");
    let wrong = |e| bad(format!("its content cannot be decoded ({e}): train again"));
    let nothing = |payload: &Payload| {
        let StoredEncoder { numeric, categorical, .. } = &payload.encoder;
        AddedIn3::nothing(numeric.len(), categorical.len())
    };
    let (payload, added, added_in_3, used) = match version {
        1 => {
            let decoded = bincode::decode_from_slice(payload, encoding());
            let (payload, used): (Payload, usize) = decoded.map_err(wrong)?;
            let added = Added::nothing(payload.encoder.categorical.len());
            let added_in_3 = nothing(&payload);
            (payload, added, added_in_3, used)
        }
        2 => {
            let decoded = bincode::decode_from_slice(payload, encoding());
            let ((payload, added), used): ((Payload, Added), usize) = decoded.map_err(wrong)?;
            let added_in_3 = nothing(&payload);
            (payload, added, added_in_3, used)
        }
        _ => {
            let decoded = bincode::decode_from_slice(payload, encoding());
            let ((payload, added, added_in_3), used) = decoded.map_err(wrong)?;
            (payload, added, added_in_3, used)
        }
    };
    let StoredEncoder { numeric, categorical, .. } = &payload.encoder;
    let [pooled, bins] = [added.pooled.len(), added_in_3.bins.len()];
    if [pooled, bins] != [categorical.len(); 2] || added_in_3.shapes.len() != numeric.len() {
        return Err(bad("its columns do not match each other: train again".to_owned()));
    }
    if used + HEAD + DIGEST != bytes.len() {
        return Err(bad("bytes follow its content: train again".to_owned()));
    }
    let sound = added_in_3.window.as_ref().is_none_or(TrainedWindow::is_sound);
    if !added_in_3.tuned.is_finite() || !sound {
        return Err(bad("it contains numbers that no training produces: train again".to_owned()));
    }
    let model = payload.into_model(added, added_in_3);
    consistent(&model).map_err(|m| bad(format!("{m}: train again")))?;
    Ok(model)
}

/// The format version and the payload, after every check that needs no decoding.
fn checked(bytes: &[u8]) -> Result<(u64, &[u8]), String> {
    if bytes.len() < HEAD + DIGEST {
        return Err(format!(
            "it has {} bytes, too few for a model: the file is cut off. Train again",
            bytes.len()
        ));
    }
    let (head, rest) = bytes.split_at(HEAD);
    let (digest, payload) = rest.split_at(DIGEST);
    if !head.starts_with(MAGIC) {
        return Err("this is not one of our models (perhaps a pickle?): run `training`".to_owned());
    }
    let number = |range: std::ops::Range<usize>| {
        head[range].iter().rev().fold(0_u64, |n, b| (n << 8) | u64::from(*b))
    };
    let version = number(8..12);
    if !(1..=u64::from(FORMAT_VERSION)).contains(&version) {
        return Err(format!(
            "it has format version {version}, this program knows versions up to {FORMAT_VERSION}: \
             train again, or use the program that wrote it"
        ));
    }
    if number(12..20) != payload.len() as u64 || payload.len() > MAX_PAYLOAD {
        return Err(format!(
            "it should hold {} bytes of content and holds {}: the file is damaged. Train again",
            number(12..20),
            payload.len()
        ));
    }
    if Digest::of(&[head, payload].concat()).bytes() != digest {
        return Err("its checksum is wrong: the file is damaged. Train again".to_owned());
    }
    Ok((version, payload))
}

impl Payload {
    fn into_model(self, added: Added, added_in_3: AddedIn3) -> Model {
        let [id, numeric, categorical] = &self.columns;
        let [positive, negative] = &self.labels;
        let date: Vec<String> = added_in_3.dates.iter().map(|date| date.name.clone()).collect();
        let schema = Schema::new(SchemaFields {
            id,
            numeric,
            date: &date,
            categorical,
            target: &self.target,
            positive_label: positive,
            negative_label: Some(negative),
        });
        let solver = if self.lbfgs { Solver::Lbfgs } else { Solver::Newton };
        let numeric = self.encoder.numeric.into_iter().zip(added_in_3.shapes);
        let numeric = numeric.map(|(StoredNumber { name, fill }, shape)| NumericFeature {
            name,
            fill,
            shape,
        });
        let categorical = self.encoder.categorical.into_iter().zip(added.pooled);
        let categorical = categorical.zip(added_in_3.bins).map(|((stored, pooled), bins)| {
            let StoredCategory { name, levels, fill } = stored;
            CategoricalFeature { name, levels, pooled, fill, bins }
        });
        let scale = |[points0, odds0, pdo]: [f64; 3]| Scale { points0, odds0, pdo };
        let mut training = Training {
            c: Some(self.c).filter(|c| c.is_finite()),
            solver: match self.asked_solver {
                1 => Solver::Newton,
                2 => Solver::Lbfgs,
                _ => Solver::Auto,
            },
            missing: self.encoder.missing,
            class_weight: if self.balanced { ClassWeight::Balanced } else { ClassWeight::None },
            threshold: self.threshold,
            seed: self.seed,
            pooling: added.pooling,
            window: added_in_3.window.as_ref().map(|window| window.window),
            ..Training::default()
        };
        let tuned = added_in_3.tuned.restored(&mut training);
        Model {
            schema,
            missing_values: self.missing_values,
            numbers: NumberFormat { decimal: added.decimal, thousands: added.thousands },
            scaler: Scaler { mean: self.mean, scale: self.scale },
            fitted: Fitted {
                coefficients: self.coefficients,
                intercept: self.intercept,
                solver,
                fallback: self.fallback,
                iterations: usize::try_from(self.iterations).unwrap_or(usize::MAX),
                gradient_norm: self.gradient_norm,
                loss: self.loss,
                rows: self.rows,
            },
            training,
            tuned,
            window: added_in_3.window,
            data: TrainingData {
                version: DatasetVersion(self.data_version),
                sha256: self.data_sha256.into(),
                rows: self.rows,
                positives: self.positives,
                dropped: self.dropped,
                held_out: self.held_out,
                test_files: self.test_files.into_iter().map(Digest::from).collect(),
            },
            encoder: Encoder {
                missing: self.encoder.missing,
                numeric: numeric.collect(),
                dates: added_in_3.dates,
                categorical: categorical.collect(),
            },
            date_pattern: added_in_3.date_pattern,
            scale: added_in_3.scale.map(scale),
        }
    }
}

/// Checks that the parts fit together, which a checksum cannot guarantee.
fn consistent(model: &Model) -> Result<(), String> {
    let Model { schema, encoder, scaler, fitted, training, .. } = model;
    let width = encoder.width();
    for (name, found) in [
        ("means", scaler.mean.len()),
        ("scales", scaler.scale.len()),
        ("coefficients", fitted.coefficients.len()),
    ] {
        if found != width {
            return Err(format!("it has {found} {name} for {width} features"));
        }
    }
    let columns = encoder.numeric.iter().map(|f| &f.name).eq(schema.names(Role::Numeric))
        && encoder.categorical.iter().map(|f| &f.name).eq(schema.names(Role::Categorical));
    if !columns {
        return Err("its features are not those of its schema".to_owned());
    }
    let sorted =
        |feature: &CategoricalFeature| feature.levels.is_sorted() && feature.pooled.is_sorted();
    let fills = encoder
        .categorical
        .iter()
        .all(|f| f.fill.is_none_or(|l| (l as usize) < f.count()) && sorted(f));
    let finite = [&scaler.mean, &scaler.scale, &fitted.coefficients].into_iter().flatten();
    let singles = [fitted.intercept, fitted.gradient_norm, fitted.loss, training.c.unwrap_or(1.0)];
    let fillings = encoder.numeric.iter().filter_map(|f| f.fill.as_ref());
    if !fills || !finite.chain(&singles).chain(fillings).all(|v| v.is_finite()) {
        return Err("it contains numbers that no fit produces".to_owned());
    }
    if !scaler.scale.iter().all(|s| *s > 0.0) || !(0.0..=1.0).contains(&training.threshold) {
        return Err("its scale or threshold is out of range".to_owned());
    }
    shapes_are_sound(model)
}

/// Checks what version 3 added.
fn shapes_are_sound(model: &Model) -> Result<(), String> {
    let Encoder { numeric, categorical, .. } = &model.encoder;
    let numbers = numeric.iter().all(|feature| match &feature.shape {
        Shape::Line => true,
        Shape::Spline(spline) => spline.is_sound(),
        Shape::Bins(bins) => bins.is_sound(None) && feature.fill.is_none(),
    });
    let levels = categorical.iter().all(|feature| match &feature.bins {
        None => true,
        Some(bins) => bins.is_sound(Some(feature.count())) && feature.fill.is_none(),
    });
    let dates = &model.encoder.dates;
    let days = |date: &DateFeature| {
        let reference = match date.reference {
            AgeAt::Nothing => true,
            AgeAt::Day(day) => day.is_finite(),
            AgeAt::Column(other) => (other as usize) < dates.len(),
        };
        reference && date.fill.is_none_or(f64::is_finite)
    };
    if !numbers || !levels || !dates.iter().all(days) {
        return Err("its splines, bins or dates are none that training makes".to_owned());
    }
    let binned = || numeric.iter().all(|feature| matches!(feature.shape, Shape::Bins(_)));
    let sound = |scale: &Scale| {
        [scale.offset(), scale.factor(), scale.odds0].iter().all(|v| v.is_finite()) && binned()
    };
    match &model.scale {
        Some(scale) if !sound(scale) => Err("its scorecard is none that training makes".to_owned()),
        _ => Ok(()),
    }
}
