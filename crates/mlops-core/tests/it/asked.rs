//! What is asked of the live release, by the log of predictions: scores to expect, drift, and what a challenger would
//! have answered. Not for how often estimates hold: see the tests of `metrics`.

use std::fmt::Write as _;

use mlops_core::evaluation::metrics::ConfusionMatrix;
use mlops_core::evaluation::refusal::{Compared, Refusal};
use mlops_core::ids::{DecisionOutcome, FindingKind, Severity, Step};
use mlops_core::model::Predictor;
use mlops_core::run::asked::{Against, Asked, Outlook, headline};
use mlops_core::run::attention::Finding;
use mlops_core::stage::outcomes::{self, Reach};
use mlops_core::stage::prometheus::Figures;
use mlops_core::stage::{asked, diagnose, views};
use mlops_core::table::Table;
use mlops_testkit::{Scene, sample_rows};
use serde_json::{Value, json};

use crate::decision::{decide, turned};

/// A live release with a log of predictions.
fn live(features: bool) -> Scene {
    let scene = Scene::with(&json!({
        "source_folder_path": "source", "holdout": {"share": 0.25}, "labels": {"path": "labels"},
        "service": {"prediction_log_path": "log", "prediction_log_features": features}
    }));
    scene.rows("in/a.csv", &sample_rows(2_000, 1));
    scene.rows("test/testdata.csv", &sample_rows(800, 2));
    scene.everything().unwrap();
    std::fs::create_dir(scene.path("source")).unwrap();
    scene
}

/// Asks for `rows` on a day, as the service would log it; returns how the answers turned out.
fn ask(scene: &Scene, rows: &str, day: &str, features: bool) -> ConfusionMatrix {
    let release = scene.context().unwrap().store().live_release().unwrap();
    let names = ["lastmonth_activity", "lastyear_activity", "number_of_employees"];
    let mut table = Table::new(&release.model.schema);
    let mut labels = Vec::new();
    let mut lines = Vec::new();
    for row in rows.lines() {
        let cells: Vec<&str> = row.split(',').collect();
        let numbers: Vec<f64> = cells[1..4].iter().map(|cell| cell.parse().unwrap()).collect();
        table.push_values(&numbers.iter().map(|x| Some(*x)).collect::<Vec<_>>(), &[]);
        labels.push(cells[4] == "1");
        let values: serde_json::Map<String, Value> =
            names.iter().zip(&numbers).map(|(name, x)| ((*name).to_owned(), json!(x))).collect();
        lines.push((cells[0].to_owned(), Value::from(values)));
    }
    let answers = Predictor::new(&release.model).predict(&table).rows;
    let mut text = String::new();
    let mut pairs = Vec::new();
    for (i, ((id, values), label)) in lines.iter().zip(labels).enumerate() {
        let answer = answers[i].unwrap();
        pairs.push((label, answer.positive));
        let _ = write!(
            text,
            "{{\"recorded\":\"{day}T12:00:00.000Z\",\"request_id\":\"q\",\"row\":{i},\"model_version\":\"{}\",\
             \"prediction\":{},\"probability\":{},\"corporation\":\"{id}\"",
            release.id,
            u8::from(answer.positive),
            answer.probability
        );
        if features {
            let _ = write!(text, ",\"features\":{values}");
        }
        text.push_str("}\n");
    }
    let name = format!("log/predictions-{}T120000000000Z.jsonl", day.replace('-', ""));
    scene.file(&name, text);
    ConfusionMatrix::from_pairs(pairs)
}

fn look(scene: &Scene) -> Option<Asked> {
    let options = diagnose::Options::default();
    let found = scene
        .step(Step::Diagnostics, |context, workspace| diagnose::run(context, workspace, &options))
        .unwrap();
    found.asked
}

