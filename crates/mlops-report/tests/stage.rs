//! The reporting stage on the shipped data: a whole workspace, and workspaces with something
//! missing.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlops_core::config::Config;
use mlops_core::ids::{FindingKind, RunId, Step};
use mlops_core::platform::clock::SteppingClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::attention::Finding;
use mlops_core::run::context::{Context, Workspace};
use mlops_core::stage::{deploy, ingest, score, train};
use mlops_report::Severity;
use mlops_report::stage::{self, Reported, Since};
use tempfile::TempDir;

/// A temporary workspace with the shipped practice and test data.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
        // By name: a user who ran things has more files there.
        for file in
            ["practicedata/dataset1.csv", "practicedata/dataset2.csv", "testdata/testdata.csv"]
        {
            fs::create_dir_all(place.path(file).parent().unwrap()).unwrap();
            fs::copy(shipped.join(file), place.path(file)).unwrap();
        }
        let config = r#"{"input_folder_path": "practicedata", "output_folder_path": "ingested",
            "test_data_path": "testdata", "output_model_path": "practicemodels",
            "prod_deployment_path": "production"}"#;
        fs::write(place.path("config.json"), config).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn context(&self) -> Context {
        let config = Config::load(&self.path("config.json")).unwrap();
        let clock = Arc::new(SteppingClock::starting_at(1_900_000_000));
        Context::new(config, clock, Disk::default(), "test")
    }

    /// Ingests, trains and scores; deploys if asked to.
    fn trained(&self, deployed: bool) {
        let context = self.context();
        let mut workspace = context.open("test").unwrap();
        ingested(&context, &mut workspace);
        train::run(&context, &mut workspace).unwrap();
        score::run(&context, &mut workspace).unwrap();
        if deployed {
            deploy::run(&context, &mut workspace, Step::Deployment, "the first").unwrap();
        }
    }

    fn report(&self) -> (Reported, String) {
        let context = self.context();
        let mut workspace = context.open("test").unwrap();
        let reported = stage::run(&context, &mut workspace).unwrap();
        (reported, fs::read_to_string(self.path("practicemodels/report.html")).unwrap())
    }
}

fn ingested(context: &Context, workspace: &mut Workspace) {
    let options = ingest::Options::default();
    ingest::run(context, workspace, context.config.input(), options).unwrap();
}

