//! The program `diagnostics` from outside: options, streams, exit codes, files. Not for how a statistic is computed.

use mlops_core::platform::disk::Disk;
use mlops_core::platform::lock::Lock;
use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::Transcript;
use mlops_testkit::binary::scene::Scene;

const DIAGNOSTICS: Binary = Binary { name: "diagnostics", path: env!("CARGO_BIN_EXE_diagnostics") };

#[test]
fn it_explains_itself_and_refuses_wrong_usage() {
    DIAGNOSTICS.explains_itself();
    DIAGNOSTICS.refuses_wrong_usage();
}

#[test]
fn it_gives_way_to_another_run() {
    DIAGNOSTICS.gives_way(&Scene::deployed());
}

#[test]
fn it_prints_text_or_json_or_nothing() {
    DIAGNOSTICS.speaks(Scene::deployed);
}

#[test]
fn it_finds_its_configuration_from_anywhere() {
    DIAGNOSTICS.finds_its_configuration(Scene::deployed);
}

#[test]
fn without_a_release_it_says_what_to_run_first() {
    DIAGNOSTICS.fails(&Scene::scored(), "run `deployment` first");
}

#[test]
fn predictions_of_a_named_file_stand_in_a_named_file() {
    let scene = Scene::deployed();
    let unlabelled = "number_of_employees,corporation,lastmonth_activity,lastyear_activity\n\
                      5,x,3,100\n5,y,97,900\n5,z,,1\n";
    scene.file("below/clients.csv", unlabelled);
    let arguments =
        ["--config", "../config.json", "--data", "clients.csv", "--output", "risk.csv", "--json"];
    let below = scene.path("below");
    let report = DIAGNOSTICS.run(&below, &arguments).ends_with(0).json();
    assert_eq!(report["predictions"]["rows"], 3, "{report:#}");
    let risk = scene.read("below/risk.csv");
    assert!(risk.starts_with("corporation,prediction,probability,line,reason\nx,1,0."), "{risk}");
    assert_eq!(risk.lines().count(), 4, "{risk}");
    let missing = DIAGNOSTICS.run(&below, &["--config", "../config.json", "--data", "no.csv"]);
    assert!(missing.ends_with(1).stderr.contains("no.csv"));
}

#[test]
fn each_row_has_its_line_and_so_has_each_record_that_cannot_be_read() {
    let scene = Scene::deployed();
    let rows = "lastmonth_activity,lastyear_activity,number_of_employees,corporation\n\
                3,100,5,a\n\n97,many,5,b\n97,900,5\n97,900,5,d\n";
    scene.file("clients.csv", rows);
    let arguments = ["--data", "clients.csv", "--output", "risk.csv", "--json"];
    let report = DIAGNOSTICS.run(scene.root(), &arguments).ends_with(0).json();
    assert_eq!(report["predictions"]["rejected"], 2, "{report:#}");
    let risk = scene.read("risk.csv");
    let lines: Vec<Vec<&str>> =
        risk.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let places: Vec<&str> = lines.iter().map(|fields| fields[3]).collect();
    assert_eq!(places, ["2", "4", "5", "6"], "{risk}");
    assert!(lines[0][1] == "1" && lines[3][1] == "0", "{risk}");
    assert!(lines[1][1].is_empty() && risk.contains("lastyear_activity: \"\"many\"\""), "{risk}");
    assert!(lines[2][1].is_empty() && risk.contains("expected 4 columns"), "{risk}");
    // Another one of ours is replaced.
    DIAGNOSTICS.run(scene.root(), &arguments).ends_with(0);
    assert_eq!(scene.read("risk.csv"), risk);
}

#[test]
fn nothing_but_a_file_of_predictions_is_replaced_by_one() {
    let scene = Scene::deployed();
    scene.file("clients.csv", mlops_testkit::binary::scene::rows(0..5));
    scene.file("letter.txt", "dear all\n");
    scene.file("look-alike.csv", "id,prediction\n1,0\n");
    let ledger = std::fs::read(scene.path("out/ledger.sqlite")).unwrap();
    let before = scene.files();
    for (output, why) in [
        ("clients.csv", "is one of the files that are read"),
        ("letter.txt", "already there"),
        ("look-alike.csv", "already there"),
        ("out/ledger.sqlite", "already there"),
        ("out/finaldata2.csv", "the name of a data set"),
        ("out/finaldata9.csv", "the name of a data set"),
        ("out/quarantine.csv", "the name of a data set"),
        ("model/trainedmodel.bin", "already there"),
        ("in/risk.csv", "would be read as data"),
        ("test/risk.csv", "would be read as data"),
        ("model", "is a folder"),
    ] {
        let arguments = ["--data", "clients.csv", "--output", output];
        let refused = DIAGNOSTICS.run(scene.root(), &arguments);
        assert!(matches!(refused.code, Some(1 | 2)), "{output}: {refused:#?}");
        assert!(refused.stderr.contains(why), "{output}: {refused:#?}");
    }
    assert!(before == scene.files());
    // The records of these runs went into it, and it is still one.
    assert!(std::fs::read(scene.path("out/ledger.sqlite")).unwrap()[..16] == ledger[..16]);
    DIAGNOSTICS.run(scene.root(), &["--data", "clients.csv", "--output", "risk.csv"]).ends_with(0);
}

