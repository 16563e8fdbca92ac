//! The program `first_run` from outside: from CSV files to a live model, twice. Not for the single steps.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]

use std::path::Path;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::Transcript;
use mlops_testkit::binary::scene::{Scene, rows};

const FIRST_RUN: Binary = Binary { name: "first_run", path: env!("CARGO_BIN_EXE_first_run") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    FIRST_RUN.explains_itself();
    FIRST_RUN.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    FIRST_RUN.gives_way(&Scene::new());
}

#[test]
fn it_prints_text_or_json_or_nothing() {
    FIRST_RUN.speaks(Scene::new);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    FIRST_RUN.finds_its_configuration(Scene::new);
}

#[test]
fn without_files_it_says_where_to_put_some() {
    let scene = Scene::new();
    for file in ["in/a.csv", "in/b.csv"] {
        scene.file(file, "");
    }
    FIRST_RUN.fails(&scene, "2 files in");
}

#[test]
fn a_second_run_changes_no_byte_and_says_so() {
    let scene = Scene::new();
    let first = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(first.stdout.contains("Live: r-2-"), "{first:#?}");
    let before = scene.files();
    for file in ["live", "model/report.html", "model/diagnostics.json", "out/finaldata2.csv"] {
        assert!(before.contains_key(Path::new(file)), "{file}");
    }
    let second = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(second.stdout.contains("Nothing to do"), "{second:#?}");
    assert!(before == scene.files());
}

#[test]
fn a_bad_file_ends_with_1_once_and_the_model_of_the_others_goes_live() {
    let scene = Scene::new();
    scene.file("in/bad.csv", "not,the,columns\n1,2,3\n");
    let first = FIRST_RUN.run(scene.root(), &["--json"]).ends_with(1).json();
    assert_eq!(first["done"]["ingestion"]["new_failures"], true, "{first:#}");
    assert!(scene.path("live/trainedmodel.bin").is_file());
    let second = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(second.stderr.contains("bad.csv failed before"), "{second:#?}");
}

#[test]
fn a_removed_model_is_made_again_and_is_the_same() {
    let scene = Scene::new();
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    let before = scene.read("model/model.json");
    std::fs::remove_dir_all(scene.path("model")).unwrap();
    let again = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stdout.contains("Already live"), "{again:#?}");
    assert!(scene.path("model/report.html").is_file());
    assert_eq!(scene.read("model/model.json"), before);
}

#[test]
fn a_refusal_is_said_once() {
    let scene = Scene::new();
    scene.file("in/bad.csv", "not,the,columns\n1,2,3\n");
    let run = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(1);
    assert_eq!(run.stderr.matches("the header has no column").count(), 1, "{run:#?}");
}

#[test]
fn data_that_another_run_ingested_are_learned_from() {
    let scene = Scene::new();
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    scene.file("in/c.csv", rows(200..230));
    scene.ingest();
    let next = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(next.stdout.contains("Live: r-3-"), "{next:#?}");
    let last = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(last.stdout.contains("Nothing to do"), "{last:#?}");
}

#[test]
fn each_step_is_told_as_it_ends_and_once() {
    let scene = Scene::new();
    let said = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0).stdout;
    let at = |head: &str| {
        assert_eq!(said.matches(head).count(), 1, "{head} in {said}");
        said.find(head).unwrap()
    };
    let heads = ["1  Ingested", "\n2  Trained", "\n3  Scored", "\n4  Deployed", "\n5  Diagnosed"];
    assert!(heads.map(at).is_sorted() && said.ends_with("what to do with them.\n"), "{said}");

    // Where a later step fails, what came before it was told already.
    let scene = Scene::new();
    for entry in std::fs::read_dir(scene.path("in")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let one_class: Vec<&str> = text.lines().filter(|line| !line.ends_with(",0")).collect();
        scene
            .file(path.strip_prefix(scene.root()).unwrap().to_str().unwrap(), one_class.join("\n"));
    }
    let failed = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(1);
    assert!(failed.stdout.starts_with("1  Ingested"), "{failed:#?}");
}

#[test]
fn new_test_data_alone_are_something_to_do_once() {
    let scene = Scene::new();
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    scene.file("test/more.csv", rows(300..340));
    let again = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stdout.contains("3  Scored"), "{again:#?}");
    let last = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(last.stdout.contains("Nothing to do"), "{last:#?}");
}

