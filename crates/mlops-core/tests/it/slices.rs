//! Scores of parts of the test rows: in the record and in words, and the gate that looks at them.

use mlops_core::ids::DecisionOutcome;
use mlops_core::stage::decide;
use mlops_testkit::{Random, Scene};
use serde_json::{Value, json};

use crate::decision::decide;

fn schema(slices: &Value) -> Value {
    json!({"id": ["who", "branch"], "numeric": ["x", "visits"], "categorical": ["region"], "target": "left",
        "slice": slices})
}

/// Clients that leave if their x is large; those of the north do the opposite where it is `turned`.
fn rows(prefix: &str, north: usize, south: usize, turned: bool) -> String {
    let mut random = Random(prefix.len() as u64 + 40);
    let mut text = "who,branch,x,visits,region,left\n".to_owned();
    for i in 0..north + south {
        let region = if i < north { "north" } else { "south" };
        let (x, visits) = (random.below(100), random.below(3));
        let left = (x > 50) != random.one_in(8);
        let left = left != (turned && region == "north");
        let region = if random.one_in(30) { "" } else { region };
        text += &format!("{prefix}{i},b{},{x},{visits},{region},{}\n", i % 30, u8::from(left));
    }
    text
}

fn live(more: &Value) -> Scene {
    let mut config = json!({"source_folder_path": "source", "holdout": {"share": 0.5, "group": ["who"]},
        "schema": schema(&json!(["region", "branch", "visits"]))});
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let scene = Scene::with(&config);
    scene.file("in/a.csv", rows("a", 200, 200, false));
    scene.file("test/testdata.csv", rows("tt", 200, 200, false));
    scene.everything().unwrap();
    std::fs::create_dir(scene.path("source")).unwrap();
    scene
}

#[test]
fn features_and_ids_have_slices_and_small_ones_say_so() {
    let scene = live(&json!({}));
    let record = scene.json("model/score.json");
    let slices = record["slices"].as_array().unwrap();
    let of = |column: &str| slices.iter().filter(|s| s["column"] == column).collect::<Vec<_>>();
    for column in ["region", "branch", "visits"] {
        let all = |path: &str| -> u64 {
            of(column)
                .iter()
                .map(|s| s["evaluation"].pointer(path).unwrap().as_u64().unwrap())
                .sum()
        };
        assert_eq!(all("/n"), 400, "{column}");
        assert_eq!(all("/confusion_matrix/tp"), record["confusion_matrix"]["tp"].as_u64().unwrap());
        let sizes: Vec<u64> =
            of(column).iter().map(|s| s["evaluation"]["n"].as_u64().unwrap()).collect();
        assert!(sizes[..sizes.len() - 1].is_sorted_by(|a, b| a >= b), "{column} {sizes:?}");
    }
    let values: Vec<&Value> = of("region").iter().map(|s| &s["value"]).collect();
    assert!(values.contains(&&json!("north")) && values.contains(&&json!("")), "{values:?}");
    assert_eq!(of("branch").len(), 21);
    assert_eq!(of("branch")[20]["value"], Value::Null);
    assert_eq!(of("visits").len(), 3);
    assert!(of("visits").iter().any(|s| s["value"] == "0"));
    let small = of("branch")[0];
    assert_eq!(small["evaluation"]["note"], "too few rows to tell");
    assert!(of("visits")[0]["evaluation"]["note"].is_null());
    let words = scene.score().unwrap().to_string();
    for part in [
        "slice",
        "region=north",
        "region: missing",
        "branch: all other values",
        "visits=2",
        "too few rows to tell",
    ] {
        assert!(words.contains(part), "{part} is not in\n{words}");
    }
}

