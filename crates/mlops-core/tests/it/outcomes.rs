//! Labels that come later: joined to logged predictions as a naive model joins them, whatever the
//! order, the kills and the torn lines.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use mlops_core::Result;
use mlops_core::evaluation::metrics::{Evaluation, classify};
use mlops_core::ids::{ReleaseId, Step};
use mlops_core::outcomes::{OfWindow, Outcomes};
use mlops_core::platform::clock::rfc3339;
use mlops_core::platform::disk::Disk;
use mlops_core::prediction_log::{Answer, Feature, LineWriter, Request, Want};
use mlops_core::run::context::Report;
use mlops_core::stage::outcomes::{self, Joined, Reach};
use mlops_core::stage::{diagnose, forget};
use mlops_core::table::TextColumn;
use mlops_testkit::folder::files;
use mlops_testkit::{Dead, Fault, HEADER, Random, Scene, repetitions, sample_rows};
use serde_json::{Value, json};

const EIO: i32 = 5;
pub(crate) const LOG: &str = "log/predictions-20320101T000000000000Z.jsonl";
const SECOND_LOG: &str = "log/predictions-2-20320101T000000000000Z.jsonl";
/// 2032-01-01.
const BEGIN: i64 = 1_956_528_000_000;
const HOUR: i64 = 3_600_000;

/// A workspace that logs predictions and joins labels, with the keys of `labels`.
fn scene(labels: &Value) -> Scene {
    let mut section = json!({"path": "labels"});
    for (key, value) in labels.as_object().unwrap() {
        section[key] = value.clone();
    }
    let scene = Scene::with(&json!({
        "service": {"prediction_log_path": "log"}, "labels": section,
    }));
    std::fs::create_dir(scene.path("labels")).unwrap();
    std::fs::create_dir(scene.path("log")).unwrap();
    scene
}

pub(crate) fn join(scene: &Scene) -> Result<Joined> {
    scene.step(Step::Outcomes, |context, workspace| outcomes::run(context, workspace, Reach::Fetch))
}

fn release(number: usize) -> ReleaseId {
    format!("r-{number}-0123456789ab").parse().unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct Prediction {
    at: i64,
    key: String,
    release: usize,
    probability: f64,
}

impl Prediction {
    fn random(random: &mut Random) -> Self {
        Self {
            at: BEGIN + below(random, 80 * 24) * HOUR + below(random, 1000),
            key: format!("c{}", random.below(12)),
            release: 1 + random.below(2),
            probability: random.below(20) as f64 / 20.0,
        }
    }

    fn line(&self, request: usize, config: &mlops_core::Config) -> String {
        let labels = ["1", "0"].map(str::to_owned);
        let writer = LineWriter::new(&release(self.release), &config.schema, labels);
        let at = rfc3339(DateTime::<Utc>::from_timestamp_millis(self.at).unwrap());
        let id = format!("r{request}");
        let request = Request { at: &at, id: &id, inference_id: None };
        let (mut out, mut ids) = (Vec::new(), TextColumn::default());
        ids.push(&self.key);
        let positive = classify(self.probability, 0.5);
        let answer = Answer { row: 0, positive, probability: self.probability };
        writer.head(request).line(&mut out, answer, 0, &[ids], None);
        String::from_utf8(out).unwrap()
    }
}

/// A label: its key, the time until which predictions have it, and its value.
type Label = (String, Option<i64>, bool);
/// Predictions of a release in a month, each with its label if that is known.
type Group<'a> = Vec<(&'a Prediction, Option<bool>)>;

fn below(random: &mut Random, end: usize) -> i64 {
    i64::try_from(random.below(end)).unwrap()
}

