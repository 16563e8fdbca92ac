//! What moved a prediction: contributions against numpy and scikit-learn, their sum for any model, and
//! the file of predictions that has them.
//!
//! The goldens come from `golden/make_contributions.py`.

use std::collections::BTreeMap;
use std::fs;

use mlops_core::Schema;
use mlops_core::ids::Step;
use mlops_core::model::{
    CategoricalFeature, Explainer, Explanations, Model, NumericFeature, Predictor, Reference,
    artifact,
};
use mlops_core::stage::diagnose;
use mlops_core::table::Table;
use mlops_core::table::schema::SchemaFields;
use mlops_testkit::{Random, Scene, repetitions};
use serde_json::{Value, json};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/contributions.json")).unwrap()
}

fn trained(case: &Value) -> (Scene, Model) {
    let mut schema = json!({"id": ["who"], "numeric": ["age", "income"],
        "categorical": ["country", "shop"], "target": "left"});
    schema["max_levels"] = case["schema"]["max_levels"].clone();
    let scene = Scene::with(&json!({"schema": schema, "training": case["training"]}));
    let mut text = "who,age,income,country,shop,left\n".to_owned();
    for (i, row) in case["train"].as_array().unwrap().iter().enumerate() {
        text += &format!("w{i},{}\n", cells(row));
    }
    scene.file("in/a.csv", text);
    scene.ingest().unwrap();
    scene.train().unwrap();
    let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    let model = artifact::decode(&bytes, "model").unwrap();
    (scene, model)
}

fn cells(row: &Value) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    row.as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join(",")
}

fn table(model: &Model, rows: &Value) -> Table {
    let mut table = Table::new(&model.schema);
    for row in rows.as_array().unwrap() {
        let numbers = [row[0].as_f64(), row[1].as_f64()];
        let texts = [2, 3].map(|i| row[i].as_str().unwrap().to_owned());
        table.push_values(&numbers, &texts);
    }
    table
}

fn near(found: f64, expected: &Value) -> bool {
    let expected = expected.as_f64().unwrap();
    (found - expected).abs() <= 1e-9 * (1.0 + expected.abs())
}

#[test]
fn contributions_are_those_of_scikit_learns_model() {
    for case in golden()["cases"].as_array().unwrap() {
        let name = &case["name"];
        let (scene, model) = trained(case);
        let explainer = Explainer::new(&model);
        let reference = explainer.reference_row();
        assert!(near(reference.log_odds, &case["reference"]["log_odds"]), "{name}: {reference}");
        for (column, value) in case["reference"]["values"].as_object().unwrap() {
            let found = &reference.values[column];
            assert!(
                found == value || near(found.as_f64().unwrap(), value),
                "{name}: {column} {found}"
            );
        }
        let table = table(&model, &case["rows"]);
        let mut all = Explanations::default();
        explainer.explain(&table, usize::MAX, &mut all);
        assert_eq!((all.rows(), all.each()), (40, 4));
        for row in 0..all.rows() {
            assert!(near(all.log_odds(row), &case["log_odds"][row]), "{name}: row {row}");
            for contribution in all.largest(row) {
                let column = contribution.column as usize;
                let expected = &case["contributions"][row][column];
                let found = contribution.value;
                assert!(near(found, expected), "{name}: row {row}, {column}: {found} {expected}");
            }
        }
        // The card has the odds against the same references.
        let card = scene.json("model/model.json");
        let odds = card["odds"].as_array().unwrap();
        assert_eq!(odds.len(), case["odds"].as_array().unwrap().len());
        for (found, expected) in odds.iter().zip(case["odds"].as_array().unwrap()) {
            assert!(near(found.as_f64().unwrap(), expected), "{name}: {found} {expected}");
        }
        assert_eq!(card["reference"]["values"], json!(reference.values), "{name}");
    }
}

