//! Configurations that are proposed for small files in the style of public data sets: quoted headers, gaps spelt
//! "?", codes, an index without a name, decimal commas. Not for the run that follows: see `first_run`.

#![expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mlops_core::Config;
use mlops_core::config::sources::Place;
use mlops_core::source::OnlyFolders;
use mlops_setup::init::{self, Asked, Initiated, Person};
use mlops_setup::{Proposal, Use};
use serde_json::Value;

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        mlops_formats::install();
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        std::fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        std::fs::write(self.at(name), bytes).unwrap();
        self
    }

    fn asked(&self, data: &str) -> Asked {
        Asked { data: self.at(data).into(), ..Asked::default() }
    }

    fn init_as(&self, asked: &Asked) -> mlops_core::Result<Initiated> {
        init::run(asked, &self.at("work/config.json"), &OnlyFolders, None)
    }

    fn init(&self, data: &str) -> Initiated {
        self.init_as(&self.asked(data)).unwrap()
    }

    fn refused(&self, asked: &Asked) -> String {
        let error = self.init_as(asked).unwrap_err().to_string();
        assert!(!self.at("work/config.json").exists() && !self.at("work/config.md").exists());
        error
    }

    fn config(&self) -> (Value, Config) {
        let path = self.at("work/config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        (serde_json::from_str(&text).unwrap(), Config::load(&path).unwrap())
    }
}

fn one<'p>(proposal: &'p Proposal, name: &str) -> &'p mlops_setup::Proposed {
    proposal.columns.iter().find(|column| column.name == name).unwrap()
}

/// Lines of CSV, a row for each number.
fn lines(header: &str, rows: usize, row: impl Fn(usize) -> String) -> String {
    let mut text = format!("{header}\n");
    for i in 0..rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", row(i));
    }
    text
}

/// A number from 0 to `below` that follows no pattern that the others have.
fn mixed(i: usize, salt: usize, below: usize) -> usize {
    let hash = (i * 1_000 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> 33) % below
}