/// What Prometheus gets of what is asked.
fn gauges(scene: &Scene) -> String {
    let id = scene.context().unwrap().store().live().unwrap().unwrap();
    let text = Figures::read(&scene.ledger(), Some((id, 0.5))).unwrap().prometheus();
    text.lines()
        .filter(|line| line.starts_with("mlops_asked") || line.contains("_estimated_"))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_scores_to_expect_hold_and_rows_like_the_training_rows_have_not_drifted() {
    let scene = live(true);
    let outcomes = [
        ask(&scene, &sample_rows(900, 11), "2033-05-10", true),
        ask(&scene, &sample_rows(700, 12), "2033-05-17", true),
    ];
    let asked = look(&scene).unwrap();
    assert_eq!((asked.windows.len(), asked.strange), (2, 0));
    for (window, outcome) in asked.windows.iter().zip(outcomes) {
        let estimate = window.outlook.estimate().unwrap_or_else(|| panic!("{asked}"));
        assert_eq!((window.rows, estimate.rows), (outcome.n(), outcome.n()));
        assert_eq!(window.against, Against::TrainingRows);
        assert_eq!((window.drift.columns.len(), window.drift.reference_rows), (3, 2_000));
        assert_eq!(window.drifted().count(), 0, "{asked}");
        let f1 = estimate.f1;
        assert!(f1.interval.low <= outcome.f1() && outcome.f1() <= f1.interval.high, "{asked}");
        assert!(f1.interval.high - f1.interval.low < 0.2, "{asked}");
    }
    let text = asked.to_string();
    assert!(text.contains("2033-05-16 to 2033-05-22: 700 rows, "), "{text}");
    assert!(text.contains("expected: F1 0."), "{text}");
    let gauges = gauges(&scene);
    for name in ["estimated_f1{", "estimated_f1_lower{", "estimated_f1_upper{"] {
        assert!(gauges.contains(&format!("mlops_model_{name}")), "{gauges}");
    }
    assert!(gauges.contains("mlops_asked_drift{"), "{gauges}");
    // What is on record can be read back, and stays as it is when a file of the log is gone.
    let history = |scene: &Scene| asked::history(&scene.ledger(), 100).unwrap();
    let windows: Vec<_> = history(&scene).into_iter().map(|(_, window)| window).collect();
    assert_eq!(windows, asked.windows);
    std::fs::remove_file(scene.path("log/predictions-20330510T120000000000Z.jsonl")).unwrap();
    assert_eq!(look(&scene).unwrap().windows, asked.windows);
    assert_eq!(history(&scene).len(), 2);
}

#[test]
fn rows_that_left_the_training_rows_are_refused_and_tell_no_score() {
    let scene = live(true);
    let moved: String = sample_rows(900, 11)
        .lines()
        .map(|row| {
            let cells: Vec<&str> = row.split(',').collect();
            let up = cells[3].parse::<u64>().unwrap() + 30;
            format!("{},{},{},{up},{}\n", cells[0], cells[1], cells[2], cells[4])
        })
        .collect();
    ask(&scene, &moved, "2033-05-10", true);
    let asked = look(&scene).unwrap();
    let window = headline(&asked.windows).unwrap();
    assert!(window.drifted().eq(["number_of_employees"]), "{asked}");
    let Outlook::Refused(Refusal::Outside { of, .. }) = &window.outlook else { panic!("{asked}") };
    assert_eq!(*of, Compared::Column("number_of_employees".to_owned()));
    assert!(asked.to_string().contains("no scores are estimated: the rows left the reference"));
    let gauges = gauges(&scene);
    assert!(!gauges.contains("estimated") && gauges.contains("mlops_asked_drift{"), "{gauges}");
    // The history of findings has it from a run of `fullprocess` on, also without new rows with labels.
    let told = |scene: &Scene| {
        let of_asked = |finding: &Finding| finding.kind == FindingKind::AskedDrift;
        decide(scene).drifts().into_iter().filter(of_asked).collect::<Vec<_>>()
    };
    let found = told(&scene);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].subjects, ["number_of_employees"]);
    assert_eq!(found[0].severity, Severity::Warning);
    assert!(
        found[0].text.starts_with(
            "the rows that were asked from 2033-05-09 on: \"number_of_employees\": drifted"
        ),
        "{found:?}"
    );
    let view = views::asked::newest(&scene.ledger()).unwrap();
    let [listed] = &view.windows[..] else { panic!("{view:?}") };
    assert_eq!((listed.rows, listed.drifted, listed.total), (900, 1, 3));
    assert_eq!(listed.named, ["number_of_employees"]);
    let of = |from: &str, wanted| {
        let place = (&listed.release, from.parse().unwrap());
        views::asked::of(&scene.ledger(), place, wanted, 1).unwrap()
    };
    let shown = of("2033-05-09", "").unwrap().shown.unwrap();
    assert_eq!(shown.columns.items[0].column, "number_of_employees", "what drifted comes first");
    assert_eq!((shown.columns.total, shown.reference_rows, shown.compared_rows), (3, 2_000, 900));
    assert!(
        shown.columns.items.iter().all(|column| !column.cells.is_empty()),
        "both distributions"
    );
    assert_eq!(of("2033-05-09", "YEAR").unwrap().shown.unwrap().columns.total, 1);
    assert!(of("2033-05-10", "").is_none());
    // A week like the training rows ends it.
    ask(&scene, &sample_rows(900, 12), "2033-05-17", true);
    assert!(told(&scene).is_empty());
    let view = views::asked::newest(&scene.ledger()).unwrap();
    assert_eq!(view.windows.iter().map(|window| window.drifted).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn without_features_the_probabilities_are_compared_and_a_young_window_waits() {
    let scene = live(false);
    ask(&scene, &sample_rows(900, 11), "2033-05-10", false);
    ask(&scene, &sample_rows(20, 12), "2033-05-17", false);
    let asked = look(&scene).unwrap();
    let [full, young] = &asked.windows[..] else { panic!("{asked}") };
    assert_eq!((full.against, full.drift.columns.len()), (Against::TestProbabilities, 1));
    assert_eq!(full.drift.columns[0].column, "probability");
    assert!(!full.drift.data_drift && full.outlook.estimate().is_some(), "{asked}");
    let few = Outlook::Refused(Refusal::FewAnswered { rows: 20, smallest: 0.0, least: 30 });
    assert_eq!(std::mem::discriminant(&young.outlook), std::mem::discriminant(&few));
    assert_eq!(headline(&asked.windows), Some(full));
    // Rows that score high are more frequent.
    let high: String = sample_rows(3_000, 13)
        .lines()
        .filter(|row| row.split(',').nth(1).unwrap().parse::<u64>().unwrap() > 30)
        .fold(String::new(), |text, row| text + row + "\n");
    ask(&scene, &high, "2033-05-24", false);
    let asked = look(&scene).unwrap();
    let window = asked.windows.last().unwrap();
    assert!(window.drift.data_drift && window.outlook.estimate().is_some(), "{asked}");
    assert!(asked.to_string().contains("the probabilities drifted against those of the test rows"));
}

#[test]
fn without_a_log_nothing_is_said() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(300, 1));
    scene.rows("test/testdata.csv", &sample_rows(120, 2));
    scene.everything().unwrap();
    assert!(look(&scene).is_none());
    assert!(scene.json("model/diagnostics.json").get("asked").is_none());
    assert!(gauges(&scene).is_empty());
}

