//! The pages about the model over HTTP: scores over time, drift, thresholds, past predictions, the playground.
//!
//! What a page shows as HTML it has as JSON. Not for the frame of pages: see `pages`.

use std::time::Duration;

use mlops_core::ids::Step;
use mlops_core::run::context::Workspace;
use mlops_core::stage::decide;
use serde_json::{Value, json};

use crate::scene::{HEADER, Scene, Service, rows};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// The page as a browser gets it.
fn html(service: &Service, path: &str) -> String {
    service.ask("GET", path, &[BROWSER], b"").ends_with(200).text().to_owned()
}

/// A live release, and a decision on new rows of which all ages moved.
fn decided() -> Scene {
    let scene = Scene::deployed(&json!({ "service": { "prediction_log_path": "log",
        "prediction_log_features": true } }));
    let moved: String = rows(300, 7, true)
        .lines()
        .skip(1)
        .map(|row| {
            let mut cells: Vec<String> = row.splitn(5, ',').map(str::to_owned).collect();
            if let Ok(age) = cells[1].parse::<u32>() {
                cells[1] = (age + 30).to_string();
            }
            cells.join(",") + "\n"
        })
        .collect();
    scene.file("in/b.csv", HEADER.to_owned() + &moved);
    let context = scene.context();
    let mut workspace: Workspace = context.open(Step::FullProcess).unwrap();
    let options = decide::Options::default();
    decide::run(&context, &mut workspace, options).unwrap();
    scene
}

#[test]
fn scores_and_decisions_are_shown_over_time_and_explained() {
    let scene = decided();
    let service = scene.serve();
    let json = service.get("/performance").ends_with(200).json();
    let points = json["points"].as_array().unwrap();
    let bases: Vec<&str> = points.iter().map(|p| p["basis"].as_str().unwrap()).collect();
    assert!(bases.contains(&"hold_out") && bases.contains(&"new_rows"), "{bases:?}");
    let decisions = json["decisions"]["items"].as_array().unwrap();
    assert_eq!((decisions.len(), json["decisions"]["total"].as_u64()), (1, Some(1)));
    let page = html(&service, "/performance");
    for point in points {
        let value = format!("{:.4}", point["value"].as_f64().unwrap());
        let low = format!("{:.4} to ", point["interval"]["low"].as_f64().unwrap());
        assert!(page.contains(&value) && page.contains(&low), "{value} {low}");
    }
    assert_eq!(page.matches("<svg").count(), 3, "the mark, the chart, and the chart for phones");
    let run = decisions[0]["run_id"].as_str().unwrap();
    let path = format!("/decisions/{run}");
    assert!(page.contains(&path), "{page}");
    let one = service.get(&path).ends_with(200).json();
    assert_eq!(one["outcome"], decisions[0]["outcome"]);
    assert_eq!(one["decision"]["data"]["folder"], "in", "no path of the machine");
    let words = html(&service, &path);
    let machine = scene.path("in").display().to_string();
    assert!(!words.contains(&machine) && !one.to_string().contains(&machine), "{words}");
    assert!(words.contains("Decision: ") && words.contains("fullprocess --explain"), "{words}");
    assert!(words.contains(&format!("/drift?run={run}")), "{words}");
    for (metric, expected) in [("recall", "recall"), ("roc_auc", "roc_auc"), ("none", "f1")] {
        let json = service.get(&format!("/performance?metric={metric}")).json();
        assert_eq!(json["metric"], expected);
        for point in json["points"].as_array().unwrap() {
            let (value, interval) = (point["value"].as_f64().unwrap(), &point["interval"]);
            assert!(interval["low"].as_f64().unwrap() <= value + 1e-12, "{point}");
            assert!(interval["high"].as_f64().unwrap() >= value - 1e-12, "{point}");
        }
    }
    service.get("/decisions/nothing").ends_with(404);
    assert_eq!(service.get("/performance?page=999").json()["decisions"]["items"], json!([]));
}