#[test]
fn without_test_data_it_sets_rows_aside_once_and_they_serve_for_ever() {
    let scene = Scene::new();
    std::fs::remove_file(scene.path("test/test.csv")).unwrap();
    scene.file("in/c.csv", rows(200..600));
    let first = FIRST_RUN.run(scene.root(), &["--json"]).ends_with(0).json();
    let held = &first["done"]["holdout"];
    assert_eq!(held["name"], "testdata_new3.csv", "{first:#}");
    assert_eq!(first["done"]["training"]["data"]["held_out"], held["rows"], "{first:#}");
    assert_eq!(first["done"]["scoring"]["n"], held["rows"], "{first:#}");
    let last = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(last.stdout.contains("Nothing to do"), "{last:#?}");
    // More data: no second draw, and nobody of the first one is trained on.
    scene.file("in/d.csv", rows(600..700));
    let next = FIRST_RUN.run(scene.root(), &["--json"]).ends_with(0).json();
    assert!(next["done"]["holdout"].is_null(), "{next:#}");
    assert_eq!(next["done"]["training"]["data"]["held_out"], held["rows"], "{next:#}");
}

#[test]
fn after_a_rollback_it_does_not_bring_back_what_was_left() {
    let scene = Scene::new();
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    let first = std::fs::read_link(scene.path("live")).unwrap();
    scene.file("in/c.csv", rows(200..260));
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    assert_ne!(std::fs::read_link(scene.path("live")).unwrap(), first);
    scene.roll_back();
    let again = FIRST_RUN.run(scene.root(), &[] as &[&str]).ends_with(0);
    assert!(again.stdout.contains("Nothing to do"), "{again:#?}");
    assert_eq!(std::fs::read_link(scene.path("live")).unwrap(), first);
    // Nor when the model has to be made again.
    std::fs::remove_dir_all(scene.path("model")).unwrap();
    let refused = FIRST_RUN.run(scene.root(), &["-q"]).ends_with(1);
    assert!(refused.stderr.contains("was rolled back"), "{refused:#?}");
    assert_eq!(std::fs::read_link(scene.path("live")).unwrap(), first);
    // New data make another release, which is not that one.
    scene.file("in/d.csv", rows(300..400));
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    assert!(std::fs::read_link(scene.path("live")).unwrap() != first);
}

#[test]
fn a_live_release_that_is_gone_or_damaged_is_never_nothing_to_do() {
    for whole in [true, false] {
        let scene = Scene::new();
        FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
        if whole {
            std::fs::remove_dir_all(scene.path("models")).unwrap();
        } else {
            scene.file("live/trainedmodel.bin", "cut off");
        }
        let refused = FIRST_RUN.run(scene.root(), &["-q"]).ends_with(1);
        for part in ["the live release is damaged", "`fullprocess --force`"] {
            assert!(refused.stderr.contains(part), "{refused:#?}");
        }
        // New data make a new release, and the workspace is in order again.
        scene.file("in/d.csv", rows(300..400));
        FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
        FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    }
}

#[test]
fn after_a_reset_a_worse_model_does_not_replace_the_live_one() {
    let scene = Scene::new();
    scene.file("in/c.csv", rows(200..600));
    scene.file("test/test.csv", rows(600..900));
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
    let live = std::fs::read_link(scene.path("live")).unwrap();
    std::fs::remove_dir_all(scene.path("out")).unwrap();
    for file in ["in/a.csv", "in/b.csv"] {
        std::fs::remove_file(scene.path(file)).unwrap();
    }
    // Every third label is wrong in what is left.
    let spoilt = |(i, line): (usize, &str)| match line.strip_suffix(",0") {
        Some(rest) if i % 3 == 0 => format!("{rest},1\n"),
        _ => format!("{line}\n"),
    };
    let text = rows(200..300).lines().enumerate().map(spoilt).collect::<String>();
    scene.file("in/c.csv", text);
    let refused = FIRST_RUN.run(scene.root(), &["-q"]).ends_with(1);
    assert!(refused.stderr.contains("though these records do not know it"), "{refused:#?}");
    assert_eq!(std::fs::read_link(scene.path("live")).unwrap(), live);
    // As good a model does.
    scene.file("in/c.csv", rows(200..600));
    scene.file("in/a.csv", rows(0..60));
    scene.file("in/b.csv", rows(50..80));
    FIRST_RUN.run(scene.root(), &["-q"]).ends_with(0);
}

