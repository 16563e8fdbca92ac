//! Training: missing values, categories, hopeless data, data of another shape; by configuration.
//! Not for the optimum itself: see the tests of `fit`, and `reference`.

use std::fs;

use mlops_core::config::Ingestion;
use mlops_core::csv::reader::RowReader;
use mlops_core::evaluation::leak::Sign;
use mlops_core::model::{Model, Prediction, Predictor, artifact};
use mlops_testkit::{HEADER, Random, Scene, sample_rows};
use serde_json::{Value, json};

/// Two features and `yes`/`no`.
fn small(training: &Value, rows: &str) -> Scene {
    let scene = Scene::with(&json!({"training": training, "schema": {"id": ["who"],
        "numeric": ["x"], "categorical": ["g"], "target": "t", "positive_label": "yes"}}));
    scene.file("in/a.csv", format!("who,x,g,t\n{rows}"));
    scene.ingest().unwrap();
    scene
}

const GAPS: &str = "a,1,red,yes\nb,2,red,no\nc,3,blue,yes\nd,10,,no\ne,,blue,yes\nf,7,red,no\n";

fn model(scene: &Scene) -> Model {
    let bytes = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    artifact::decode(&bytes, "model").unwrap()
}

/// Answers for a file of rows; and how many cells had a category that training never saw.
fn predict(model: &Model, scene: &Scene, text: &str) -> (Vec<Option<Prediction>>, u64) {
    scene.file("predict.csv", text);
    let options = Ingestion::default();
    let reader = RowReader::prediction(&model.schema, &options);
    let (mut rows, mut unknown) = (Vec::new(), 0);
    let reading = reader.read(&scene.path("predict.csv"), |table| {
        let found = Predictor::new(model).predict(table);
        rows.extend(found.rows);
        unknown += found.unknown_categories;
        Ok(())
    });
    assert_eq!(reading.unwrap().rejected, 0);
    (rows, unknown)
}

#[test]
fn missing_values_become_the_median_or_the_mean_and_the_commonest_category() {
    for (policy, fill) in [("median", 3.0), ("mean", 4.6)] {
        let scene = small(&json!({"missing": policy}), GAPS);
        let trained = scene.train().unwrap();
        assert_eq!((trained.data.rows, trained.data.dropped), (6, 0));
        assert_eq!(trained.card.imputation["x"], json!(fill), "{policy}");
        assert_eq!(trained.card.imputation["g"], json!("red"));
    }
}

#[test]
fn rows_with_missing_values_may_be_dropped_or_rejected() {
    let scene = small(&json!({"missing": "drop"}), GAPS);
    let trained = scene.train().unwrap();
    assert_eq!((trained.data.rows, trained.data.dropped), (4, 2));
    let mut test = String::from("who,x,g,t\np,,red,yes\n");
    for i in 0..4 {
        test += &format!("q{i},{i},red,{}\n", if i % 2 == 0 { "yes" } else { "no" });
    }
    scene.file("test/testdata.csv", test);
    let score = scene.score().unwrap();
    assert_eq!((score.evaluation.n, score.unanswered), (4, 1));
    let scene = small(&json!({"missing": "reject"}), GAPS);
    let error = scene.train().unwrap_err().to_string();
    assert!(error.contains("2 rows have missing values (\"x\" 1, \"g\" 1)"), "{error}");
    assert!(!scene.path("model/trainedmodel.bin").is_file());
}

#[test]
fn rows_that_are_mostly_dropped_are_mentioned() {
    // Of c and f alone every cell is left, one of each class.
    let gaps = GAPS.replace("1,red", ",red").replace("2,red", ",red");
    let dropped = |rows: &str| {
        let notes = small(&json!({"missing": "drop"}), rows).train().unwrap().notes;
        notes.iter().filter(|note| note.contains("left out for a missing value, 4 of 6")).count()
    };
    assert_eq!((dropped(GAPS), dropped(&gaps)), (0, 1));
}

#[test]
fn an_unknown_category_is_all_zeros_and_counted() {
    let scene = small(&json!({}), GAPS);
    scene.train().unwrap();
    let model = model(&scene);
    let (rows, unknown) = predict(&model, &scene, "x,g\n3,violet\n3,red\n3,RED\n");
    assert_eq!(unknown, 2);
    let x = (3.0 - model.scaler.mean[0]) / model.scaler.scale[0];
    let log_odds = model.fitted.intercept + model.fitted.coefficients[0] * x;
    let expected = 1.0 / (1.0 + (-log_odds).exp());
    let found = rows[0].unwrap().probability;
    assert!((found - expected).abs() < 1e-15, "{found} rather than {expected}");
    assert!((rows[1].unwrap().probability - expected).abs() > 1e-6);
}