/// What should come out, by release and month, the obvious way.
fn naive(predictions: &[Prediction], labels: &[Label]) -> BTreeMap<(String, String), Value> {
    let mut groups: BTreeMap<(String, String), Group<'_>> = BTreeMap::new();
    for prediction in predictions {
        let mut found: Vec<_> = labels
            .iter()
            .enumerate()
            .filter(|(_, (key, ..))| *key == prediction.key)
            .filter(|(_, (_, time, _))| time.is_none_or(|time| time >= prediction.at))
            .collect();
        found.sort_by_key(|(n, (_, time, _))| (time.unwrap_or(i64::MAX), *n));
        let label = found.last().map(|(_, (.., value))| *value);
        let at = DateTime::<Utc>::from_timestamp_millis(prediction.at).unwrap();
        let month = at.format("%Y-%m-01").to_string();
        let group = (release(prediction.release).to_string(), month);
        groups.entry(group).or_default().push((prediction, label));
    }
    let figures = |rows: Vec<(&Prediction, Option<bool>)>| {
        let known: Vec<_> = rows.iter().filter_map(|(p, l)| Some((p.probability, (*l)?))).collect();
        let (probabilities, truth): (Vec<f64>, Vec<bool>) = known.iter().copied().unzip();
        let all = Evaluation::of(&truth, &probabilities, 0.5).ok();
        json!({
            "predicted": rows.len(), "labelled": known.len(),
            "f1": all.as_ref().map(|e| e.f1), "interval": all.as_ref().map(|e| e.f1_interval),
            "precision": all.as_ref().map(|e| e.precision), "recall": all.as_ref().map(|e| e.recall),
            "roc_auc": all.as_ref().and_then(|e| e.roc_auc.map(|a| format!("{a:.12}"))),
            "area": all.as_ref().and_then(|e| e.roc_auc_interval.map(|a| format!("{:.9}", a.low))),
            "constant": all.as_ref().map(|e| e.constant),
        })
    };
    groups.into_iter().map(|(group, rows)| (group, figures(rows))).collect()
}

/// The same of the view.
fn seen(outcomes: &Outcomes) -> BTreeMap<(String, String), Value> {
    let figures = |window: &OfWindow| {
        let (realised, scores) = (&window.realised, &window.realised.scores);
        json!({
            "predicted": realised.predicted, "labelled": realised.labelled,
            "f1": scores.map(|s| s.f1), "interval": scores.map(|s| s.f1_interval),
            "precision": scores.map(|s| s.precision), "recall": scores.map(|s| s.recall),
            "roc_auc": scores.and_then(|s| s.roc_auc.map(|a| format!("{a:.12}"))),
            "area": scores.and_then(|s| s.roc_auc_interval.map(|a| format!("{:.9}", a.low))),
            "constant": scores.map(|s| s.constant),
        })
    };
    let windows = outcomes.releases.iter().flat_map(|of| {
        of.windows
            .iter()
            .map(move |window| ((of.release.to_string(), window.start.clone()), figures(window)))
    });
    windows.collect()
}