#[test]
fn drift_is_shown_column_by_column_what_drifted_first() {
    let scene = decided();
    let service = scene.serve();
    let json = service.get("/drift").ends_with(200).json();
    let drift = &json["compared"];
    let columns = drift["columns"]["items"].as_array().unwrap();
    assert_eq!((drift["total"].as_u64(), columns.len()), (Some(3), 3));
    assert_eq!(
        (columns[0]["column"].as_str(), columns[0]["drifted"].as_bool()),
        (Some("age"), Some(true))
    );
    for column in columns {
        let cells = column["cells"].as_array().unwrap();
        let sum = |k: usize| cells.iter().map(|cell| cell[k].as_u64().unwrap()).sum::<u64>();
        assert_eq!(
            (sum(1), sum(2)),
            (drift["reference_rows"].as_u64().unwrap(), drift["new_rows"].as_u64().unwrap())
        );
        let missing = cells.last().unwrap()[2].as_f64().unwrap() / sum(2) as f64;
        assert!((missing - column["missing_new"].as_f64().unwrap()).abs() < 1e-12);
    }
    let page = html(&service, "/drift");
    assert_eq!(page.matches("<figure").count(), 3);
    let chi = mlops_report::format::number(columns[0]["chi_square"]["value"].as_f64().unwrap());
    assert!(page.contains(&chi), "{chi}");
    for cell in columns[0]["cells"].as_array().unwrap() {
        assert!(page.contains(cell[0].as_str().unwrap()), "{cell}");
    }
    let found = service.get("/drift?column=BAL").json();
    let names: Vec<&Value> = found["compared"]["columns"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["column"])
        .collect();
    assert_eq!(names, ["balance"]);
    assert!(html(&service, "/drift?column=%3Cscript%3E").contains("value=\"&lt;script&gt;\""));
    let run = drift["run_id"].as_str().unwrap();
    assert_eq!(service.get(&format!("/drift?run={run}")).json(), json);
    service.get("/drift?run=nothing").ends_with(404);
}

#[test]
fn the_threshold_page_finds_what_costs_least_and_says_what_to_paste() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    let json = service.get("/threshold?false_positive=1&false_negative=5").ends_with(200).json();
    let figures = &json["figures"];
    let curve = figures["curve"].as_array().unwrap();
    let cost = |at: &Value| {
        at["counts"]["fp"].as_f64().unwrap() + 5.0 * at["counts"]["fn"].as_f64().unwrap()
    };
    let least = curve.iter().map(cost).fold(f64::MAX, f64::min);
    assert!((cost(&figures["cheapest"]) - least).abs() < 1e-9);
    assert!((figures["cheapest"]["cost"].as_f64().unwrap() - least).abs() < 1e-9);
    // The threshold in use has the counts of the recorded score.
    let recorded = service.get("/scoring").json();
    assert_eq!(figures["in_use"]["threshold"], recorded["threshold"]);
    assert_eq!(figures["in_use"]["counts"], recorded["confusion_matrix"]);
    let lines: Vec<&Value> =
        json["configuration"].as_array().unwrap().iter().map(|l| &l["line"]).collect();
    assert_eq!(
        lines[0],
        &json!({ "threshold": { "cost": { "false_positive": 1, "false_negative": 5 } } })
    );
    // Each line is one that the configuration takes.
    for line in &lines {
        let scene = Scene::empty(&json!({ "training": line }));
        let _ = scene.context();
    }
    let page = html(&service, "/threshold?false_positive=1&false_negative=5&threshold=0.3");
    assert!(page.contains("name=\"false_negative\"") && page.contains("value=\"5\""), "{page}");
    assert!(
        page.contains("Asked for")
            && page.contains("&quot;training&quot;: {&quot;threshold&quot;:"),
        "{page}"
    );
    assert_eq!(page.matches("<figure").count(), 3);
    for wrong in ["false_positive=-1", "false_negative=x", "threshold=NaN", "false_positive=inf"] {
        let refused =
            service.ask("GET", &format!("/threshold?{wrong}"), &[BROWSER], b"").ends_with(400);
        assert!(refused.text().contains("must be a number of at least 0"), "{}", refused.text());
    }
}