#[test]
fn a_model_under_the_constant_is_not_made_live_unless_it_is_accepted() {
    let scene = Scene::new();
    let coin = |range: std::ops::Range<u32>| {
        let flip = |(i, line): (usize, &str)| {
            let (rest, _) = line.rsplit_once(',').unwrap();
            let label = if i == 0 { "exited" } else { ["0", "1", "1"][(i * i + i / 7) % 3] };
            format!("{rest},{label}\n")
        };
        rows(range).lines().enumerate().map(flip).collect::<String>()
    };
    scene.file("in/a.csv", coin(0..200));
    scene.file("in/b.csv", coin(200..300));
    scene.file("test/test.csv", coin(300..500));
    let refused = FIRST_RUN.run(scene.root(), &["-q"]).ends_with(1);
    assert!(refused.stderr.contains("does not beat a constant answer"), "{refused:#?}");
    assert!(scene.path("live").symlink_metadata().is_err());
    let accepted = FIRST_RUN.run(scene.root(), &["-q", "--accept"]);
    assert!(matches!(accepted.code, Some(0 | 3)), "{accepted:#?}");
    assert!(scene.path("live/trainedmodel.bin").is_file());
}

/// Rows as R exports them, whose label follows from a number and a text.
fn exported() -> String {
    let row = |i: usize| {
        let months = i * 7 % 60;
        let plan = ["basic", "plus", "?"][i % 3];
        let left = months + 20 * (i % 3) + i * 13 % 40 > 60;
        format!("\"{}\",{months},\"{plan}\",\"{}\"\n", i + 1, if left { "yes" } else { "no" })
    };
    "\"\",\"months\",\"plan\",\"churn\"\n".to_owned() + &(0..400).map(row).collect::<String>()
}

#[test]
fn from_a_file_without_a_configuration_to_a_live_model_and_once() {
    let scene = Scene::empty();
    scene.file("data/my rows.csv", exported());
    let before = scene.read("data/my rows.csv");
    let arguments = ["--init", "data/my rows.csv", "--config", "work/config.json"];
    let first = FIRST_RUN.run(scene.root(), &arguments).ends_with(0);
    for part in [
        "Looked at data/my rows.csv: 400 rows",
        "Wrote work/config.json",
        "4  Deployed",
        "\nNext: ",
    ] {
        assert_eq!(first.stdout.matches(part).count(), 1, "{part} in {first:#?}");
    }
    assert!(scene.path("work/live/trainedmodel.bin").is_file());
    assert!(scene.path("work/config.md").is_file());
    assert_eq!(scene.read("data/my rows.csv"), before);
    let again = FIRST_RUN.run(scene.root(), &arguments).ends_with(1);
    assert!(again.stderr.contains("is there already"), "{again:#?}");
    let next = FIRST_RUN.run(scene.root(), &arguments[2..]).ends_with(0);
    assert!(next.stdout.contains("Nothing to do"), "{next:#?}");
    FIRST_RUN.run(scene.root(), &["--check", "--config", "work/config.json"]).ends_with(0);
}

#[test]
fn a_proposal_is_one_document_and_need_not_be_run() {
    let scene = Scene::empty();
    scene.file("rows.csv", exported());
    let dry =
        FIRST_RUN.run(scene.root(), &["--init", "rows.csv", "--no-run", "--json"]).ends_with(0);
    assert_eq!(dry.json()["proposal"]["target"]["column"], "churn");
    assert!(!scene.path("ingested").exists());
    std::fs::remove_file(scene.path("config.json")).unwrap();
    let run = FIRST_RUN.run(scene.root(), &["--init", "rows.csv", "--json"]).ends_with(0).json();
    assert_eq!(run["init"]["proposal"]["rows"], 400);
    assert!(run["first_run"]["done"]["scoring"]["f1"].is_number(), "{run:#}");
    let wrong = FIRST_RUN.run(scene.root(), &["--init", "rows.csv", "--check"]).ends_with(2);
    assert!(wrong.stderr.contains("--check"), "{wrong:#?}");
}

#[test]
fn common_mistakes_are_reported_in_these_words() {
    let mut told = Transcript::default();
    let scene = Scene::new();
    for file in ["in/a.csv", "in/b.csv"] {
        scene.file(file, "");
    }
    told.run("Every input file is empty", FIRST_RUN, &scene, &[]);
    let scene = Scene::new();
    scene.file("test/test.csv", mlops_testkit::binary::scene::HEADER);
    told.run("The test data have no row", FIRST_RUN, &scene, &[]);
    let scene = Scene::deployed();
    FIRST_RUN.run(scene.root(), &["--quiet"]).ends_with(0);
    told.run("There is nothing to do", FIRST_RUN, &scene, &[]);
    told.compare("first_run-mistakes");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    FIRST_RUN.survives_hostile_content(&Scene::hostile(), &["--accept"]);
}