/// A random history: lines and labels arrive, lines are torn, files rotate away, runs are killed.
fn history(seed: u64, has_times: bool) {
    let random = &mut Random(seed);
    let more = if has_times {
        json!({"time": "known", "window": "month"})
    } else {
        json!({"window": "month"})
    };
    let mut scene = scene(&more);
    let config = scene.context().unwrap().config;
    let (mut predictions, mut labels): (Vec<Prediction>, Vec<Label>) = Default::default();
    let (mut logs, mut files) =
        (BTreeMap::<&str, String>::new(), BTreeMap::<String, String>::new());
    let (mut moments, mut doubled, mut strange) = (BTreeSet::new(), 0, 0);
    for round in 0..8 {
        for _ in 0..random.below(20) {
            let new = Prediction::random(random);
            let text = logs.entry(if random.below(3) == 0 { SECOND_LOG } else { LOG }).or_default();
            if !text.is_empty() && random.below(8) == 0 {
                // A torn line, ended by the writer before the next one.
                let torn = new.line(9999, &config);
                text.push_str(&torn[..10 + random.below(torn.len() - 20)]);
                text.push('\n');
                strange += 1;
            }
            text.push_str(&new.line(predictions.len(), &config));
            predictions.push(new);
        }
        for _ in 0..random.below(12) {
            let key = format!("c{}", random.below(15));
            let value = random.below(2) == 1;
            let name = if has_times {
                format!("labels/{}.csv", random.below(3))
            } else {
                "labels/a.csv".to_owned()
            };
            let header =
                if has_times { "corporation,known,exited\n" } else { "corporation,exited\n" };
            let text = files.entry(name).or_insert_with(|| header.to_owned());
            let value_text = u8::from(value);
            if has_times {
                let at = BEGIN + below(random, 100 * 24) * HOUR;
                // Two labels of one moment have no order that files could tell.
                if !moments.insert((key.clone(), at)) {
                    continue;
                }
                let known = DateTime::<Utc>::from_timestamp_millis(at).unwrap();
                let known = known.format("%Y-%m-%dT%H:%M:%S");
                text.push_str(&format!("{key},{known},{value_text}\n"));
                labels.push((key, Some(at + 999), value));
            } else {
                text.push_str(&format!("{key},{value_text}\n"));
                let before = labels.iter().rev().find(|(other, ..)| *other == key);
                doubled += u64::from(before.is_some_and(|(.., before)| *before == value));
                labels.push((key, None, value));
            }
        }
        for (name, text) in &logs {
            // What is being written may end anywhere.
            let torn = format!(
                "{text}{}",
                &predictions
                    .first()
                    .map_or(String::new(), |p| p.line(1, &config))
                    .get(..20)
                    .unwrap_or_default()
            );
            scene.file(name, if random.below(2) == 0 { text.clone() } else { torn });
        }
        for (name, text) in &files {
            scene.file(name, text);
        }
        // A run that is killed or meets an error at some step, perhaps several.
        for _ in 0..random.below(3) {
            let at = random.below(25);
            scene.disk =
                if random.below(2) == 0 { Dead::from(at) } else { Fault::error(at, EIO).disk() };
            drop(join(&scene));
            scene.disk = Disk::default();
        }
        let joined = join(&scene).unwrap();
        let what = format!("seed {seed}, has_times {has_times}, round {round}");
        assert_eq!(seen(&joined.outcomes), naive(&predictions, &labels), "{what}");
        let view = outcomes::newest(&scene.ledger()).unwrap().unwrap();
        assert_eq!(seen(&view), seen(&joined.outcomes), "{what}");
        let unknown = labels.iter().filter(|(key, time, _)| {
            let own = |p: &&Prediction| p.key == *key && time.is_none_or(|time| p.at <= time);
            !predictions.iter().any(|p| own(&p))
        });
        if has_times {
            assert_eq!(joined.outcomes.labels.unknown, unknown.count() as u64, "{what}");
        } else {
            assert_eq!(joined.outcomes.labels.doubled, doubled, "{what}");
        }
        assert_eq!(joined.outcomes.log.strange, strange, "{what}");
        let again = join(&scene).unwrap();
        assert_eq!((again.new_predictions, again.new_labels), (0, 0), "{what}");
        if random.below(4) == 0 {
            // Rotated away, and a new file under another name would follow; here the name comes back.
            if let Some(text) = logs.get_mut(SECOND_LOG) {
                std::fs::remove_file(scene.path(SECOND_LOG)).unwrap();
                join(&scene).unwrap();
                scene.file(SECOND_LOG, &*text);
            }
        }
    }
}

#[test]
fn random_histories_end_as_a_naive_model_has_them() {
    for seed in 0..repetitions(6, 200) {
        history(seed, true);
        history(seed, false);
    }
}