#[test]
fn a_past_prediction_is_found_by_each_of_its_ids_with_its_reasons() {
    let scene = decided();
    let service = scene.serve();
    let hostile = "<script>\"&' c";
    let row = json!({ "customer": hostile, "age": 71, "balance": 12.5, "country": "de" });
    let own = [("content-type", "application/json"), ("x-request-id", "request-7")];
    service.ask("POST", "/prediction", &own, row.to_string().as_bytes()).ends_with(200);
    let told = service.post("/prediction?explain=3", &row).ends_with(200).json();
    let by = |id: &str| {
        let id = id.bytes().fold(String::new(), |done, b| format!("{done}%{b:02x}"));
        format!("/predictions?id={id}")
    };
    // The log is written by a thread of its own.
    let mut json = Value::Null;
    for _ in 0..100 {
        json = service.get(&by(hostile)).ends_with(200).json();
        if json["found"].as_array().unwrap().len() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let found = json["found"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{json}");
    assert_eq!(found[1]["ids"], json!([["customer", hostile]]));
    let reasons = &json["shown"]["reasons"];
    let (probability, odds) =
        (told["probabilities"][0].as_f64().unwrap(), reasons["log_odds"].as_f64().unwrap());
    assert!((1.0 / (1.0 + (-odds).exp()) - probability).abs() < 1e-12, "{reasons}");
    let explained = &told["explanations"]["rows"][0]["contributions"];
    for (k, part) in reasons["contributions"].as_array().unwrap().iter().enumerate() {
        assert_eq!(part["column"], explained[k]["column"]);
        assert_eq!(part["contribution"], explained[k]["contribution"]);
    }
    let page = html(&service, &by(hostile));
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
    assert!(page.contains("What moved this prediction") && page.contains("age = 71"), "{page}");
    let request = service.get("/predictions?id=request-7").json();
    assert_eq!(request["found"].as_array().unwrap().len(), 1);
    let place = found[1]["place"].as_str().unwrap();
    let chosen = service.get(&format!("{}&at={place}", by(hostile))).json();
    assert_eq!(chosen["shown"]["place"], place);
    assert_eq!(service.get("/predictions?id=nobody").json()["found"], json!([]));
    assert!(html(&service, "/predictions?id=nobody").contains("no prediction with this id"));
    service.get("/predictions?id=x&from=..%2F..%2Fetc%2Fpasswd:9").ends_with(200);
}

#[test]
fn a_row_of_the_data_is_found_by_its_ids_with_what_the_live_model_says_of_it() {
    let scene = decided();
    let service = scene.serve();
    let text = rows(300, 7, true);
    let full = |line: &&str| {
        line.split(',').all(|cell| !cell.is_empty() && cell != "NA" && cell != "unseen")
    };
    let line = text.lines().skip(1).find(|line| full(line) && !line.contains('"')).unwrap();
    let cells: Vec<&str> = line.split(',').collect();
    let found =
        service.get(&format!("/predictions?row.customer={}", cells[0])).ends_with(200).json();
    let found = &found["rows"];
    assert_eq!(found["columns"], json!(["customer", "age", "balance", "country", "churned"]));
    let [row] = &found["rows"].as_array().unwrap()[..] else { panic!("{found}") };
    // All ages of this file were moved.
    let age: u32 = cells[1].parse::<u32>().unwrap() + 30;
    assert_eq!((&row[0], &row[1]), (&json!(cells[0]), &json!(age.to_string())), "{found}");
    let asked = json!({ "age": age, "balance": cells[2], "country": cells[3] });
    let told = service.post("/prediction?explain=3", &asked).ends_with(200).json();
    let prediction = &found["shown"]["prediction"];
    assert_eq!(prediction["probability"], told["probabilities"][0]);
    let explained = &told["explanations"]["rows"][0]["contributions"];
    let parts = prediction["reasons"]["contributions"].as_array().unwrap();
    assert_eq!(parts.len(), 3);
    for (part, explained) in parts.iter().zip(explained.as_array().unwrap()) {
        assert_eq!(part["column"], explained["column"]);
        assert_eq!(part["contribution"], explained["contribution"]);
    }
    let page = html(&service, &format!("/predictions?row.customer={}", cells[0]));
    assert!(page.contains("Row of the data") && page.contains(&format!("age = {age}")), "{page}");
    assert!(page.contains("<svg") && page.contains("All cells of the row"), "{page}");
    // The first data set lacks it, and others are told apart from what is not there.
    let before = service.get(&format!("/predictions?row.customer={}&data=1", cells[0])).json();
    assert_eq!((&before["rows"]["dataset"], &before["rows"]["rows"]), (&json!(1), &json!([])));
    assert!(
        html(&service, "/predictions?row.customer=nobody").contains("No row of finaldata2.csv")
    );
    let gone = service.get("/predictions?row.customer=x&data=99").ends_with(200).json();
    assert_eq!(gone["rows"]["file"], Value::Null);
    service.get("/predictions?row.nothing=x").ends_with(400);
    let hostile = html(&service, "/predictions?row.customer=%3Cscript%3E");
    assert!(hostile.contains("&lt;script&gt;") && !hostile.contains("<script>"));
    assert_eq!(service.get("/predictions").json()["rows"], Value::Null);
}

#[test]
fn missing_cells_are_shown_by_column_and_run() {
    let scene = decided();
    let service = scene.serve();
    let json = service.get("/runs").ends_with(200).json();
    let runs = json["missing"]["runs"].as_array().unwrap();
    let counts: Vec<u64> = runs.iter().map(|run| run["dataset"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 1], "{json}");
    let text = rows(300, 7, true);
    let holes = |c: usize| {
        text.lines().skip(1).filter(|l| ["", "NA"].contains(&l.split(',').nth(c).unwrap())).count()
    };
    for (c, name) in [(1, "age"), (2, "balance")] {
        let columns = json["missing"]["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["column"] == name).unwrap();
        let share = holes(c) as f64 / 300.0;
        assert!((column["shares"][0].as_f64().unwrap() - share).abs() < 1e-12, "{column} {share}");
        assert_eq!(column["shares"][1], 0.0, "the first file has no holes");
    }
    let page = html(&service, "/runs");
    assert!(page.contains("Missing data over time") && page.contains("300 rows"), "{page}");
    let run = runs[0]["run_id"].as_str().unwrap();
    assert!(page.contains(&format!("/runs/{run}")), "{page}");
    assert!(html(&service, "/runs?missing=all").contains("country"));
    assert!(!html(&service, "/runs?page=2").contains("Missing data over time"));
}

#[test]
fn without_a_log_or_features_the_page_says_what_to_set() {
    let scene = Scene::deployed(&json!({}));
    let service = scene.serve();
    assert!(html(&service, "/predictions").contains("service.prediction_log_path"));
    drop(service);
    let scene = Scene::deployed(&json!({ "service": { "prediction_log_path": "log" } }));
    let service = scene.serve();
    service.post(
        "/prediction",
        &json!({ "customer": "c1", "age": 41, "balance": 1, "country": "de" }),
    );
    for _ in 0..100 {
        if html(&service, "/predictions?id=c1").contains("service.prediction_log_features") {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{}", html(&service, "/predictions?id=c1"));
}

#[test]
fn the_playground_predicts_as_the_service_does_and_records_nothing() {
    let scene = decided();
    let service = scene.serve();
    let empty = service.get("/playground").ends_with(200).json();
    let names: Vec<&Value> =
        empty["fields"].as_array().unwrap().iter().map(|f| &f["column"]).collect();
    assert_eq!(names, ["age", "balance", "country"]);
    assert_eq!(empty["prediction"], Value::Null);
    assert!(
        empty["fields"][0]["value"].as_str().unwrap().parse::<f64>().is_ok(),
        "a typical value"
    );
    assert_eq!(empty["fields"][2]["levels"], json!(["de", "es", "fr"]));
    let before = service.get("/metrics").text().to_owned();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let play = |body: &str, headers: &[(&str, &str)]| {
        service
            .ask("POST", "/playground", &[&form[..], headers].concat(), body.as_bytes())
            .ends_with(200)
    };
    let body = "column.age=71&column.balance=12.5&column.country=de";
    let json = play(body, &[]).json();
    let row = json!({ "age": 71, "balance": 12.5, "country": "de" });
    let told = service.post("/prediction", &row).json();
    assert_eq!(json["prediction"]["probability"], told["probabilities"][0]);
    assert_eq!(json["prediction"]["label"], told["predictions"][0]);
    assert_eq!(json["prediction"]["reasons"]["contributions"].as_array().unwrap().len(), 3);
    let page = play(body, &[BROWSER]);
    assert!(
        page.text().contains("age = 71") && page.text().contains("value=\"71\""),
        "{}",
        page.text()
    );
    // A missing value is filled as in a request; a wrong one is told by its column.
    let missing = play("column.age=&column.balance=&column.country=unseen", &[]).json();
    let told = service
        .post("/prediction", &json!({ "age": null, "balance": null, "country": "unseen" }))
        .json();
    assert_eq!(missing["prediction"]["probability"], told["probabilities"][0]);
    assert_eq!(missing["prediction"]["unknown_categories"], 1);
    let wrong = play("column.age=%3Cb%3Eold&column.balance=1&column.country=de", &[BROWSER]);
    assert!(
        wrong.text().contains("cannot be predicted") && !wrong.text().contains("<b>old"),
        "{}",
        wrong.text()
    );
    assert!(wrong.text().contains("aria-invalid=\"true\""));
    // Two predictions were asked for, and five rows were tried.
    let counted = |text: &str| -> f64 {
        let lines = text.lines().filter(|l| l.starts_with("mlops_predictions_total"));
        lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let after = service.get("/metrics").text().to_owned();
    assert!((counted(&after) - counted(&before) - 2.0).abs() < 1e-9, "{after}");
    service.ended();
    let logged: usize = std::fs::read_dir(scene.path("log"))
        .unwrap()
        .map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap().lines().count())
        .sum();
    assert_eq!(logged, 2);
}

#[test]
#[ignore = "serves for people: MLOPS_LOOK=file, which gets the address; ends when the file is removed"]
fn the_pages_can_be_looked_at() {
    let Ok(file) = std::env::var("MLOPS_LOOK") else { return };
    let scene = decided();
    for n in 0..9 {
        scene.file(&format!("in/c{n}.csv"), rows(250, 40 + n, n % 2 == 0));
        let context = scene.context();
        let mut workspace = context.open(Step::FullProcess).unwrap();
        decide::run(
            &context,
            &mut workspace,
            decide::Options { force: n == 5, ..Default::default() },
        )
        .unwrap();
    }
    scene.diagnose(None, None);
    let service = scene.serve();
    for id in ["c-1007", "c-1008"] {
        let row = json!({ "customer": id, "age": 71, "balance": 12.5, "country": "de" });
        service.post("/prediction", &row).ends_with(200);
    }
    std::fs::write(&file, service.address.to_string()).unwrap();
    for _ in 0..1200 {
        if !std::path::Path::new(&file).exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