#[test]
fn a_decision_tells_what_was_asked_and_what_the_challenger_would_have_answered() {
    let scene = live(true);
    ask(&scene, &sample_rows(900, 11), "2033-05-10", true);
    // Without new rows nothing is decided, but still told.
    let quiet = decide(&scene);
    assert_eq!(quiet.outcome, DecisionOutcome::NothingNew, "{quiet}");
    assert!(quiet.asked.is_some_and(|asked| asked.outlook.estimate().is_some()));
    let outcomes: String = turned(900, 11)
        .lines()
        .take(300)
        .map(|row| format!("{},{}\n", &row[..row.find(',').unwrap()], &row[row.len() - 1..]))
        .collect();
    scene.file("labels/a.csv", "corporation,exited\n".to_owned() + &outcomes);
    scene
        .step(Step::Outcomes, |context, workspace| outcomes::run(context, workspace, Reach::Here))
        .unwrap();
    scene.rows("source/b.csv", &turned(6_000, 3));
    let decision = decide(&scene);
    assert_eq!(decision.outcome, DecisionOutcome::Promoted, "{decision}");
    let asked = decision.asked.as_ref().unwrap();
    assert_eq!(asked.rows, 900);
    // Labels tell more than probabilities.
    let Outlook::Refused(Refusal::ModelDrifted { f1, .. }) = asked.outlook else {
        panic!("{decision}")
    };
    assert!(f1 < 0.4, "{f1}");
    // The labels of the new rows say the opposite.
    let replay = decision.replay.as_ref().unwrap();
    assert_eq!((replay.rows, replay.without_features), (900, 0));
    assert!(replay.changed() > 0.3 && replay.mean_distance > 0.1, "{replay:?}");
    let known = replay.labelled.as_ref().unwrap();
    assert_eq!((known.rows, known.trained_on), (300, false));
    assert!(known.champion_f1 < 0.4 && known.challenger_f1 > 0.6, "{known:?}");
    assert!(known.interval.low > 0.2 && known.interval.low < known.difference, "{known:?}");
    let text = decision.to_string();
    assert!(
        text.contains("  The labels of 300 of them are known: F1 of the live release 0."),
        "{text}"
    );
    assert!(text.contains("Asked 2033-05-09 to 2033-05-15: 900 rows"), "{text}");
    assert!(text.contains("Replay of 900 rows of the prediction log"), "{text}");
    let path = format!("out/decisions/{}.json", decision.run_id);
    assert_eq!(scene.json(&path)["replay"]["rows"], 900);
    // After the promotion the old answers are no more about the live release.
    assert!(look(&scene).is_none());
}