/// Each run reads what is new, however much is known.
#[test]
fn many_predictions_are_read_once() {
    let scene = scene(&json!({}));
    let config = scene.context().unwrap().config;
    let rows = usize::try_from(repetitions(5_000, 1_000_000)).unwrap();
    let random = &mut Random(7);
    let (mut lines, mut labels) = (String::new(), "corporation,exited\n".to_owned());
    for i in 0..rows {
        let new = Prediction { key: format!("c{i}"), ..Prediction::random(random) };
        lines.push_str(&new.line(i, &config));
        labels.push_str(&format!("c{i},{}\n", random.below(2)));
    }
    scene.file(LOG, &lines);
    scene.file("labels/a.csv", &labels);
    let first = join(&scene).unwrap();
    assert_eq!((first.new_predictions, first.new_labels), (rows as u64, rows as u64));
    assert_eq!(first.outcomes.releases.iter().map(|r| r.total.labelled).sum::<u64>(), rows as u64);
    let one = Prediction { key: "new".to_owned(), ..Prediction::random(random) };
    scene.file(LOG, lines + &one.line(rows, &config));
    scene.file("labels/a.csv", labels + "new,1\n");
    let next = join(&scene).unwrap();
    assert_eq!((next.new_predictions, next.new_labels), (1, 1));
    assert_eq!(next.outcomes.log.predictions, rows as u64 + 1);
    assert_eq!(next.outcomes.labels.doubled, 0);
}

pub(crate) fn prediction(key: &str, hours: i64, probability: f64) -> Prediction {
    Prediction { at: BEGIN + hours * HOUR, key: key.to_owned(), release: 1, probability }
}

pub(crate) fn log(scene: &Scene, name: &str, predictions: &[Prediction]) {
    let config = scene.context().unwrap().config;
    let lines = predictions.iter().enumerate().map(|(i, p)| p.line(i, &config));
    scene.file(name, lines.collect::<String>());
}

#[test]
fn doubled_changed_and_unknown_labels_are_counted_and_the_latest_wins() {
    let scene = scene(&json!({}));
    log(&scene, LOG, &[prediction("a", 0, 0.9), prediction("b", 1, 0.2), prediction("", 2, 0.2)]);
    scene.file("labels/1.csv", "corporation,exited\na,1\na,1\nb,1\nz,0\n,1\nb,maybe\n");
    let first = join(&scene).unwrap();
    let Outcomes { labels, log: logged, .. } = &first.outcomes;
    assert_eq!((labels.kept, labels.unknown, labels.doubled, labels.changed), (3, 1, 1, 0));
    assert_eq!((labels.without_key, labels.unreadable, logged.without_key), (1, 1, 1));
    // When the file is read, an example is told, and always how many there are.
    let said = |joined: &Joined| joined.findings().into_iter().map(|f| f.text).collect::<Vec<_>>();
    let of_file = |text: &&String| text.starts_with("labels: 1.csv: 1 row cannot be read");
    let told = said(&first);
    let told = told.iter().find(of_file).unwrap_or_else(|| panic!("{told:?}"));
    assert!(told.contains("line 7") && told.contains("maybe"), "{told}");
    let count = |text: &String| text.starts_with("1 row of labels could not be read");
    assert!(said(&first).iter().any(count), "{:?}", said(&first));
    let unnamed =
        |text: &String| text.starts_with("1 row of labels does not say whose label it is");
    assert!(said(&first).iter().any(unnamed), "{:?}", said(&first));
    let scores = |joined: &Joined| joined.outcomes.releases[0].total.scores.unwrap();
    assert_eq!(scores(&first).confusion_matrix.tp, 1);
    // Another file says the same of a, something else of b; the first is written anew without change.
    scene.file("labels/2.csv", "corporation,exited\na,1\nb,0\n");
    let second = join(&scene).unwrap();
    let labels = &second.outcomes.labels;
    assert_eq!((labels.kept, labels.doubled, labels.changed), (5, 2, 1));
    assert_eq!(scores(&second).confusion_matrix.tn, 1);
    // The first file is sorted anew: nothing in it is new.
    scene.file("labels/1.csv", "corporation,exited\nz,0\nb,1\na,1\n");
    let third = join(&scene).unwrap();
    assert_eq!(scores(&third), scores(&second));
    assert_eq!(third.outcomes.labels.kept, 5);
    // It changes its mind.
    scene.file("labels/1.csv", "corporation,exited\nz,0\nb,1\na,0\n");
    let fourth = join(&scene).unwrap();
    assert_eq!((scores(&fourth).confusion_matrix.fp, fourth.outcomes.labels.changed), (1, 2));
}