/// A step that found something.
#[derive(serde::Serialize)]
struct Found(#[serde(skip)] Vec<Finding>);

impl std::fmt::Display for Found {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl mlops_core::run::context::Report for Found {
    fn findings(&self) -> Vec<Finding> {
        self.0.clone()
    }
}

#[test]
fn what_needs_a_person_on_record_is_on_the_first_page() {
    let place = Place::new();
    place.trained(true);
    let serious = |reported: &Reported| {
        reported.warnings.iter().filter(|found| found.severity == Severity::Serious).count()
    };
    let before = serious(&place.report().0);
    let context = place.context();
    let mut workspace = context.open("test").unwrap();
    let mut find = |step, found: Vec<Finding>| {
        context.step(&mut workspace, step, |_| Ok(Found(found))).unwrap();
    };
    let late = Finding::person(FindingKind::SourceOverdue, "source \"crm\" is three days late");
    let known = Finding::warning(FindingKind::Upkeep, "the disk is slow");
    find(Step::FullProcess, vec![late.clone().about(["crm"]), known]);
    let reported = stage::run(&context, &mut workspace).unwrap();
    let page = fs::read_to_string(place.path("practicemodels/report.html")).unwrap();
    assert!(!page.contains("Nothing: no check found"), "{page}");
    assert!(page.contains("is three days late") && page.contains("serious warning"), "{page}");
    assert_eq!(serious(&reported), before + 1);
    assert!(!says(&reported, "the disk is slow"), "a warning stays on the dashboard");
    // The report passes on what others found, and does not find it itself.
    assert!(!reported.on_the_model().iter().any(|one| one.text.contains("three days late")));
    let context = Context { run: RunId::named("a later run"), ..context };
    context.step(&mut workspace, Step::FullProcess, |_| Ok(Found(Vec::new()))).unwrap();
    stage::run(&context, &mut workspace).unwrap();
    let page = fs::read_to_string(place.path("practicemodels/report.html")).unwrap();
    assert!(!page.contains("three days late"), "what is over is told no longer: {page}");
}

fn says(reported: &Reported, text: &str) -> bool {
    reported.warnings.iter().any(|w| w.text.contains(text))
}

#[test]
fn the_live_release_is_reported_with_every_file() {
    let place = Place::new();
    place.trained(true);
    let (reported, html) = place.report();
    let id = place.context().store().live().unwrap().unwrap();
    assert_eq!(reported.subject, format!("live release {id}"));
    assert_eq!(reported.files.len(), 20, "{:?}", reported.files);
    for name in [
        "confusionmatrix",
        "roc",
        "precision_recall",
        "gain",
        "thresholds",
        "calibration",
        "coefficients",
        "trend",
        "score_distribution",
    ] {
        let folder = place.path("practicemodels");
        let svg = fs::read_to_string(folder.join(format!("{name}.svg"))).unwrap();
        roxmltree::Document::parse(&svg).unwrap();
        assert!(!svg.contains("not enough data"), "{name}");
        let bytes = fs::read(folder.join(format!("{name}.png"))).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        assert!(reader.next_frame(&mut pixels).unwrap().width >= 1000);
    }
    if let Ok(folder) = std::env::var("MLOPS_GALLERY") {
        for name in ["report.html", "report.pdf"] {
            let (from, to) = (place.path("practicemodels"), Path::new(&folder));
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    let f1 = fs::read_to_string(place.path("practicemodels/latestscore.txt")).unwrap();
    let f1: f64 = f1.trim().parse().unwrap();
    assert!((reported.f1.unwrap() - f1).abs() < 1e-12);
    assert!(html.contains(&format!("<strong>{f1:.3}</strong>")), "F1 {f1}");
    for text in ["dataset1.csv", "dataset2.csv", "testdata.csv", "finaldata2.csv", id.as_str()] {
        let text = text.replace('_', "_<wbr>");
        assert!(html.contains(&text), "{text}");
    }
    let shown = reported.to_string();
    assert!(shown.starts_with(&format!("Live release {id}: F1 {f1:.4} on ")), "{shown}");
    assert!(shown.contains("roc.png") && shown.contains("report.html"), "{shown}");
    assert!(!says(&reported, "test data has changed") && !says(&reported, "newer"));
    let value = serde_json::to_value(&reported).unwrap();
    assert_eq!(value["warnings"].as_array().unwrap().len(), reported.warnings.len());
}

#[test]
fn without_a_release_the_candidate_is_reported() {
    let place = Place::new();
    place.trained(false);
    let (reported, html) = place.report();
    assert_eq!(reported.subject, "candidate, not deployed");
    assert!(says(&reported, "No release is live"));
    assert!(html.contains("Model report: candidate, not deployed"));
    assert!(html.contains("not released"));
}

#[test]
fn without_test_data_the_recorded_figures_stand_in() {
    let place = Place::new();
    place.trained(true);
    fs::remove_file(place.path("testdata/testdata.csv")).unwrap();
    let (reported, html) = place.report();
    assert!(reported.f1.is_some() && says(&reported, "There is no test data"));
    assert!(html.contains("not enough data"), "the curves are missing");
    fs::remove_dir(place.path("testdata")).unwrap();
    assert!(says(&place.report().0, "There is no test data"));
}

#[test]
fn test_data_that_changed_is_said() {
    let place = Place::new();
    place.trained(true);
    let text = fs::read_to_string(place.path("testdata/testdata.csv")).unwrap_or_else(|_| {
        String::from_utf8_lossy(&fs::read(place.path("testdata/testdata.csv")).unwrap()).into()
    });
    let fewer: Vec<_> = text.lines().take(200).collect();
    fs::write(place.path("testdata/testdata_new1.csv"), fewer.join("\n")).unwrap();
    let (reported, _) = place.report();
    assert!(says(&reported, "The test data has changed since"), "{:?}", reported.warnings);
    fs::write(place.path("testdata/testdata_new2.csv"), "wrong,columns\n1,2\n").unwrap();
    let (reported, _) = place.report();
    assert!(says(&reported, "The test data could not be used"), "{:?}", reported.warnings);
    assert!(reported.f1.is_some());
}

#[test]
fn new_data_failed_files_and_a_damaged_release_are_said() {
    let place = Place::new();
    place.trained(true);
    let more = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n\
                one,1,2,3,0\ntwo,4,5,6,1\n";
    fs::write(place.path("practicedata/more.csv"), more).unwrap();
    fs::write(place.path("practicedata/odd.csv"), "corporation,exited\none,0\n").unwrap();
    {
        let context = place.context();
        let mut workspace = context.open("test").unwrap();
        ingested(&context, &mut workspace);
    }
    let (reported, html) = place.report();
    assert!(says(&reported, "finaldata3.csv (2 more rows) is newer"), "{:?}", reported.warnings);
    assert!(says(&reported, "odd.csv was refused"), "{:?}", reported.warnings);
    assert!(html.contains("more.csv") && html.contains("odd.csv"));

    let id = place.context().store().live().unwrap().unwrap();
    let model = place.context().store().folder(&id).join("trainedmodel.bin");
    fs::write(model, "damaged").unwrap();
    let (reported, _) = place.report();
    assert_eq!(reported.warnings[0].severity, Severity::Serious);
    assert!(says(&reported, &format!("The live release {id} cannot be used")));
    assert_eq!(reported.subject, "candidate, not deployed");
}

#[test]
fn without_any_model_the_error_says_what_to_do() {
    let place = Place::new();
    let context = place.context();
    let mut workspace = context.open("test").unwrap();
    let error = stage::run(&context, &mut workspace).unwrap_err().to_string();
    assert!(error.contains("run `training` first"), "{error}");
}

#[test]
fn categories_are_told_against_the_most_frequent_one_of_their_column() {
    // Of 40 "yes" 30 are positive, of 50 "no" 10: odds of 3 against 1/4, so that yes against no is
    // 12 times. The penalty is next to nothing.
    let place = Place { folder: tempfile::tempdir().unwrap() };
    let config = r#"{"input_folder_path": "in", "output_folder_path": "out",
        "test_data_path": "test", "output_model_path": "practicemodels",
        "prod_deployment_path": "live", "training": {"C": 1e8},
        "schema": {"id": ["id"], "numeric": [], "categorical": ["member"], "target": "left"}}"#;
    fs::write(place.path("config.json"), config).unwrap();
    for (folder, letter) in [("in", "a"), ("test", "t")] {
        let mut rows = vec!["id,member,left".to_owned()];
        for i in 0..90 {
            let (member, left) = if i < 40 { ("yes", i < 30) } else { ("no", i < 50) };
            rows.push(format!("{letter}{i},{member},{}", u8::from(left)));
        }
        fs::create_dir(place.path(folder)).unwrap();
        fs::write(place.path(folder).join("a.csv"), rows.join("\n")).unwrap();
    }
    place.trained(false);
    let (_, html) = place.report();
    assert!(html.contains("× 12"), "no factor of 12");
    assert!(html.contains("rather than “no” raises the odds 12"), "no words");
    assert!(html.contains("member=yes") && !html.contains("member=no"), "one row for a pair");
}

#[test]
fn rare_categories_that_share_a_feature_leave_the_other_columns_in_place() {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    let config = r#"{"input_folder_path": "in", "output_folder_path": "out",
        "test_data_path": "test", "output_model_path": "practicemodels",
        "prod_deployment_path": "live", "training": {"C": 1e8},
        "schema": {"id": ["id"], "categorical": ["shop", "member"], "min_frequency": 10,
            "target": "left"}}"#;
    fs::write(place.path("config.json"), config).unwrap();
    for (folder, letter) in [("in", "a"), ("test", "t")] {
        let mut rows = vec!["id,shop,member,left".to_owned()];
        for i in 0..180 {
            // As above, for each shop: yes against no is 12 times; the shop makes no difference.
            let (member, left) =
                if i % 90 < 40 { ("yes", i % 90 < 30) } else { ("no", i % 90 < 50) };
            let shop = if i < 90 { "main".to_owned() } else { format!("s{}", i % 30) };
            rows.push(format!("{letter}{i},{shop},{member},{}", u8::from(left)));
        }
        fs::create_dir(place.path(folder)).unwrap();
        fs::write(place.path(folder).join("a.csv"), rows.join("\n")).unwrap();
    }
    place.trained(false);
    let (_, html) = place.report();
    assert!(html.contains("rather than “no” raises the odds 12"), "no words");
    assert!(html.contains("member=yes") && !html.contains("member=no"), "one row for a pair");
    assert!(html.contains("shop=(infrequent)") && html.contains("rather than “main”"), "no pool");
}

/// A workspace with one number, whose folders hold `n` rows each, labelled as `label` says of the
/// folder, the number (0 to 9) and a draw (0 to 9).
fn place_of_one_number(label: impl Fn(&str, u32, u32) -> bool) -> Place {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    let config = r#"{"input_folder_path": "in", "source_folder_path": "source",
        "output_folder_path": "out", "test_data_path": "test",
        "output_model_path": "practicemodels", "prod_deployment_path": "live",
        "ingestion": {"settle_seconds": 0},
        "schema": {"id": ["id"], "numeric": ["x"], "target": "y"}}"#;
    fs::write(place.path("config.json"), config).unwrap();
    for (folder, n) in [("in", 1000), ("test", 600), ("source", 2000)] {
        let mut rows = vec!["id,x,y".to_owned()];
        let mut random = 7_u32;
        for i in 0..n {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, draw) = (i % 10, (random >> 16) % 10);
            rows.push(format!("{folder}{i},{x},{}", u8::from(label(folder, x, draw))));
        }
        fs::create_dir(place.path(folder)).unwrap();
        fs::write(place.path(folder).join("a.csv"), rows.join("\n")).unwrap();
    }
    place
}

