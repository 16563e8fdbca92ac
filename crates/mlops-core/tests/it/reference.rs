//! Figures that others computed: pandas and scikit-learn on the shipped data (made by
//! `tests/golden/make_shipped.py`), and reference files that are not part of the repository.

use std::fs;
use std::path::Path;

use mlops_core::config::Ingestion;
use mlops_core::csv::reader::RowReader;
use mlops_core::dataset::counts::FileCounts;
use mlops_core::evaluation::metrics::ConfusionMatrix;
use mlops_core::model::{Predictor, artifact};
use mlops_core::profile::NumericProfile;
use mlops_core::stage::ingest;
use mlops_testkit::Scene;
use mlops_testkit::reference::{names, newest_data, reference, repository, scene_of};
use serde_json::{Value, json};

const CLOSE: f64 = 1e-9;

fn close(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what} is a number"));
    let bound = CLOSE * expected.abs().max(1.0);
    assert!((found - expected).abs() <= bound, "{what}: {found} rather than {expected}");
}

fn all_close(found: &[f64], expected: &Value, what: &str) {
    let expected = expected.as_array().unwrap_or_else(|| panic!("{what} is a list"));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (j, (found, expected)) in found.iter().zip(expected).enumerate() {
        close(*found, expected, &format!("{what}[{j}]"));
    }
}