#[test]
fn labels_are_joined_by_request_and_row_too() {
    let scene = scene(&json!({"by": "request_id"}));
    log(&scene, LOG, &[prediction("", 0, 0.9), prediction("", 1, 0.2)]);
    scene.file("labels/1.csv", "request_id,row,exited\nr0,0,1\nr1,,0\nr1,5,1\n");
    let joined = join(&scene).unwrap();
    let total = &joined.outcomes.releases[0].total;
    assert_eq!((total.labelled, joined.outcomes.labels.unknown), (2, 1));
    assert!((total.scores.unwrap().f1 - 1.0).abs() < 1e-12);
}

#[test]
fn delays_and_windows_are_those_of_the_predictions() {
    let scene = scene(&json!({"time": "known", "window": "week"}));
    let made: Vec<_> = (0..10).map(|i| prediction(&format!("c{i}"), i, 0.7)).collect();
    log(&scene, LOG, &made);
    let labels: String =
        (0..10).map(|i| format!("c{i},2032-01-{:02}T00:00:00,1\n", 11 + i)).collect();
    scene.file("labels/1.csv", format!("corporation,known,exited\n{labels}"));
    let joined = join(&scene).unwrap();
    let [window] = &joined.outcomes.releases[0].windows[..] else { panic!("{joined}") };
    assert_eq!((window.start.as_str(), window.end.as_str()), ("2031-12-29", "2032-01-05"));
    let delay = window.realised.delay.unwrap();
    // The delay of number i is 10 days, i days less i hours; the fifth and the ninth of ten.
    let of = |i: f64| 10.0 * 86_400.0 + i * 23.0 * 3600.0 + 0.999;
    assert!((delay.median_seconds - of(4.0)).abs() < 1e-6, "{delay:?}");
    assert!((delay.p90_seconds - of(8.0)).abs() < 1e-6, "{delay:?}");
    assert!(joined.to_string().contains("2031-12-29"), "{joined}");
}

#[test]
fn lines_that_are_cut_out_of_the_log_leave_the_store() {
    let scene = scene(&json!({}));
    log(&scene, LOG, &[prediction("a", 0, 0.9), prediction("b", 1, 0.2)]);
    scene.file("labels/1.csv", "corporation,exited\na,1\nb,1\n");
    assert_eq!(join(&scene).unwrap().outcomes.log.predictions, 2);
    log(&scene, LOG, &[prediction("b", 1, 0.2)]);
    let joined = join(&scene).unwrap();
    assert_eq!(joined.outcomes.log.predictions, 1);
    assert_eq!(joined.outcomes.releases[0].total.labelled, 1);
}

#[test]
fn a_file_that_cannot_be_read_stops_no_other() {
    let scene = scene(&json!({}));
    log(&scene, LOG, &[prediction("a", 0, 0.9)]);
    scene.file("labels/1.csv", "client,exited\na,1\n");
    scene.file("labels/2.csv", "corporation,exited\na,1\n");
    let joined = join(&scene).unwrap();
    assert_eq!(joined.failures.len(), 1, "{:?}", joined.failures);
    assert!(joined.failures[0].contains("corporation"), "{:?}", joined.failures);
    assert_eq!(joined.outcomes.releases[0].total.labelled, 1);
}