#[cfg(unix)]
#[test]
fn a_pre_release_is_not_offered_as_the_latest_version() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::deployed();
    let cargo = "#!/bin/sh\ncase \"$5\" in bincode) echo 'version: 9.0.0-rc.1';; *) echo 'version: \
                 9.1.0';; esac\n";
    scene.file("bin/cargo", cargo);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(scene.path("bin/cargo"), mode).unwrap();
    let mut command = DIAGNOSTICS.command(scene.root(), &["--check-latest"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()));
    let said = mlops_testkit::binary::ended(&mut command).ends_with(0).stdout;
    let line = |name: &str| said.lines().find(|l| l.trim_start().starts_with(name)).unwrap();
    assert!(line("bincode").contains("only a pre-release is newer, 9.0.0-rc.1"), "{said}");
    assert!(line("chrono").ends_with("9.1.0 *"), "{said}");
}

#[test]
fn measuring_leaves_no_trace_but_the_figures() {
    let scene = Scene::deployed();
    DIAGNOSTICS.run(scene.root(), &["--quiet"]).ends_with(0);
    let mut before = scene.files();
    let report = DIAGNOSTICS.run(scene.root(), &["--measure", "1", "--json"]).ends_with(0).json();
    let steps: Vec<_> = report["measured"].as_array().into_iter().flatten().collect();
    assert_eq!(steps.len(), 2, "{report:#}");
    assert!(steps.iter().all(|s| s["seconds"][0].as_f64() > Some(0.0)), "{report:#}");
    let mut after = scene.files();
    for snapshot in [&mut before, &mut after] {
        assert!(snapshot.remove(std::path::Path::new("model/diagnostics.json")).is_some());
    }
    assert!(before == after);
}

#[test]
fn two_versions_are_compared_while_another_run_works() {
    let scene = Scene::ingested();
    scene.file("in/c.csv", mlops_testkit::binary::scene::rows(80..95));
    scene.ingest();
    let lock = scene.path("out/run.lock");
    let held = {
        let _alone = mlops_testkit::binary::scene::alone();
        Lock::acquire(&Disk::default(), &lock, "training (pid 7)").unwrap()
    };
    let before = scene.files();
    let words = DIAGNOSTICS.run(scene.root(), &["compare", "2", "3"]).ends_with(0);
    assert!(words.stderr.is_empty(), "{words:#?}");
    for part in [
        "Different: finaldata2.csv (80 rows) and finaldata3.csv (95 rows)",
        "left_only   0",
        "right_only  15  only in finaldata3.csv: gained",
        "Only in finaldata3.csv, the first 10 of 15:\n  c80,31,252,1,1\n",
    ] {
        assert!(words.stdout.contains(part), "{part} in {words:#?}");
    }
    let json = DIAGNOSTICS.run(scene.root(), &["compare", "--json", "3", "3"]).ends_with(0).json();
    assert_eq!((&json["equal"], &json["both"]), (&true.into(), &95.into()), "{json:#}");
    let quiet = DIAGNOSTICS.run(scene.root(), &["-q", "compare", "2", "3", "--exit-code"]);
    assert!(quiet.ends_with(1).stdout.is_empty());
    DIAGNOSTICS.run(scene.root(), &["compare", "3", "finaldata3.csv", "--exit-code"]).ends_with(0);
    assert!(before == scene.files(), "a comparison changed something");
    drop(held);
}