#[test]
fn data_that_cannot_be_learned_from_are_refused_with_the_reason() {
    let cases = [
        ("a,1,red,yes\nb,2,red,yes\n", "needs rows of both classes"),
        ("a,,red,yes\nb,,red,no\n", "\"x\" is empty in every training row: remove it"),
    ];
    for (rows, expected) in cases {
        let error = small(&json!({}), rows).train().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let gaps = "a,,red,yes\nb,2,,no\n";
    let error = small(&json!({"missing": "drop"}), gaps).train().unwrap_err().to_string();
    assert!(error.contains("no row") && error.contains("missing"), "{error}");
}

#[test]
fn rows_that_are_all_held_out_say_so() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(20, 1));
    scene.rows("test/testdata.csv", &sample_rows(20, 1));
    scene.ingest().unwrap();
    let error = scene.train().unwrap_err().to_string();
    assert!(error.contains("test data"), "{error}");
}

#[test]
fn a_constant_feature_weighs_nothing_and_is_named() {
    let scene = Scene::new();
    let rows = sample_rows(60, 1);
    let constant: Vec<String> = rows
        .lines()
        .map(|l| {
            let cells: Vec<&str> = l.split(',').collect();
            format!("{},{},{},7,{}\n", cells[0], cells[1], cells[2], cells[4])
        })
        .collect();
    scene.rows("in/a.csv", &constant.concat());
    scene.ingest().unwrap();
    let trained = scene.train().unwrap();
    assert_eq!(trained.card.coefficients[2].to_bits(), 0.0_f64.to_bits());
    assert_eq!(trained.card.scaler.scale[2].to_bits(), 1.0_f64.to_bits());
    let note = "\"number_of_employees\" is constant";
    assert!(trained.notes.iter().any(|n| n.contains(note)), "{:?}", trained.notes);
}

#[test]
fn a_feature_that_says_nothing_of_the_label_is_not_called_constant() {
    let labels = ["yes", "no"];
    let rows: String =
        (0..40).map(|i| format!("a{i},{},red,{}\n", [-1, 1][i % 2], labels[i / 2 % 2])).collect();
    let trained = small(&json!({}), &rows).train().unwrap();
    assert_eq!(trained.card.coefficients[0].abs().to_bits(), 0);
    let said = trained.notes.join("\n");
    assert!(said.contains("\"g\" is constant") && !said.contains("\"x\""), "{said}");
}

#[test]
fn without_a_penalty_separable_data_are_an_error_with_names() {
    let row = |i: u32, yes: bool| format!("a{i},{i},red,{}\n", if yes { "yes" } else { "no" });
    let apart: String = (0..200).map(|i| row(i, i >= 100)).collect();
    let message = small(&json!({"C": null}), &apart).train().unwrap_err().to_string();
    assert!(message.contains("separated perfectly by \"x\""), "{message}");
    let overlapping: String = (0..200).map(|i| row(i, i % 7 == 0 || i >= 100)).collect();
    let scene = small(&json!({"C": null}), &overlapping);
    let trained = scene.train().unwrap();
    assert_eq!(trained.card.hyperparameters["C"], Value::Null);
    assert_eq!(model(&scene).training.c, None);
}

#[test]
fn separable_data_have_an_optimum_and_a_note() {
    let rows: String = (0..200)
        .map(|i| format!("a{i},{i},red,{}\n", if i < 100 { "no" } else { "yes" }))
        .collect();
    let scene = small(&json!({"C": 1e6}), &rows);
    let trained = scene.train().unwrap();
    assert!(trained.card.gradient_norm <= 1e-9, "{}", trained.card.gradient_norm);
    let away =
        "\"x\" may give the label away: alone it has a ROC AUC of 1.0000 on 200 training rows";
    assert_eq!(trained.notes.iter().filter(|note| note.starts_with(away)).count(), 1);
    assert!(!trained.notes.iter().any(|note| note.contains("separable")), "{:?}", trained.notes);
}