#[test]
fn without_the_key_nothing_is_said_and_a_model_without_the_column_is_noted() {
    let scene = live(&json!({"schema": schema(&json!([]))}));
    assert!(scene.json("model/score.json").get("slices").is_none());
    assert!(!scene.score().unwrap().to_string().contains("slice"));
    for (slices, part) in [
        (json!(["left"]), "\"schema.slice\" names the column \"left\""),
        (json!(["region", "region"]), "\"schema.slice\" names the column \"region\" twice"),
    ] {
        scene.configure(&json!({"schema": schema(&slices)}));
        let error = scene.score().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_challenger_that_loses_too_much_on_a_slice_is_refused() {
    for (gate, outcome) in [
        (json!({}), DecisionOutcome::Promoted),
        (json!({"max_slice_drop": 0.2}), DecisionOutcome::Refused),
        (json!({"max_slice_drop": 1.0}), DecisionOutcome::Promoted),
        (json!({"metric": "roc_auc", "max_slice_drop": 0.2}), DecisionOutcome::Refused),
        (json!({"metric": "log_loss", "max_slice_drop": 0.2}), DecisionOutcome::Refused),
        (json!({"metric": "log_loss", "max_slice_drop": 9}), DecisionOutcome::Promoted),
    ] {
        let scene = live(&json!({"gate": gate}));
        scene.file("source/b.csv", rows("new", 2_000, 400, true));
        let decision = decide(&scene);
        assert_eq!(decision.outcome, outcome, "{gate}: {decision}");
        let verdict = decision.gate.as_ref().unwrap();
        assert!(verdict.challenger_f1 > verdict.champion_f1 + 0.1, "{verdict:?}");
        let south = verdict.slices.iter().find(|s| s.slice.to_string() == "region=south").unwrap();
        assert!(south.rows >= 150 && south.champion_f1 > south.challenger_f1 + 0.2, "{south:?}");
        assert_eq!(south.compared().metric, verdict.compared().metric);
        let branches = verdict.slices.iter().filter(|s| s.slice.column == "branch").count();
        assert!(branches <= 1, "a branch has too few rows: {verdict:?}");
        if outcome == DecisionOutcome::Refused {
            let words = decision.to_string();
            let metric = verdict.compared().metric;
            let told = format!("of region=south the challenger has {}", metric.words());
            assert!(words.contains(&told), "{words}");
            let judged = words.contains("Drift is judged by F1; the gate compares the models by");
            assert_eq!(judged, gate.get("metric").is_some(), "{words}");
            assert!(words.contains("\"gate.max_slice_drop\", 0.2"), "{words}");
            let path = format!("out/decisions/{}.json", decision.run_id);
            assert!(scene.json(&path)["gate"]["slices"].as_array().unwrap().len() >= 2);
            let explained = decide::explain(&scene.ledger(), Some(&decision.run_id)).unwrap();
            assert_eq!(explained.to_string(), words);
        }
    }
}

/// A column that is no feature is kept in the data set, scores are given by its values, and neither the
/// model nor what a client is depends on it.
#[test]
fn a_column_that_is_no_feature_has_slices_and_changes_nothing_else() {
    let with = |slices: Value, ids: Value| {
        let scene = Scene::with(&json!({"source_folder_path": "source", "holdout": {"share": 0.5},
            "schema": {"id": ids, "numeric": ["x", "visits"], "target": "left", "slice": slices}}));
        scene.file("in/a.csv", rows("a", 200, 200, false));
        scene.file("test/testdata.csv", rows("tt", 200, 200, false));
        scene.everything().unwrap();
        std::fs::create_dir(scene.path("source")).unwrap();
        scene
    };
    let scene = with(json!(["region", "visits"]), json!(["who"]));
    let data = scene.read("out/finaldata1.csv");
    assert!(data.starts_with("who,region,x,visits,left\na0,north,"), "{}", &data[..60]);
    let plain = with(json!([]), json!(["who"]));
    let coefficients = |scene: &Scene| scene.json("model/model.json")["coefficients"].clone();
    assert_eq!(coefficients(&scene), coefficients(&plain));
    assert_eq!(scene.json("model/model.json")["features"], json!(["x", "visits"]));
    let slices = scene.json("model/score.json")["slices"].clone();
    let south = slices.as_array().unwrap().iter().find(|s| s["value"] == "south").unwrap();
    assert!(south["evaluation"]["n"].as_u64().unwrap() > 180, "{south}");
    // The same client in two regions is one client.
    let mut text = "who,region,x,visits,left\n".to_owned();
    for i in 0..400 {
        for region in ["north", "south"] {
            text += &format!("n{i},{region},{},1,{}\n", i % 100, u8::from(i % 100 > 50));
        }
    }
    scene.file("source/b.csv", text.clone());
    let decision = decide(&scene);
    let holdout = scene.read("test/testdata_new2.csv");
    let clients: std::collections::BTreeSet<&str> =
        holdout.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(holdout.lines().count() - 1, 2 * clients.len(), "{decision}");
    // Rows to predict need not have it.
    let model = std::fs::read(scene.path("model/trainedmodel.bin")).unwrap();
    let model = mlops_core::model::artifact::decode(&model, "model").unwrap();
    let options = mlops_core::config::Ingestion::default();
    let reader = mlops_core::csv::reader::RowReader::prediction(&model.schema, &options);
    scene.file("clients.csv", "x,visits\n1,2\n");
    assert_eq!(reader.read(&scene.path("clients.csv"), |_| Ok(())).unwrap().rejected, 0);
    // Without an id rows could not be told apart.
    scene.configure(&json!({"schema": {"numeric": ["x"], "target": "left", "slice": ["region"]}}));
    let error = scene.score().unwrap_err().to_string();
    assert!(error.contains("which needs \"schema.id\""), "{error}");
}

/// Ids of large test data are not looked at unless that is asked for, and the score says so.
#[test]
fn whoever_has_large_test_data_is_told_whether_intervals_look_at_entities() {
    let scored = |rows: usize, holdout: Value| {
        let scene = Scene::with(&json!({"holdout": holdout,
            "schema": {"id": ["who"], "numeric": ["x", "visits"], "target": "left"}}));
        scene.file("in/a.csv", rows_of("a", 400));
        scene.file("test/testdata.csv", rows_of("an-id-that-takes-many-bytes-in-a-file-", rows));
        scene.everything().unwrap();
        let score = scene.json("model/score.json");
        let notes =
            score["notes"].to_string().contains("rows with the same id count as independent");
        let wide = score["f1_interval"]["high"].as_f64().unwrap()
            - score["f1_interval"]["low"].as_f64().unwrap();
        (notes, wide)
    };
    assert!(!scored(2_000, json!({})).0);
    let (told, narrow) = scored(200_000, json!({}));
    let (asked, wide) = scored(200_000, json!({"group": ["who"]}));
    assert!(told && !asked);
    // Each row is there a hundred times.
    assert!(wide > 5.0 * narrow, "{wide} {narrow}");
}

/// Rows of clients, each of whom has as many as fit.
fn rows_of(prefix: &str, count: usize) -> String {
    let mut random = Random(7);
    let clients: Vec<(u64, u64, bool)> = (0..count.min(2_000))
        .map(|_| (random.below(100) as u64, random.below(3) as u64, random.one_in(8)))
        .collect();
    let mut text = "who,x,visits,left\n".to_owned();
    for i in 0..count {
        let client = i % clients.len();
        let (x, visits, odd) = clients[client];
        text += &format!("{prefix}{client},{x},{visits},{}\n", u8::from((x > 50) != odd));
    }
    text
}