#[test]
fn drift_and_a_failing_model_are_among_the_findings_of_page_and_text() {
    // The live model is good; the new labels say nothing of the number, so that nothing better is found.
    let place = place_of_one_number(|folder, x, draw| match folder {
        "source" => draw < 2,
        _ => x > 4,
    });
    place.trained(true);
    {
        let context = place.context();
        let mut workspace = context.open("fullprocess").unwrap();
        let options = mlops_core::stage::decide::Options::default();
        let decision = mlops_core::stage::decide::run(&context, &mut workspace, options).unwrap();
        assert!(decision.release.is_none(), "{decision}");
    }
    let (reported, html) = place.report();
    for said in ["A person is needed: ", "The model has drifted on the newest rows: "] {
        assert!(says(&reported, said), "{said} not in {:?}", reported.warnings);
        assert!(html.contains(said), "{said} not on the page");
        let findings = mlops_core::run::context::Report::findings(&reported);
        assert!(findings.iter().any(|f| f.text.contains(said)), "{findings:?}");
    }
    assert!(!html.contains("The checks found nothing"));
}

#[test]
fn probabilities_that_do_not_come_true_are_a_finding() {
    let sure = |x: u32| x > 4;
    let unsure = |x: u32, draw: u32| sure(x) == (draw < 8);
    let place = place_of_one_number(|folder, x, draw| match folder {
        "in" => unsure(x, draw),
        _ => sure(x),
    });
    place.trained(true);
    let (reported, html) = place.report();
    assert!(
        says(&reported, "The predicted probabilities are off by 0."),
        "{:?}",
        reported.warnings
    );
    assert!(html.contains("The predicted probabilities are off by"));
}