#[test]
fn the_same_training_gives_the_same_bytes() {
    let run = || {
        let scene = Scene::new();
        scene.rows("in/a.csv", &sample_rows(500, 1));
        scene.ingest().unwrap();
        scene.train().unwrap();
        let first = fs::read(scene.path("model/trainedmodel.bin")).unwrap();
        scene.train().unwrap();
        assert_eq!(first, fs::read(scene.path("model/trainedmodel.bin")).unwrap());
        (first, scene.read("model/model.json"), scene.read("model/golden.json"))
    };
    assert_eq!(run(), run());
}

#[test]
fn balanced_classes_weigh_the_same() {
    let scene = Scene::with(&json!({"training": {"class_weight": "balanced"}}));
    let rows: String = sample_rows(300, 1)
        .lines()
        .enumerate()
        .filter(|(i, l)| l.ends_with('0') || i % 4 == 0)
        .map(|(_, l)| format!("{l}\n"))
        .collect();
    scene.rows("in/a.csv", &rows);
    scene.ingest().unwrap();
    let data = scene.train().unwrap().data;
    let model = model(&scene);
    let (predictions, _) = predict(&model, &scene, &format!("{HEADER}{rows}"));
    // At the optimum the weighted residuals of the two classes cancel. The weights multiply the odds
    // by the ratio of the classes, which the intercept then takes back.
    let (n, positives) = (data.rows as f64, data.positives as f64);
    let ratio = (n - positives) / positives;
    assert!((model.tuned.prior_shift + ratio.ln()).abs() < 1e-12);
    let mut residuals = [0.0; 2];
    for (line, prediction) in rows.lines().zip(predictions) {
        let prediction = prediction.unwrap();
        let odds = ratio * prediction.probability / (1.0 - prediction.probability);
        let probability = odds / (1.0 + odds);
        // Without a threshold, rows are predicted positive as before the correction.
        assert_eq!(prediction.positive, probability > 0.5, "{line}");
        if line.ends_with('1') {
            residuals[1] += (1.0 - probability) * n / (2.0 * positives);
        } else {
            residuals[0] += probability * n / (2.0 * (n - positives));
        }
    }
    assert!(positives < n / 3.0, "{positives} of {n}");
    assert!((residuals[0] - residuals[1]).abs() < 1e-9, "{residuals:?}");
}

#[test]
fn training_needs_no_test_data_and_scoring_does() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.ingest().unwrap();
    assert_eq!(scene.train().unwrap().data.held_out, 0);
    let error = scene.score().unwrap_err().to_string();
    assert!(error.contains("there is no test data") && error.contains("test_data_path"), "{error}");
    fs::remove_dir(scene.path("test")).unwrap();
    scene.train().unwrap();
    assert!(scene.score().unwrap_err().to_string().contains("there is no test data"));
    scene.rows("test/testdata.csv", "a,1,2,x,1\n");
    let error = scene.score().unwrap_err().to_string();
    assert!(error.contains("no row to score: 1 rejected"), "{error}");
    scene.file("test/testdata.csv", "a,b\n1,2\n");
    let error = scene.score().unwrap_err().to_string();
    assert!(error.contains("testdata.csv") && error.contains("no column"), "{error}");
}