#[test]
fn files_are_compared_on_keys_with_a_tolerance_and_joined() {
    let scene = Scene::new();
    scene.file("below/l.csv", "k,v,w\na,1,x\nb,2,y\nb,3,y\nc,4,z\n");
    scene.file("below/r.csv", "w,k,v\nx,a,1.05\ny,b,2\nq,c,5\n");
    let common = ["--config", "../config.json", "compare", "l.csv", "r.csv", "--on", "k"];
    let more = ["--abs-tol", "0.1", "--output", "joined.csv"];
    let below = scene.path("below");
    let words = DIAGNOSTICS.run(&below, &[&common[..], &more].concat()).ends_with(0);
    for part in [
        "both        2        pairs, of which 1 differs in some cell",
        "unpaired    2 and 1  left and right rows of 1 repeated key, not paired",
        "The columns stand in another order",
        "\n  v                       1                 1                 1\n",
        "v:\n  c: 4 -> 5",
        "Repeated: 1 key (2 rows) in the left file, 0 keys (0 rows) in the right one",
        "  b: 2:1",
        "5 joined rows with _merge: joined.csv",
    ] {
        assert!(words.stdout.contains(part), "{part} in {words:#?}");
    }
    let joined = scene.read("below/joined.csv");
    assert!(joined.starts_with("k,v_left,w_left,v_right,w_right,_rows,_merge\n"), "{joined}");
    assert!(joined.contains("a,1,x,1.05,x,1:1,both\n"), "{joined}");
    let rule = DIAGNOSTICS.run(&below, &[&common[..], &["--validate", "1:1"]].concat());
    let rule = rule.ends_with(1);
    assert!(rule.stderr.contains("the rows are not 1:1"), "{rule:#?}");
    for (wrong, part) in [
        (&["compare", "l.csv", "r.csv", "--abs-tol", "1"][..], "--on"),
        (&["compare", "l.csv", "r.csv", "--validate", "2:1"], "must be 1:1, 1:m or m:1"),
        (&["compare", "l.csv"], "RIGHT"),
        (&["--measure", "1", "compare", "l.csv", "r.csv"], "behind its name"),
        (
            &["--config", "../config.json", "compare", "l.csv", "r.csv", "--output", "r.csv"],
            "name another",
        ),
    ] {
        let usage = DIAGNOSTICS.run(&below, wrong).ends_with(2);
        assert!(usage.stdout.is_empty() && usage.stderr.contains(part), "{part} in {usage:#?}");
    }
    let help = DIAGNOSTICS.run(&below, &["compare", "--help"]).ends_with(0);
    assert!(help.stdout.contains("Examples:\n  diagnostics compare 2 3"), "{help:#?}");
}

#[test]
fn mistakes_and_comparisons_are_told_in_these_words() {
    let mut told = Transcript::default();
    told.run("Nothing is live", DIAGNOSTICS, &Scene::scored(), &[]);
    let scene = Scene::deployed();
    told.run("A file that does not exist", DIAGNOSTICS, &scene, &["--data", "no.csv"]);
    scene.file("notes.csv", "mine\n");
    let over = ["--data", "test/test.csv", "--output", "notes.csv"];
    told.run("The output would replace a file of the user's", DIAGNOSTICS, &scene, &over);
    scene.file("l.csv", "k,v,w\na,1,x\nb,2,y\nb,3,y\nc,4,z\n");
    scene.file("r.csv", "w,k,v\nx,a,1.05\ny,b,2\nq,c,5\n");
    let files = ["compare", "l.csv", "r.csv"];
    let with = |more: &[&'static str]| [&files[..], more].concat();
    told.run("Whole rows", DIAGNOSTICS, &scene, &files);
    told.run("On a key", DIAGNOSTICS, &scene, &with(&["--on", "k"]));
    told.run(
        "A key that is not unique",
        DIAGNOSTICS,
        &scene,
        &with(&["--on", "k", "--validate", "1:1"]),
    );
    told.run("A column that neither has", DIAGNOSTICS, &scene, &with(&["--on", "key"]));
    told.run("A tolerance without a key", DIAGNOSTICS, &scene, &with(&["--abs-tol", "1"]));
    told.run("A version that does not exist", DIAGNOSTICS, &scene, &["compare", "2", "9"]);
    told.run("Help", DIAGNOSTICS, &scene, &["compare", "--help"]);
    told.compare("diagnostics-commands");
}

#[test]
fn hostile_content_never_breaks_the_output() {
    DIAGNOSTICS.survives_hostile_content(&Scene::hostile(), &[]);
}

#[test]
fn labels_that_come_later_are_joined_and_shown() {
    let scene = Scene::deployed();
    DIAGNOSTICS.run(scene.root(), &["outcomes"]).ends_with(1);
    let keys = r#"{"service": {"prediction_log_path": "log"}, "labels": {"path": "outcomes.csv"},"#;
    scene.file("config.json", scene.read("config.json").replacen('{', keys, 1));
    scene.file("clients.csv", mlops_testkit::binary::scene::rows(0..40));
    let record = ["--data", "clients.csv", "--output", "risk.csv", "--record"];
    let recorded = DIAGNOSTICS.run(scene.root(), &record).ends_with(0);
    assert!(recorded.stdout.contains("Logged in log/predictions-100-"), "{}", recorded.stdout);
    // The outcomes of most of them, and of one whom nobody predicted.
    scene.file("outcomes.csv", mlops_testkit::binary::scene::rows(10..41));
    let joined = DIAGNOSTICS.run(scene.root(), &["outcomes", "--json"]).ends_with(0).json();
    let total = &joined["releases"][0]["total"];
    assert_eq!((&total["predicted"], &total["labelled"]), (&40.into(), &30.into()), "{joined:#}");
    assert_eq!(joined["labels"]["unknown"], 1, "{joined:#}");
    let told = DIAGNOSTICS.run(scene.root(), &["outcomes"]).ends_with(0).stdout.clone();
    assert!(told.contains("40 predictions logged, 30 of them with a label"), "{told}");
    assert!(told.contains("constant F1") && told.contains("30 (75 %)"), "{told}");
    let refused = DIAGNOSTICS.run(scene.root(), &["--record"]);
    assert!(refused.ends_with(2).stderr.contains("--output"));
}