#[test]
fn shipped_data_give_what_pandas_and_scikit_learn_make_of_them() {
    let golden: Value = serde_json::from_str(include_str!("../golden/shipped.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let scene = scene_of(&repository().join("data"), &names(case));
        let report = scene.ingest_with(ingest::Options::default()).unwrap();
        for (found, expected) in report.files.iter().zip(case["files"].as_array().unwrap()) {
            let counts = &found.counts;
            let figures = json!([counts.rows_read, counts.rows_kept, counts.quarantined]);
            let expected = json!([expected["read"], expected["kept"], expected["bad"]]);
            assert_eq!(figures, expected, "read, kept, bad of {}", found.name);
        }
        let trained = scene.train().unwrap();
        let data = &trained.data;
        let figures = json!([report.rows, data.rows, data.positives]);
        assert_eq!(figures, json!([case["rows"], case["trained"], case["positives"]]));
        for (name, median) in trained.card.features.iter().zip(case["median"].as_array().unwrap()) {
            close(trained.card.imputation[name].as_f64().unwrap(), median, name);
        }
        all_close(&trained.card.scaler.mean, &case["mean"], "mean");
        all_close(&trained.card.scaler.scale, &case["scale"], "scale");
        all_close(&trained.card.coefficients, &case["coefficients"], "coefficients");
        close(trained.card.intercept, &case["intercept"], "intercept");
        let score = scene.score().unwrap();
        let (e, test) = (&score.evaluation, &case["test"]);
        let ConfusionMatrix { tn, fp, fn_, tp } = e.confusion_matrix;
        assert_eq!(json!([tn, fp, fn_, tp]), test["confusion"]);
        assert_eq!(json!([e.n, score.rejected]), json!([test["n"], test["rejected"]]));
        close(e.f1, &test["f1"], "f1");
        close(e.accuracy, &test["accuracy"], "accuracy");
        close(e.roc_auc.unwrap(), &test["roc_auc"], "roc_auc");
        close(e.log_loss, &test["log_loss"], "log_loss");
    }
}

#[test]
#[ignore = "needs the reference files: MLOPS_REFERENCE=folder"]
fn reference_files_give_their_expected_figures() {
    let folder = reference();
    let text = fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    for name in ["practice", "source", "all4"] {
        let case = &expected[name];
        let scene = scene_of(&folder, &names(case));
        ingested(&scene, case);
        scene.train().unwrap();
        scored(&scene, case);
    }
}

fn ingested(scene: &Scene, case: &Value) {
    let report = scene.ingest().unwrap();
    for (found, expected) in report.files.iter().zip(case["files"].as_array().unwrap()) {
        let counts = &found.counts;
        let figures = json!([counts.rows_read, counts.duplicates_within, counts.quarantined]);
        assert_eq!(figures, json!([expected["rows"], expected["dup_within"], 0]));
    }
    let sum = |f: fn(&FileCounts) -> u64| report.files.iter().map(|r| f(&r.counts)).sum::<u64>();
    assert_eq!(json!(sum(|c| c.rows_read)), case["rows_in"]);
    assert_eq!(json!(sum(FileCounts::duplicates)), case["duplicates_dropped"]);
    assert_eq!(json!(report.rows), case["rows_out"]);

    // The profile of every numeric column, the label among them.
    let mut reader = csv::Reader::from_path(report.data.unwrap()).unwrap();
    let header = reader.headers().unwrap().clone();
    let mut profiles: Vec<_> = header.iter().map(|_| NumericProfile::default()).collect();
    let mut classes = [0, 0];
    for record in reader.records() {
        let record = record.unwrap();
        for (profile, cell) in profiles.iter_mut().zip(&record) {
            profile.push(cell.parse().ok());
        }
        classes[usize::from(&record[4] == "1")] += 1;
    }
    assert_eq!(json!({"0": classes[0], "1": classes[1]}), case["class_counts"]);
    for (name, profile) in header.iter().zip(profiles) {
        let expected = &case["summary"]["numeric"][name];
        if expected.is_null() {
            continue;
        }
        let found = profile.finish();
        assert_eq!(json!(found.count), expected["count"], "{name}");
        all_close(&found.modes, &expected["mode"], name);
        for (figure, value) in [
            ("mean", found.mean),
            ("median", found.median),
            ("std_ddof1", found.std_ddof1),
            ("min", found.min),
            ("max", found.max),
            ("q25", found.q25),
            ("q75", found.q75),
        ] {
            close(value.unwrap(), &expected[figure], &format!("{figure} of {name}"));
        }
        close(found.missing_percent, &case["summary"]["missing_percent"][name], name);
    }
}

fn scored(scene: &Scene, case: &Value) {
    let expected = &case["model"];
    let card = scene.json("model/model.json");
    assert_eq!(card["features"], expected["features"]);
    let numbers = |v: &Value| -> Vec<f64> {
        v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    all_close(&numbers(&card["scaler"]["mean"]), &expected["scaler"]["mean"], "mean");
    all_close(&numbers(&card["scaler"]["scale"]), &expected["scaler"]["scale"], "scale");
    let optimum = &expected["exact_optimum"];
    all_close(&numbers(&card["coefficients"]), &optimum["coef"], "coefficients");
    close(card["intercept"].as_f64().unwrap(), &optimum["intercept"], "intercept");

    let (on_test, on_train) = (&expected["on_testdata"], &expected["on_train"]);
    let score = scene.score().unwrap().evaluation;
    close(score.f1, &on_test["f1"], "f1");
    close(score.accuracy, &on_test["accuracy"], "accuracy");
    close(score.precision, &on_test["precision"], "precision");
    close(score.recall, &on_test["recall"], "recall");
    close(score.roc_auc.unwrap(), &on_test["roc_auc"], "roc_auc");
    let (matrix, probabilities) = predicted(scene, &scene.path("test/testdata.csv"));
    assert_eq!(matrix, score.confusion_matrix);
    all_close(&probabilities, &on_test["proba_1"], "proba_1");
    let (train_matrix, _) = predicted(scene, &newest_data(scene));
    close(train_matrix.f1(), &on_train["f1"], "f1 on the training rows");
    for (found, expected) in [(matrix, on_test), (train_matrix, on_train)] {
        let ConfusionMatrix { tn, fp, fn_, tp } = found;
        assert_eq!(json!([[tn, fp], [fn_, tp]]), expected["confusion_matrix"]);
    }
}

/// Confusion matrix and probabilities of the trained model on a labelled file.
fn predicted(scene: &Scene, path: &Path) -> (ConfusionMatrix, Vec<f64>) {
    let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    let model = artifact::decode(&bytes, "model").unwrap();
    let options = Ingestion::default();
    let (mut labels, mut found) = (Vec::new(), Vec::new());
    RowReader::labelled(&model.schema, &options)
        .read(path, |table| {
            labels.extend_from_slice(&table.labels);
            found.extend(Predictor::new(&model).predict(table).rows.into_iter().flatten());
            Ok(())
        })
        .unwrap();
    let positive: Vec<bool> = found.iter().map(|p| p.positive).collect();
    let matrix = ConfusionMatrix::from_predictions(&labels, &positive).unwrap();
    (matrix, found.iter().map(|p| p.probability).collect())
}