/// A model that no fit would find, with any number of columns of any kind.
fn random_model(random: &mut Random) -> Model {
    let bytes = include_bytes!("../fixtures/artifact_v2.bin");
    let mut model = artifact::decode(bytes, "the fixture").unwrap();
    let names = |kind: &str, n: usize| (0..n).map(|i| format!("{kind}{i}")).collect::<Vec<_>>();
    let numeric = names("x", random.below(5));
    let categorical = names("g", random.below(4) + usize::from(numeric.is_empty()));
    model.schema = Schema::new(SchemaFields {
        numeric: &numeric,
        categorical: &categorical,
        target: "t",
        positive_label: "1",
        ..SchemaFields::default()
    });
    let fills = random.below(3) > 0;
    let mut number = |size: f64| (random.unit() - 0.5) * size;
    model.encoder.numeric = numeric
        .iter()
        .map(|name| NumericFeature::line(name.clone(), fills.then(|| number(100.0))))
        .collect();
    model.encoder.categorical = categorical
        .iter()
        .map(|name| {
            let (known, pooled) = (1 + random.below(6), random.below(3));
            let feature = CategoricalFeature {
                name: name.clone(),
                levels: names("a", known),
                pooled: names("rare", pooled),
                fill: None,
                bins: None,
            };
            let fill = u32::try_from(random.below(feature.width())).unwrap();
            CategoricalFeature { fill: fills.then_some(fill), ..feature }
        })
        .collect();
    let width = model.encoder.width();
    let mut numbers =
        |size: f64| (0..width).map(|_| (random.unit() - 0.5) * size).collect::<Vec<_>>();
    model.fitted.coefficients = numbers(6.0);
    model.scaler.mean = numbers(50.0);
    model.scaler.scale = numbers(20.0).into_iter().map(|scale| scale.abs() + 0.1).collect();
    model.fitted.intercept = random.unit() - 0.5;
    for j in numeric.len()..width {
        (model.scaler.mean[j], model.scaler.scale[j]) = (0.0, 1.0);
    }
    model
}

fn random_rows(random: &mut Random, model: &Model) -> Table {
    let mut table = Table::new(&model.schema);
    for _ in 0..20 {
        let mut numbers = Vec::new();
        for _ in 0..table.numeric.len() {
            numbers.push((!random.one_in(5)).then(|| (random.unit() - 0.5) * 200.0));
        }
        let mut texts = Vec::new();
        for _ in 0..table.categorical.len() {
            let text = random.pick(&["a0", "a1", "a3", "a5", "rare0", "rare1", "unknown", ""]);
            texts.push(text.to_owned());
        }
        table.push_values(&numbers, &texts);
    }
    table
}

#[test]
fn the_reference_and_all_contributions_are_the_log_odds_of_any_row_and_model() {
    let mut random = Random(23);
    let (mut answered, mut unanswered) = (0, 0);
    for _ in 0..repetitions(300, 20_000) {
        let model = random_model(&mut random);
        let table = random_rows(&mut random, &model);
        let explainer = Explainer::new(&model);
        let predicted = Predictor::new(&model).predict(&table).rows;
        let most = random.below(explainer.columns() + 2);
        let mut found = Explanations::default();
        explainer.explain(&table, most, &mut found);
        let mut columns = Vec::new();
        for column in 0..explainer.columns() {
            let mut one = Vec::new();
            explainer.contributions(column, &table, &mut one);
            columns.push(one);
        }
        for (row, prediction) in predicted.iter().enumerate() {
            let Some(prediction) = prediction else {
                unanswered += 1;
                assert!(!found.is_finite(row) && found.log_odds(row).is_nan());
                continue;
            };
            answered += 1;
            let z = found.log_odds(row);
            assert!((1.0 / (1.0 + (-z).exp()) - prediction.probability).abs() < 1e-12);
            let size = columns.iter().map(|column| column[row].abs()).sum::<f64>();
            let all = explainer.reference_log_odds() + columns.iter().map(|c| c[row]).sum::<f64>();
            assert!((all - z).abs() <= 1e-12 * (1.0 + size), "{all} {z} {model:?}");
            let named = found.largest(row);
            assert_eq!(named.len(), most.min(explainer.columns()));
            let sum = named.iter().map(|c| c.value).sum::<f64>() + found.others(row);
            let z2 = explainer.reference_log_odds() + sum;
            assert!((z2 - z).abs() <= 1e-12 * (1.0 + size), "{z2} {z}");
            // The named ones are the largest, each once.
            let values: BTreeMap<u32, f64> = named.iter().map(|c| (c.column, c.value)).collect();
            assert_eq!(values.len(), named.len());
            let least = named.iter().map(|c| c.value.abs()).fold(f64::INFINITY, f64::min);
            for (column, all) in columns.iter().enumerate() {
                match values.get(&u32::try_from(column).unwrap()) {
                    Some(value) => assert_eq!(value.to_bits(), all[row].to_bits()),
                    None => assert!(named.is_empty() || all[row].abs() <= least),
                }
            }
        }
    }
    assert!(answered > 1_000 && unanswered > 100, "{answered} {unanswered}");
}

