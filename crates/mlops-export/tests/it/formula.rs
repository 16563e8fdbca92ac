//! The formula against the predictor, and what cannot be exported. Not for the files: see `readers`.

use mlops_core::model::Golden;
use mlops_core::release::{self, GOLDEN};
use mlops_export::sql::Dialect;
use mlops_export::{Form, Formula, Options};
use mlops_testkit::Scene;

use crate::scenes::{KINDS, deployed, probabilities, rows};

fn options(forms: &[Form]) -> Options<'_> {
    Options { release: None, forms, table: "clients", to: None }
}

#[test]
fn the_formula_gives_what_the_predictor_gives() {
    for kind in KINDS {
        let scene = deployed(kind);
        let release = scene.context().unwrap().store().live_release().unwrap();
        let golden: Golden = release::parse(&release.folder.join(GOLDEN)).unwrap();
        let formula = Formula::of(&release.model, &golden, "here").unwrap();
        let rows = rows(&release.model, 2_000, 3);
        let known = probabilities(&release.model, &rows);
        assert!(known.iter().any(Option::is_some), "{kind}");
        assert_eq!(known.iter().all(Option::is_some), kind != "strict");
        for ((numbers, texts), known) in rows.iter().zip(known) {
            let numbers: Vec<f64> = numbers.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
            let found = formula.probability(&numbers, texts);
            let same = match (found, known) {
                (Some(found), Some(known)) => (found - known).abs() < 1e-12,
                (found, known) => found == known,
            };
            assert!(same, "{kind}: {found:?} instead of {known:?} for {numbers:?} {texts:?}");
        }
    }
}

#[test]
fn a_formula_that_misses_a_golden_row_is_refused() {
    let scene = deployed("plain");
    let release = scene.context().unwrap().store().live_release().unwrap();
    let mut golden: Golden = release::parse(&release.folder.join(GOLDEN)).unwrap();
    golden.rows[2].probability = golden.rows[2].probability.map(|p| p + 1e-9);
    let error = Formula::of(&release.model, &golden, "here").unwrap_err().to_string();
    assert!(error.contains("golden row 2") && error.contains("nothing is exported"), "{error}");
}

#[test]
fn equal_releases_give_equal_files_within_the_workspace() {
    let scene = deployed("pooled");
    let before = scene.files();
    let forms = [Form::Onnx, Form::OnnxMl, Form::Sql(Dialect::DuckDb), Form::Pmml, Form::Mlflow];
    let context = scene.context().unwrap();
    let exported = mlops_export::run(&context, &options(&forms)).unwrap();
    let folder = format!("model/exports/{}", exported.release);
    let first = scene.files();
    let new: Vec<String> = first
        .keys()
        .filter(|path| !before.contains_key(*path))
        .map(|path| path.strip_prefix(&folder).unwrap().display().to_string())
        .collect();
    let mut named = exported.files.clone();
    named.sort();
    assert_eq!(new, named);
    assert!(before.iter().all(|(path, bytes)| first[path] == *bytes));
    mlops_export::run(&context, &options(&forms)).unwrap();
    assert!(scene.files() == first);
    let sql = String::from_utf8(scene.read_bytes(&format!("{folder}/model.sql"))).unwrap();
    assert!(sql.contains("\"y \"\"q\"\" z\"") && sql.contains("'it''s so'"), "{sql}");
}

#[test]
fn what_a_form_lacks_is_named_before_anything_is_written() {
    let scene = deployed("shaped");
    let before = scene.files();
    let context = scene.context().unwrap();
    let error = mlops_export::run(&context, &options(&[Form::Onnx, Form::OnnxMl])).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("\"x\"") && text.contains("\"since\"") && text.contains("--onnx"),
        "{text}"
    );
    assert!(scene.files() == before);
    let empty = Scene::new();
    let error = mlops_export::run(&empty.context().unwrap(), &options(&[Form::Onnx])).unwrap_err();
    assert!(error.to_string().contains("no model is deployed"), "{error}");
}