/// Twelve features, eight numbers and four categories, labels of its own, all by configuration.
#[test]
fn data_of_another_shape_need_configuration_alone() {
    let numeric: Vec<String> = (0..8).map(|j| format!("measure {j}")).collect();
    let categorical = ["region", "plan", "channel", "device"];
    let scene = Scene::with(&json!({"schema": {"id": ["customer", "site"], "numeric": numeric,
        "categorical": categorical, "target": "churned", "positive_label": "yes"}}));
    let mut random = Random(11);
    let mut file = |rows: u64| {
        let names = [numeric.join(","), categorical.join(",")].join(",");
        let mut text = format!("customer,site,{names},churned\n");
        for i in 0..rows {
            let values: Vec<f64> = (0..8).map(|_| (random.unit() - 0.5) * 20.0).collect();
            let plan = random.pick(&["basic", "plus", "pro"]);
            let others = [
                random.pick(&["north", "south", "east", "west"]),
                random.pick(&["web", "shop"]),
                random.pick(&["phone", "desktop", "NA"]),
            ];
            let bonus = if plan == "pro" { 1.5 } else { -0.5 };
            let log_odds = 0.3 * values[0] - 0.2 * values[1] + bonus;
            let yes = random.unit() < 1.0 / (1.0 + (-log_odds).exp());
            let cells: Vec<String> = values.iter().map(|v| format!("{v:.3}")).collect();
            let [region, channel, device] = others;
            let left = if yes { "Yes" } else { "NO" };
            let cells = cells.join(",");
            text += &format!("c{i},s,{cells},{region},{plan},{channel},{device},{left}\n");
        }
        text
    };
    scene.file("in/a.csv", file(1500));
    scene.file("test/testdata.csv", file(400));
    scene.everything().unwrap();
    let card = scene.json("production_deployment/model.json");
    assert_eq!(card["features"].as_array().unwrap().len(), 8 + 4 + 3 + 2 + 2);
    assert_eq!(card["target"]["negative_label"], "NO");
    assert!(card["gradient_norm"].as_f64().unwrap() < 1e-11);
    let score = scene.json("production_deployment/score.json");
    assert!(score["roc_auc"].as_f64().unwrap() > 0.8, "{score}");
    assert_eq!(score["beats_constant"], true);
    let (rows, unknown) = predict(
        &model(&scene),
        &scene,
        "plan,device,channel,region,measure 7,measure 6,measure 5,measure 4,measure 3,measure 2,\
         measure 1,measure 0\npro,phone,web,north,0,0,0,0,0,0,-9,9\nnone,,web,north,,,,,,,9,-9\n",
    );
    assert_eq!(unknown, 1);
    assert!(rows[0].unwrap().positive && !rows[1].unwrap().positive);
}

/// Sixty clients with five equal answers each tell less than 300 clients.
#[test]
fn intervals_take_account_of_several_rows_of_a_client() {
    let scene = |more: Value| {
        let mut keys = json!({"schema": {"id": ["client"], "numeric": ["x"], "target": "t",
            "positive_label": "yes"}});
        keys["holdout"] = more;
        let scene = Scene::with(&keys);
        let file = |clients: std::ops::Range<u32>, rows: u32| {
            let mut text = String::from("client,x,t\n");
            for client in clients {
                let yes = if client % 10 < 3 { client % 2 == 0 } else { client % 2 == 1 };
                for row in 0..rows {
                    let x = f64::from(client % 2) + f64::from(row + client % 7) / 100.0;
                    text += &format!("c{client},{x},{}\n", if yes { "yes" } else { "no" });
                }
            }
            text
        };
        scene.file("in/a.csv", file(0..400, 1));
        scene.file("test/testdata.csv", file(1000..1060, 5));
        scene.ingest().unwrap();
        scene.train().unwrap();
        scene.score().unwrap();
        scene.json("model/score.json")
    };
    let (of_clients, of_rows) = (scene(json!({})), scene(json!({"group": []})));
    assert_eq!((&of_clients["n"], &of_clients["entities"]), (&json!(300), &json!(60)));
    assert_eq!(of_rows.get("entities"), None);
    assert_eq!(of_clients["f1"], of_rows["f1"]);
    for key in ["f1_interval", "accuracy_interval", "roc_auc_interval", "mcc_interval"] {
        let width = |score: &Value| {
            score[key]["high"].as_f64().unwrap() - score[key]["low"].as_f64().unwrap()
        };
        let wider = width(&of_clients) / width(&of_rows);
        assert!((1.8..3.0).contains(&wider), "{key}: {wider}");
    }
}

#[test]
fn the_number_of_threads_changes_no_byte_of_the_model() {
    let schema = json!({"id": ["who"], "numeric": ["x", "y"], "categorical": ["g"], "target": "t",
        "positive_label": "yes"});
    let mut random = Random(5);
    let mut rows = String::from("who,x,y,g,t\n");
    // More than one piece of a file, and than one unit of a sum.
    for i in 0..60_000 {
        let x = random.below(400);
        let gap = if random.one_in(20) { String::new() } else { x.to_string() };
        let g = random.pick(&["red", "blue", "", "green"]);
        let label = if random.unit() < x as f64 / 400.0 { "yes" } else { "no" };
        rows += &format!("customer{i},{gap},{:.3},{g},{label}\n", random.unit());
    }
    for training in [json!({}), json!({"missing": "mean"}), json!({"missing": "drop"})] {
        let with = |threads: usize| json!({"schema": schema, "training": training, "limits": {"threads": threads}});
        let scene = Scene::with(&with(1));
        scene.file("in/a.csv", &rows);
        scene.ingest().unwrap();
        let mut files = Vec::new();
        for threads in [1, 2, 3, 7] {
            scene.configure(&with(threads));
            scene.train().unwrap();
            let read = |name: &str| fs::read(scene.path(name)).unwrap();
            files.push((read("model/trainedmodel.bin"), read("model/golden.json")));
        }
        assert!(files.iter().all(|f| *f == files[0]), "{training}");
    }
}