/// Without a most frequent category to compare with, the mean of all categories stands in, so that
/// adding the same number to all coefficients of a column changes no contribution.
#[test]
fn a_model_that_fills_nothing_compares_with_the_average_category() {
    let mut case = golden()["cases"][0].clone();
    case["training"]["missing"] = json!("drop");
    let (_, mut model) = trained(&case);
    let rows = table(&model, &case["rows"]);
    let of = |model: &Model| {
        let mut column = Vec::new();
        Explainer::new(model).contributions(2, &rows, &mut column);
        column
    };
    assert_eq!(Explainer::new(&model).reference(2), Reference::AverageLevel);
    assert_eq!(Explainer::new(&model).reference_row().values["country"], Value::Null);
    let before = of(&model);
    let numeric = model.encoder.numeric.len();
    let width = model.encoder.categorical[0].width();
    let levels = &mut model.fitted.coefficients[numeric..numeric + width];
    assert!(levels.iter().sum::<f64>().abs() < 1e-9, "the penalty centres them: {levels:?}");
    for value in levels {
        *value += 3.0;
    }
    for ((before, after), text) in before.iter().zip(of(&model)).zip(rows.categorical[0].iter()) {
        let known = !matches!(text, "atlantis" | "");
        assert!(!known || (before - after).abs() < 1e-12, "{text}: {before} {after}");
    }
}

#[test]
fn the_file_of_predictions_names_the_columns_that_moved_them() {
    let case = golden()["cases"][0].clone();
    let (scene, _) = trained(&case);
    let mut test = "who,age,income,country,shop,left\n".to_owned();
    for (i, row) in case["train"].as_array().unwrap().iter().take(120).enumerate() {
        test += &format!("t{i},{}\n", cells(row));
    }
    scene.file("test/test.csv", test);
    scene.score().unwrap();
    scene.deploy().unwrap();
    scene.configure(&json!({"schema": {"id": ["who"], "numeric": ["age", "income"],
        "categorical": ["country", "shop"], "target": "left",
        "reasons": {"age": {"raises": "old, \"so to speak\"", "lowers": "young"}}}}));
    let mut asked = "who,age,income,country,shop\n".to_owned();
    for (i, row) in case["rows"].as_array().unwrap().iter().enumerate() {
        asked += &format!("p{i},{}\n", cells(row));
        if i == 3 {
            asked += "broken,many,1,fr,s01\n";
        }
    }
    scene.file("clients.csv", asked);
    let (data, output) = (scene.path("clients.csv"), scene.path("risk.csv"));
    let options = |explain| diagnose::Options {
        data: Some(data.clone()),
        output: Some(output.clone()),
        explain,
        ..diagnose::Options::default()
    };
    let diagnose = |explain: usize| {
        scene
            .step(Step::Diagnostics, |context, w| diagnose::run(context, w, &options(explain)))
            .unwrap()
    };
    let report = diagnose(2);
    let reference = report.reference.unwrap();
    assert!(near(reference.log_odds, &case["reference"]["log_odds"]));
    let mut read = csv::Reader::from_path(&output).unwrap();
    let header = read.headers().unwrap().clone();
    assert_eq!(
        header.iter().collect::<Vec<_>>().join(","),
        "who,prediction,probability,log_odds,reference_log_odds,column_1,contribution_1,text_1,column_2,\
         contribution_2,text_2,other_contributions,line,reason"
    );
    let rows: Vec<BTreeMap<String, String>> = read.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 41);
    let (broken, good): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["line"] == "6");
    assert!(broken[0]["column_1"].is_empty() && broken[0]["reason"].contains("many"), "{broken:?}");
    let mut texts = 0;
    for (i, row) in good.into_iter().enumerate() {
        let number = |name: &str| row[name].parse::<f64>().unwrap();
        assert!(near(number("log_odds"), &case["log_odds"][i]), "{row:?}");
        let parts =
            ["reference_log_odds", "contribution_1", "contribution_2", "other_contributions"];
        let sum: f64 = parts.map(number).iter().sum();
        assert!((sum - number("log_odds")).abs() < 1e-11, "{row:?}");
        assert!(number("contribution_1").abs() >= number("contribution_2").abs());
        for (column, contribution, text) in
            [("column_1", "contribution_1", "text_1"), ("column_2", "contribution_2", "text_2")]
        {
            let expected = match (row[column].as_str(), number(contribution) < 0.0) {
                ("age", true) => "young",
                ("age", false) => "old, \"so to speak\"",
                _ => "",
            };
            assert_eq!(row[text], expected, "{row:?}");
            texts += usize::from(!expected.is_empty());
        }
    }
    assert!(texts > 10, "{texts}");
    // A file with explanations is replaced by one without, and the other way round; more than all is all.
    diagnose(0);
    let plain = fs::read_to_string(&output).unwrap();
    assert!(plain.starts_with("who,prediction,probability,line,reason\n"), "{plain}");
    diagnose(99);
    let header = fs::read_to_string(&output).unwrap().lines().next().unwrap().to_owned();
    assert!(header.contains("column_4") && !header.contains("column_5"), "{header}");
}