#[test]
fn an_index_a_constant_a_name_and_gaps_are_seen_for_what_they_are() {
    let scene = Scene::new();
    let row = |i: usize| {
        let age = if i % 10 == 3 { "?".to_owned() } else { (18 + mixed(i, 1, 60)).to_string() };
        let (land, left) = (["DE", "FR", "IT"][mixed(i, 2, 3)], ["no", "yes"][mixed(i, 3, 2)]);
        format!("\"{}\",\"Doe, Jane no. {i}\",{age},\"{land}\",7,\"{left}\"", i + 1)
    };
    scene.file("data.csv", lines(r#""","Full Name","Age","Land","Version","Churn""#, 200, row));
    let initiated = scene.init("data.csv");
    let proposal = &initiated.proposal;
    for (name, to_be) in [
        ("column 1", Use::LeftOut),
        ("Full Name", Use::LeftOut),
        ("Age", Use::Numeric),
        ("Land", Use::Categorical),
        ("Version", Use::LeftOut),
        ("Churn", Use::Target),
    ] {
        assert_eq!(one(proposal, name).to_be, to_be, "{:?}", one(proposal, name));
    }
    assert_eq!(one(proposal, "column 1").why, "it only counts the rows");
    assert!((one(proposal, "Age").missing - 0.1).abs() < 1e-12);
    assert_eq!(
        (proposal.target.positive.as_str(), proposal.target.negative.as_str()),
        ("yes", "no")
    );
    let (json, config) = scene.config();
    assert_eq!(json["training"]["threshold"]["maximize"], "f1");
    assert_eq!(json.get("ingestion"), None, "{json:#}");
    let Place::Folder(folder) = &config.sources[0].place else { panic!("{json:#}") };
    assert_eq!(folder.canonicalize().unwrap(), scene.0.path().canonicalize().unwrap());
    let page = std::fs::read_to_string(&initiated.evidence).unwrap();
    for part in
        ["| Full Name | left out | free text", "48.0 %", "`training.threshold`", "| Age | numeric"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn a_german_export_is_read_as_it_was_meant() {
    let scene = Scene::new();
    let row = |i: usize| {
        let (euro, cent) = (mixed(i, 1, 9_000), mixed(i, 2, 90) + 10);
        let note =
            if i.is_multiple_of(9) { "-".to_owned() } else { format!("{},5", mixed(i, 3, 6)) };
        let (day, month) = (mixed(i, 4, 28) + 1, mixed(i, 5, 12) + 1);
        let left = ["nein", "ja"][mixed(i, 6, 2)];
        format!("K{i};{euro},{cent};{note};{day:02}.{month:02}.2024;{left}")
    };
    let text = lines("\"Kunde ID\";\"Umsatz in EUR\";Note;Datum;\"gek\u{fc}ndigt\"", 300, row);
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    scene.file("kunden 2024 [neu].csv", latin);
    let proposal = scene.init("kunden 2024 [neu].csv").proposal;
    for (name, to_be) in [
        ("Kunde ID", Use::Id),
        ("Umsatz in EUR", Use::Numeric),
        ("Note", Use::Numeric),
        ("Datum", Use::Date),
        ("gekündigt", Use::Target),
    ] {
        assert_eq!(one(&proposal, name).to_be, to_be, "{:?}", one(&proposal, name));
    }
    let (json, config) = scene.config();
    assert_eq!(json["ingestion"]["decimal"], ",");
    assert_eq!(json["ingestion"]["date_pattern"], "%d.%m.%Y");
    assert!(config.ingestion.missing_values.contains(&"-".to_owned()));
    assert_eq!(json["schema"]["positive_label"], "ja");
    assert_eq!(json["sources"][0]["format"]["encoding"], "windows-1252");
    assert_eq!(json["sources"][0]["pattern"], "kunden 2024 [[]neu[]].csv");
}

#[test]
fn dates_are_read_by_the_spelling_that_they_have() {
    for (spelling, pattern, two_digits) in [
        ("{d:02}.{m:02}.{y}", Some("%d.%m.%Y"), false),
        ("{d:02}.{m:02}.{yy}", Some("%d.%m.%y"), true),
        ("{m:02}/{d:02}/{yy}", Some("%m/%d/%y"), true),
        ("{m:02}/{d:02}/{y} 09:15:00 PM", Some("%m/%d/%Y %I:%M:%S %p"), false),
        ("{y}-{m:02}-{d:02} 09:15:00+02", None, false),
    ] {
        let scene = Scene::new();
        let row = |i: usize| {
            let (day, month) = (mixed(i, 4, 28) + 1, mixed(i, 5, 12) + 1);
            let date = spelling.replace("{d:02}", &format!("{day:02}"));
            let date = date.replace("{m:02}", &format!("{month:02}"));
            let date = date.replace("{yy}", "24").replace("{y}", "2024");
            format!("{},{date},{}", mixed(i, 1, 9_000), mixed(i, 6, 2))
        };
        scene.file("a.csv", lines("income,opened,left", 300, row));
        let proposal = scene.init("a.csv").proposal;
        let (json, _) = scene.config();
        assert_eq!(json["schema"]["date"][0], "opened", "{spelling}");
        assert_eq!(json["ingestion"]["date_pattern"].as_str(), pattern, "{spelling}");
        let told = proposal.doubts.iter().any(|doubt| doubt.contains("two digits"));
        assert_eq!(told, two_digits, "{spelling}: {:?}", proposal.doubts);
    }
}

#[test]
fn what_gives_the_label_away_is_left_out_and_said() {
    let scene = Scene::new();
    let row = |i: usize| {
        let left = mixed(i, 1, 2);
        let closed = if left == 1 { format!("2024-01-{:02}", 1 + i % 28) } else { String::new() };
        format!("{},{closed},{},{left}", mixed(i, 2, 80), 1_000 * left + mixed(i, 3, 900))
    };
    scene.file("a.csv", lines("age,closed_on,refund,churned", 200, row));
    let initiated = scene.init("a.csv");
    for name in ["closed_on", "refund"] {
        let column = one(&initiated.proposal, name);
        assert!(column.to_be == Use::LeftOut && column.leak, "{column:?}");
    }
    assert!(initiated.to_string().contains("may give the label away"), "{initiated}");
    assert_eq!(scene.config().0["schema"]["numeric"], serde_json::json!(["age"]));
}

#[test]
fn codes_are_categories_and_lines_without_names_are_named() {
    let scene = Scene::new();
    let row = |i: usize| {
        let code = 1 + mixed(i, 1, 6);
        let positive = mixed(i, 2, 100) < [10, 80, 20, 70, 5, 60][code - 1];
        format!("{code},{}.5,{}", mixed(i, 3, 500), u8::from(positive))
    };
    let text = lines("", 1_000, row);
    scene.file("a.csv", text.trim_start());
    let proposal = scene.init("a.csv").proposal;
    assert_eq!(one(&proposal, "column_1").to_be, Use::Categorical);
    assert_eq!(one(&proposal, "column_2").to_be, Use::Numeric);
    assert_eq!(proposal.target.column, "column_3");
    let (json, _) = scene.config();
    assert_eq!(json["sources"][0]["format"]["header"], false);
    assert_eq!(json["ingestion"]["format"]["names"][2], "column_3");
}

#[test]
fn a_folder_is_the_input_folder_and_columns_that_a_file_lacks_are_left_out() {
    let scene = Scene::new();
    let row = |i: usize| format!("{},{},{}", mixed(i, 1, 90), mixed(i, 2, 50), mixed(i, 3, 2));
    scene.file("work/rows/a.csv", lines("x,z,default", 80, row));
    scene.file("work/rows/b.csv", lines("x,more,default", 80, row));
    scene.file("work/rows/notes.txt.bak", "not rows");
    let initiated = scene.init("work/rows");
    assert_eq!(initiated.files, ["a.csv", "b.csv"]);
    assert_eq!(one(&initiated.proposal, "z").why, "not in 1 of 2 files");
    assert_eq!(scene.config().0["input_folder_path"], "rows");

    let other = Scene::new();
    other
        .file("mixed/a.csv", lines("x,y,z,left", 9, row))
        .file("mixed/b.csv", lines("p,q,r", 9, row));
    let said = other.refused(&other.asked("mixed"));
    assert!(
        said.contains("a.csv has x, y, z, left") && said.contains("Name one of them"),
        "{said}"
    );
    std::fs::create_dir(other.at("empty")).unwrap();
    assert!(other.refused(&other.asked("empty")).contains("there is no file of rows"));
}

#[test]
fn what_cannot_be_learned_from_is_refused_with_what_to_do() {
    let scene = Scene::new();
    let three = |i: usize| format!("{},{}", mixed(i, 1, 90), ["a", "b", "c"][i % 3]);
    scene.file("empty.csv", "").file("header.csv", "a,b,c\n");
    scene.file("one.csv", lines("age,left", 30, |i| format!("{i},no")));
    scene.file("three.csv", lines("age,species", 90, three));
    scene.file("text.csv", lines("note,bad", 90, |i| format!("some words on row {i},{}", i % 2)));
    let target =
        |name: &str, target: &str| Asked { target: Some(target.to_owned()), ..scene.asked(name) };
    for (asked, part) in [
        (scene.asked("empty.csv"), "is empty"),
        (scene.asked("header.csv"), "no row below it"),
        (scene.asked("one.csv"), "\"left\" is \"no\" in every row"),
        (target("one.csv", "left"), "all 30 rows have the value \"no\""),
        (scene.asked("three.csv"), "\"species\" has 3: a (30), b (30), c (30)"),
        (target("three.csv", "species"), "\"species\" has 3 values"),
        (
            target("three.csv", "spices"),
            "there is no column \"spices\"; the columns are age, species",
        ),
        (scene.asked("text.csv"), "free text"),
        (scene.asked("nowhere.csv"), "there is no file or folder"),
    ] {
        let said = scene.refused(&asked);
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn nothing_is_overwritten() {
    let scene = Scene::new();
    let row = |i: usize| format!("{},{}", mixed(i, 1, 90), mixed(i, 2, 2));
    scene.file("a.csv", lines("x,churn", 80, row)).file("work/config.json", "mine");
    let again = scene.init_as(&scene.asked("a.csv")).unwrap_err().to_string();
    assert!(again.contains("is there already") && again.contains("--config"), "{again}");
    // A command to be copied: a name with a blank is one word.
    scene.file("my rows.csv", lines("x,churn", 80, row));
    let again = scene.init_as(&scene.asked("my rows.csv")).unwrap_err().to_string();
    assert!(again.contains("my rows.csv\" --config"), "{again}");
    assert_eq!(std::fs::read_to_string(scene.at("work/config.json")).unwrap(), "mine");
    std::fs::remove_file(scene.at("work/config.json")).unwrap();
    scene.file("work/config.md", "my notes");
    let notes = scene.init_as(&scene.asked("a.csv")).unwrap_err().to_string();
    assert!(notes.contains("config.md is there already"), "{notes}");
    std::fs::remove_file(scene.at("work/config.md")).unwrap();
    // Folders of the user's are not those of a workspace.
    scene.file("work/model/mine.txt", "mine");
    scene.init("a.csv");
    assert_eq!(scene.config().0["output_model_path"], "workspace/model");
}

#[test]
fn somebody_at_a_terminal_is_asked_and_can_choose() {
    let scene = Scene::new();
    let row = |i: usize| {
        format!(
            "C{i},{},{},{},{}",
            mixed(i, 1, 90),
            mixed(i, 4, 2),
            mixed(i, 2, 2),
            mixed(i, 3, 90)
        )
    };
    scene.file("a.csv", lines("client_id,x,flag,churn,y", 80, row));
    let config = scene.at("work/config.json");
    let mut answers = ["nope", "flag", "7", "0", "", "churn, y"].into_iter();
    let mut told = String::new();
    let person = Person {
        tell: Box::new(|text| told.push_str(text)),
        ask: Box::new(|_| answers.next().map(str::to_owned)),
    };
    let proposal =
        init::run(&scene.asked("a.csv"), &config, &OnlyFolders, Some(person)).unwrap().proposal;
    assert_eq!((proposal.target.column.as_str(), proposal.target.positive.as_str()), ("flag", "0"));
    assert_eq!(proposal.names(Use::Id), ["client_id"]);
    // Nothing was to be left out, so that nothing was asked about it.
    assert_eq!(proposal.names(Use::LeftOut), [""; 0]);
    assert!(
        told.contains("there is no column \"nope\"") && told.contains("no value \"7\""),
        "{told}"
    );
    assert_eq!(scene.config().0["schema"]["target"], "flag");
}

#[test]
fn the_data_are_not_touched() {
    let scene = Scene::new();
    let row = |i: usize| format!("{},{}", mixed(i, 1, 90), mixed(i, 2, 2));
    scene.file("data/a.csv", lines("x,churn", 80, row));
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().len()))
            .collect::<Vec<_>>()
    };
    let before = list(&scene.at("data"));
    scene.init("data/a.csv");
    assert_eq!(list(&scene.at("data")), before);
    let mut made: Vec<_> = list(&scene.at("work")).into_iter().map(|(name, _)| name).collect();
    made.sort();
    assert_eq!(made, ["config.json", "config.md"]);
}