#[test]
fn changed_or_damaged_data_are_not_learned_from() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.ingest().unwrap();
    let data = scene.read("out/finaldata1.csv");
    for damaged in [data.replacen("c1x7", "c1x8", 1), data.clone() + "x,1,2,3,7\n"] {
        scene.file("out/finaldata1.csv", damaged);
        let error = scene.train().unwrap_err().to_string();
        assert!(error.contains("is not what the ledger recorded"), "{error}");
    }
    scene.file("out/finaldata1.csv", data);
    scene.train().unwrap();
}

#[test]
fn data_are_not_read_as_something_else_than_they_were_ingested_as() {
    let schema = json!({"id": ["id"], "numeric": ["x"], "categorical": ["c"], "target": "y"});
    let spelt = json!({"missing_values": ["?", "", "-"]});
    let scene = Scene::with(&json!({"schema": schema, "ingestion": spelt}));
    let rows = |prefix: &str| -> String {
        let row = |i: usize| {
            let country = ["NA", "ZA"][i / 2 % 2];
            format!("{prefix}{i},{},{country},{}\n", i % 7, u8::from(i % 7 > 3))
        };
        "id,x,c,y\n".to_owned() + &(0..60).map(row).collect::<String>()
    };
    scene.file("in/a.csv", rows("a"));
    scene.file("test/t.csv", rows("t"));
    scene.ingest().unwrap();
    let features = scene.train().unwrap().card.features;
    scene.score().unwrap();
    // Namibia would become a missing value, x a category, and so on.
    let mut categories = schema.clone();
    (categories["numeric"], categories["categorical"]) = (json!([]), json!(["x", "c"]));
    let mut turned = schema.clone();
    (turned["positive_label"], turned["negative_label"]) = (json!("0"), json!("1"));
    for other in [
        json!({"schema": schema}),
        json!({"schema": schema, "ingestion": {"missing_values": ["?", "", "-", "NA"]}}),
        json!({"schema": schema, "ingestion": {"missing_values": ["?", "", "-"], "decimal": ","}}),
        json!({"schema": categories, "ingestion": spelt}),
        json!({"schema": turned, "ingestion": spelt}),
    ] {
        scene.configure(&other);
        for error in [scene.train().unwrap_err(), scene.score().unwrap_err()] {
            assert!(error.to_string().contains("--rebuild"), "{error}");
        }
    }
    // The order of the spellings, and defaults that are spelt out, change nothing.
    let same =
        json!({"missing_values": ["", " - ", "?", "?"], "decimal": ".", "duplicates": "drop"});
    scene.configure(&json!({"schema": schema, "ingestion": same}));
    assert!(scene.ingest().unwrap().files.is_empty());
    assert_eq!(scene.train().unwrap().card.features, features);
    scene.score().unwrap();
}

#[test]
fn columns_that_give_the_label_away_are_told_of_once_with_their_numbers() {
    let scene =
        Scene::with(&json!({"schema": {"id": ["who"], "numeric": ["age", "refund", "closed"],
        "categorical": ["country", "reason"], "target": "left"}}));
    let mut random = Random(3);
    let mut text = "who,age,refund,closed,country,reason,left\n".to_owned();
    for i in 0..2_000 {
        let left = random.one_in(3);
        let age = random.below(60) + usize::from(left) * 10;
        // Known after the client has left: a refund, the day on which the account was closed, and why.
        let refund = if left { 100 + random.below(900) } else { random.below(102) };
        let closed = if left { random.below(365).to_string() } else { String::new() };
        let reason = if left { random.pick(&["price", "service"]) } else { "none" };
        let country = random.pick(&["de", "fr", "it"]);
        text += &format!("w{i},{age},{refund},{closed},{country},{reason},{}\n", u8::from(left));
    }
    scene.file("in/a.csv", text);
    scene.ingest().unwrap();
    let trained = scene.train().unwrap();
    let found: Vec<(&str, Sign)> =
        trained.card.leaks.iter().map(|leak| (leak.column.as_str(), leak.sign)).collect();
    let expected =
        [("refund", Sign::Numbers), ("closed", Sign::Gaps), ("reason", Sign::Categories)];
    assert_eq!(found, expected);
    for (column, _) in expected {
        let quoted = format!("\"{column}\" may give the label away: ");
        assert_eq!(trained.notes.iter().filter(|note| note.starts_with(&quoted)).count(), 1);
        assert_eq!(trained.notes.iter().filter(|note| note.contains(column)).count(), 1);
    }
    assert!(
        trained.notes.iter().any(|note| note.contains("ROC AUC of 0.99") && note.contains("2,000"))
    );
    assert_eq!(scene.json("model/model.json")["leaks"].as_array().unwrap().len(), 3);
}