#[test]
fn thousands_of_names_make_a_short_page() {
    let place = place_of_one_number(|_, x, _| x > 4);
    for i in 0..400 {
        fs::write(place.path("in").join(format!("bad{i:03}.csv")), "no\n1\n").unwrap();
        let row = format!("id,x,y\nmore{i},{},{}\n", i % 10, u8::from(i % 10 > 4));
        fs::write(place.path("in").join(format!("more{i:03}.csv")), row).unwrap();
    }
    place.trained(true);
    let (reported, html) = place.report();
    assert!(says(&reported, "and 390 more were refused"), "{:?}", reported.warnings);
    assert!(reported.warnings.len() < 20, "{:?}", reported.warnings);
    assert!(html.contains("<summary>And 791 more</summary>"));
    assert!(html.len() < 400_000, "{} bytes", html.len());
}

#[test]
fn two_releases_are_compared() {
    let place = place_of_one_number(|folder, x, draw| match folder {
        "in" | "test" => (x > 4) == (draw < 9),
        _ => false,
    });
    place.trained(true);
    let first = place.context().store().live().unwrap().unwrap();
    let mut rows = vec!["id,x,y".to_owned()];
    rows.extend((0..900).map(|i| format!("more{i},{},{}", i % 14, u8::from(i % 14 > 6))));
    fs::write(place.path("in").join("b.csv"), rows.join("\n")).unwrap();
    place.trained(true);
    let live = place.context().store().live().unwrap().unwrap();
    assert_ne!(first, live);
    let context = place.context();
    let mut workspace = context.open("reporting").unwrap();
    let since = |text: &str| text.parse::<Since>().unwrap();
    let error = stage::since(&context, &mut workspace, &since(live.as_str())).unwrap_err();
    assert!(error.to_string().contains(&format!("Earlier ones: {first}")), "{error}");
    let error = stage::since(&context, &mut workspace, &since("1999-01-01")).unwrap_err();
    assert!(error.to_string().contains("no release was live yet"), "{error}");
    let reported = stage::since(&context, &mut workspace, &since(first.as_str())).unwrap();
    assert_eq!(reported.compared_with.as_deref(), Some(first.as_str()));
    let page = fs::read_to_string(place.path("practicemodels/comparison.html")).unwrap();
    for part in
        ["Differences that matter", "Means that moved", "x by +0.", first.as_str(), live.as_str()]
    {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let pdf = fs::read(place.path("practicemodels/comparison.pdf")).unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    if let Ok(folder) = std::env::var("MLOPS_GALLERY") {
        fs::write(Path::new(&folder).join("comparison.pdf"), pdf).unwrap();
        fs::write(Path::new(&folder).join("comparison.html"), page).unwrap();
    }
}
