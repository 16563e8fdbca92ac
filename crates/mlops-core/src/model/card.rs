//! `model.json`: the model in readable form.
//!
//! Not for loading: see [`super::artifact`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::scorecard::{AttributeColumn, Points, Scorecard, attributes};
use super::{
    Explainer, Model, ReferenceRow, Shape, TrainedWindow, TrainingData, class_weight_name,
    solver_name,
};
use crate::config::Scale;
use crate::evaluation::cutoff::Cutoff;
use crate::evaluation::leak::Leak;
use crate::evaluation::window::WindowChoice;
use crate::model::fit::{CrossCheck, PenaltyGrid};
use crate::platform::digest::Digest;
use crate::table::date::spell;

/// The readable card of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of this file's format.
    pub format_version: u32,
    /// SHA-256 of `trainedmodel.bin`.
    pub artifact: Digest,
    /// The label column with its positive and negative label.
    pub target: Value,
    /// Feature names, in the order of the lists below.
    pub features: Vec<String>,
    /// Standardisation: mean and scale (population standard deviation) of each feature.
    pub scaler: CardScaler,
    /// Coefficients of the standardised features.
    pub coefficients: Vec<f64>,
    /// By how much one standard deviation more of a feature multiplies the odds of the positive label, or
    /// the category instead of that of [`Card::reference`]; `None` beyond the largest number, and in
    /// files written before they were computed the list is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub odds: Vec<Option<f64>>,
    /// The standard error of each coefficient or, for a category, of its difference from the most frequent one of its
    /// column: from the inverse of the Hessian at the optimum, with a penalty that of the penalised objective. `None`
    /// where there is none; empty with weighted rows, with very many features, and in files written before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standard_errors: Vec<Option<f64>>,
    /// The row that odds and contributions compare with; `None` in files written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceRow>,
    /// Log-odds if all standardised features are 0.
    pub intercept: f64,
    /// The value that replaces a missing one, by column.
    pub imputation: Map<String, Value>,
    /// The rare values that share the feature `column=(infrequent)`, by column.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub infrequent: Map<String, Value>,
    /// The knots of splines, by column.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub splines: Map<String, Value>,
    /// The day, or the other column, at which the age of a date is taken, by column.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub dates: Map<String, Value>,
    /// The bins of columns with weight of evidence and, with a scorecard, the points of all columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<AttributeColumn>,
    /// The scale of the scorecard, and the points that every row starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scorecard: Option<CardScale>,
    /// The solver used.
    pub solver: String,
    /// The result of an independent solver (smartcore's L-BFGS) on the same rows, if there are few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_check: Option<CrossCheck>,
    /// Columns that give the label away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// Newton steps on all rows.
    pub iterations: usize,
    /// Largest component of the mean gradient at the solution.
    pub gradient_norm: f64,
    /// Value of the penalised objective.
    pub loss: f64,
    /// Number of training rows.
    pub rows: u64,
    /// Hyper-parameters.
    pub hyperparameters: Value,
    /// What was added to the intercept of a fit with weighted classes, so that its probabilities hold
    /// for the rows as they are; `intercept` includes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior_shift: Option<f64>,
    /// How the threshold was chosen, and what other thresholds give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_choice: Option<Cutoff>,
    /// How C was chosen, with every value that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty_grid: Option<PenaltyGrid>,
    /// The part of the data set that the model was trained on, where it is not all rows with the same
    /// weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TrainedWindow>,
    /// The windows that were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_choice: Option<WindowChoice>,
    /// The data that the model was trained on.
    pub training_data: TrainingData,
}

/// How points are made of log-odds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardScale {
    /// The configured scale.
    #[serde(flatten)]
    pub scale: Scale,
    /// Points at log-odds of 0.
    pub offset: f64,
    /// Points for one unit of log-odds.
    pub factor: f64,
    /// The points that every row starts with.
    pub base: Points,
}

/// Mean and scale of each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardScaler {
    /// Means of the features.
    pub mean: Vec<f64>,
    /// Standard deviations with ddof 0; 1 for constant and one-hot features and weights of evidence.
    pub scale: Vec<f64>,
}

impl Card {
    /// The card of `model`, whose file has the digest `artifact`.
    pub fn of(model: &Model, artifact: Digest) -> Self {
        let Model { schema, encoder, scaler, fitted, training, tuned, data, .. } = model;
        let mut imputation = Map::new();
        for feature in &encoder.numeric {
            imputation.insert(feature.name.clone(), json!(feature.fill));
        }
        let mut dates = Map::new();
        for feature in &encoder.dates {
            imputation.insert(feature.name.clone(), json!(feature.fill.map(spell)));
            dates.insert(feature.name.clone(), json!(feature.against(&encoder.dates)));
        }
        for feature in &encoder.categorical {
            let level = feature.fill.map(|l| feature.level_name(l as usize));
            imputation.insert(feature.name.clone(), json!(level));
        }
        let pooled = encoder.categorical.iter().filter(|feature| !feature.pooled.is_empty());
        let infrequent = pooled.map(|f| (f.name.clone(), json!(f.pooled))).collect();
        let knots = encoder.numeric.iter().filter_map(|f| match &f.shape {
            Shape::Spline(spline) => Some((f.name.clone(), json!(spline.knots()))),
            Shape::Line | Shape::Bins(_) => None,
        });
        let splines = knots.collect();
        let card_scale = |card: Scorecard| {
            let scale = model.scale?;
            let (offset, factor) = (scale.offset(), scale.factor());
            Some(CardScale { scale, offset, factor, base: card.base })
        };
        let explainer = Explainer::new(model);
        let odds = explainer.effects().into_iter().map(f64::exp);
        Self {
            format_version: 1,
            artifact,
            target: json!({
                "column": schema.target(),
                "positive_label": schema.positive_label(),
                "negative_label": schema.negative_label(),
            }),
            features: model.features(),
            scaler: CardScaler { mean: scaler.mean.clone(), scale: scaler.scale.clone() },
            coefficients: fitted.coefficients.clone(),
            odds: odds.map(|odds| Some(odds).filter(|odds| odds.is_finite())).collect(),
            standard_errors: Vec::new(),
            reference: Some(explainer.reference_row()),
            intercept: fitted.intercept,
            imputation,
            infrequent,
            splines,
            dates,
            attributes: attributes(model),
            scorecard: Scorecard::of(model).and_then(card_scale),
            solver: solver_name(fitted.solver).to_owned(),
            cross_check: None,
            leaks: Vec::new(),
            iterations: fitted.iterations,
            gradient_norm: fitted.gradient_norm,
            loss: fitted.loss,
            rows: fitted.rows,
            hyperparameters: json!({
                "C": training.c,
                "class_weight": class_weight_name(training.class_weight),
                "missing": encoder.missing,
                "threshold": training.threshold,
                "seed": training.seed,
            }),
            prior_shift: Some(tuned.prior_shift).filter(|shift| shift.abs() > 0.0),
            threshold_choice: tuned.cutoff.clone(),
            penalty_grid: tuned.grid.clone(),
            window: model.window.clone(),
            window_choice: None,
            training_data: data.clone(),
        }
    }
}