/// A sample of blocks of many rows finds the same, whatever the threads, and rows that are sorted by their
/// label are no hindrance.
#[test]
fn a_sample_of_many_rows_finds_what_gives_the_label_away() {
    let scene =
        Scene::with(&json!({"schema": {"id": ["who"], "numeric": ["x", "y"], "target": "t"},
        "limits": {"threads": 2}}));
    let mut random = Random(4);
    let mut text = "who,x,y,t\n".to_owned();
    for i in 0..90_000 {
        let positive = i > 60_000;
        let x = random.below(1_000) + usize::from(positive) * 990;
        text += &format!("w{i},{x},{},{}\n", random.below(50), u8::from(positive));
    }
    scene.file("in/a.csv", text);
    scene.ingest().unwrap();
    let leaks = scene.train().unwrap().card.leaks;
    assert_eq!(leaks.len(), 1, "{leaks:?}");
    assert_eq!((leaks[0].column.as_str(), leaks[0].rows), ("x", 65_536));
    assert!(leaks[0].roc_auc.is_some_and(|area| area > 0.999 && area < 1.0), "{leaks:?}");
}

/// With dates after the time of their rows; the time is a feature or an id column.
fn dated(
    time: &str,
    offset: impl Fn(&mut Random, usize) -> i64,
) -> mlops_core::stage::train::Trained {
    let (ids, dates) = match time {
        "applied" => (json!(["who"]), json!(["applied", "ended"])),
        _ => (json!(["who", "seen"]), json!(["ended"])),
    };
    let scene = Scene::with(&json!({"schema": {"id": ids, "numeric": ["age"], "date": dates,
        "target": "left"}, "holdout": {"time": time, "group": []}}));
    let mut random = Random(5);
    let mut text = format!("who,{time},age,ended,left\n");
    let spell = |day: i64| mlops_core::table::date::spell(19_000.0 + day as f64);
    for i in 0..600 {
        let at = random.below(300);
        let day = i64::try_from(at).unwrap();
        let ended = day + offset(&mut random, at);
        let (age, left) = (random.below(60), u8::from(random.one_in(3)));
        text += &format!("w{i},{},{age},{},{left}\n", spell(day), spell(ended));
    }
    scene.file("in/a.csv", text);
    scene.ingest().unwrap();
    scene.train().unwrap()
}

#[test]
fn dates_after_the_time_of_their_rows_are_told_of() {
    for time in ["applied", "seen"] {
        let trained = dated(time, |random, _| i64::from(!random.one_in(30)) * 9);
        let [leak] = &trained.card.leaks[..] else { panic!("{:?}", trained.card.leaks) };
        assert_eq!((leak.column.as_str(), leak.sign, leak.rows), ("ended", Sign::LaterDates, 600));
        let later = leak.later.unwrap();
        assert!((540..600).contains(&later), "{later}");
        let note = trained.notes.iter().find(|note| note.contains("\"ended\"")).unwrap();
        let share = format!("in {later} of 600 training rows that have both (");
        assert!(note.contains(&share) && note.contains("take the column out"), "{note}");
    }
}

#[test]
fn dates_of_the_same_day_or_before_or_shuffled_are_no_finding() {
    for time in ["applied", "seen"] {
        for trained in [
            dated(time, |_, _| 0),
            dated(time, |random, _| -i64::try_from(random.below(400)).unwrap()),
            dated(time, |random, at| {
                i64::try_from(random.below(300)).unwrap() - i64::try_from(at).unwrap()
            }),
        ] {
            assert!(trained.card.leaks.is_empty(), "{:?}", trained.card.leaks);
        }
    }
}