/// A workspace with a live release that trains on labelled predictions.
fn trained() -> Scene {
    let scene = Scene::with(&json!({
        "service": {"prediction_log_path": "log", "prediction_log_features": true},
        "labels": {"path": "labels", "train": true},
    }));
    std::fs::create_dir(scene.path("labels")).unwrap();
    scene.rows("in/a.csv", &sample_rows(60, 1));
    scene.rows("test/testdata.csv", &sample_rows(40, 2));
    scene.everything().unwrap();
    scene
}

/// `diagnostics --data … --output … --record`.
fn record(scene: &Scene, data: &str) -> diagnose::Diagnostics {
    let options = diagnose::Options {
        data: Some(scene.path(data)),
        output: Some(scene.path("predictions.csv")),
        record: true,
        ..diagnose::Options::default()
    };
    scene.step(Step::Diagnostics, |context, w| diagnose::run(context, w, &options)).unwrap()
}

fn each_line(scene: &Scene) -> Vec<mlops_core::prediction_log::Line> {
    let mut lines = Vec::new();
    let take = |line| {
        lines.push(line);
        Ok(())
    };
    mlops_core::prediction_log::reader::each(&scene.path("log"), Want::Features, take).unwrap();
    lines
}

#[test]
fn rows_that_are_written_are_recorded_with_their_lines() {
    let scene = trained();
    // A record that cannot be read, a missing cell, and an empty line between.
    let rows = "c1,1,2,3\nc2,x,2,3\n\nc3,,5,6\n";
    scene.file("new.csv", format!("{}{rows}", HEADER.replace(",exited", "")));
    let report = record(&scene, "new.csv");
    assert!(report.logged.as_deref().unwrap().contains("predictions-100-"), "{report}");
    let lines = each_line(&scene);
    let seen: Vec<_> = lines.iter().map(|l| (l.id("corporation").unwrap(), l.row)).collect();
    assert_eq!(seen, [("c1", 2), ("c3", 5)]);
    assert!(lines[0].request_id == lines[1].request_id && lines[0].release == report.release);
    let written = scene.read("predictions.csv");
    assert!(written.contains(&format!("c1,{},{:?},2,", lines[0].prediction, lines[0].probability)));
    let missing = ("lastmonth_activity".to_owned(), Feature::Missing);
    assert_eq!(lines[1].features.as_ref().unwrap()[0], missing);
    // A file whose rows are all good takes the other way.
    scene.rows("new.csv", &sample_rows(5, 3));
    record(&scene, "new.csv");
    let lines = each_line(&scene);
    assert_eq!(lines[2..].iter().map(|l| l.row).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    let schema = scene.context().unwrap().config.schema;
    let mut table = mlops_core::Table::new(&schema);
    assert!(lines.iter().all(|line| line.push_to(&schema, &mut table)));
}

#[test]
fn labelled_predictions_are_trained_on_once_and_corrected() {
    let scene = trained();
    scene
        .file("new.csv", format!("{}c1,1,2,3\nc2,4,5,6\nc3,7,,9\n", HEADER.replace(",exited", "")));
    record(&scene, "new.csv");
    scene.file("labels/1.csv", "corporation,exited\nc1,1\nc3,0\n");
    assert_eq!(join(&scene).unwrap().training_rows, 2);
    let file = "out/labelled/labelled-000001.csv";
    assert_eq!(scene.read(file), format!("{HEADER}c1,1,2,3,1\nc3,7,,9,0\n"));
    assert_eq!(scene.ingest().unwrap().rows, 62);
    assert_eq!(join(&scene).unwrap().training_rows, 0);
    // A label changes, and another one comes.
    scene.file("labels/2.csv", "corporation,exited\nc1,0\nc2,1\n");
    assert_eq!(join(&scene).unwrap().training_rows, 2);
    assert_eq!(scene.read(file), format!("{HEADER}c1,1,2,3,0\nc3,7,,9,0\n"));
    let second = scene.read("out/labelled/labelled-000002.csv");
    assert_eq!(second, format!("{HEADER}c2,4,5,6,1\n"));
    let ingested = scene.ingest().unwrap();
    assert_eq!(ingested.rows, 63, "{ingested}");
    let version = ingested.version.unwrap();
    let data = scene.read(&format!("out/finaldata{}.csv", version.0));
    assert!(data.contains("c1,1,2,3,0\n") && !data.contains("c1,1,2,3,1\n"), "{data}");
    // The log is cut, as an erasure does: what was passed on is not passed on again.
    let log = std::fs::read_dir(scene.path("log")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&log).unwrap();
    let without: String =
        text.split_inclusive('\n').filter(|line| !line.contains("\"c2\"")).collect();
    std::fs::write(&log, without).unwrap();
    let joined = join(&scene).unwrap();
    assert_eq!((joined.training_rows, joined.outcomes.log.predictions), (0, 2));
    // Without its file a prediction is counted, but no row.
    scene.file("new.csv", format!("{}c9,1,2,3\n", HEADER.replace(",exited", "")));
    record(&scene, "new.csv");
    join(&scene).unwrap();
    std::fs::remove_dir_all(scene.path("log")).unwrap();
    scene.file("labels/3.csv", "corporation,exited\nc9,1\n");
    let joined = join(&scene).unwrap();
    assert!(joined.failures[0].contains("prediction_log_keep_files"), "{:?}", joined.failures);
}

#[test]
fn a_kill_while_rows_are_passed_on_passes_none_twice() {
    for at in 0..40 {
        let mut scene = trained();
        scene.file("new.csv", format!("{}c1,1,2,3\nc2,4,5,6\n", HEADER.replace(",exited", "")));
        record(&scene, "new.csv");
        scene.file("labels/1.csv", "corporation,exited\nc1,1\n");
        join(&scene).unwrap();
        scene.file("labels/2.csv", "corporation,exited\nc1,0\nc2,1\n");
        scene.disk = Dead::from(at);
        let killed = join(&scene).is_err();
        scene.disk = Disk::default();
        scene.ingest().unwrap();
        join(&scene).unwrap();
        let ingested = scene.ingest().unwrap();
        assert_eq!(ingested.rows, 62, "killed at step {at}");
        let first = scene.read("out/labelled/labelled-000001.csv");
        assert_eq!(first, format!("{HEADER}c1,1,2,3,0\n"), "killed at step {at}");
        if !killed {
            return;
        }
    }
    panic!("40 steps are not enough");
}

#[test]
fn erased_people_leave_the_store_and_the_labelled_rows() {
    let scene = trained();
    let rows = "Person-of-Interest,1,2,3\nc2,4,5,6\n";
    scene.file("new.csv", format!("{}{rows}", HEADER.replace(",exited", "")));
    record(&scene, "new.csv");
    scene.file("labels/1.csv", "corporation,exited\nPerson-of-Interest,1\nc2,0\n");
    join(&scene).unwrap();
    scene.ingest().unwrap();
    let request = forget::Request {
        people: vec!["Person-of-Interest".to_owned()],
        who: "the officer".to_owned(),
        why: "request 17".to_owned(),
        everywhere: true,
        ..forget::Request::default()
    };
    scene.step(Step::Forget, |context, w| forget::run(context, w, &request)).unwrap();
    for (path, bytes) in files(&scene.path("out")).into_iter().chain(files(&scene.path("log"))) {
        let found = bytes.windows(8).any(|part| part == b"Person-o");
        assert!(!found, "{path:?} still has the person");
    }
    // The user's file of labels still has the person, who does not come back.
    scene.file("labels/2.csv", "corporation,exited\nPerson-of-Interest,0\n");
    let joined = join(&scene).unwrap();
    assert_eq!(joined.outcomes.log.predictions, 1);
    assert_eq!((joined.outcomes.labels.kept, joined.training_rows), (1, 0));
    assert_eq!(scene.ingest().unwrap().rows, 61);
}
