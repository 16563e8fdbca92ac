//! What a cell, a label, a header and a line are, in whole workspaces: decimal commas, whole numbers,
//! missing and unknown labels, CR line ends, characters that nobody sees. Not for single rules: see the
//! tests beside `csv::clean` and `csv::number`; not for random files: see `partition`.

use serde_json::json;

use crate::ingestion::{reason, record};
use mlops_testkit::{HEADER, Scene};

const SMALL: &str = "id,x,y\n";

fn small(more: &[(&str, serde_json::Value)]) -> Scene {
    let mut schema = json!({"id": ["id"], "numeric": ["x"], "target": "y"});
    let mut config = json!({});
    for (key, value) in more {
        match key.split_once('.') {
            Some(("schema", key)) => schema[key] = value.clone(),
            Some((section, key)) => config[section][key] = value.clone(),
            None => config[*key] = value.clone(),
        }
    }
    config["schema"] = schema;
    Scene::with(&config)
}

#[test]
fn a_file_with_a_decimal_comma_is_refused_until_the_comma_is_configured() {
    let text = format!("{SMALL}a,\"0,125\",0\nb,\"1,500\",1\nc,\"12,75\",0\nd,2,1\n");
    let scene = small(&[]);
    scene.file("in/a.csv", &text);
    let report = scene.ingest().unwrap();
    let why = reason(&report, "a.csv");
    assert!(why.contains("line 2") && why.contains("ingestion.decimal"), "{why}");
    assert!(!report.new_version);

    let scene = small(&[("ingestion.decimal", json!(","))]);
    scene.file("in/a.csv", &text);
    let report = scene.ingest().unwrap();
    let rows = "a,0.125,0\nb,1.5,1\nc,12.75,0\nd,2,1\n";
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{SMALL}{rows}"));
    assert_eq!(record(&report, "a.csv").counts.changes.decimal_comma, 3);
    // Our own data set goes on being canonical, whatever is configured.
    scene.file("in/b.csv", format!("{SMALL}e,\"1.234,5\",0\na,\"0,1250\",0\n"));
    scene.ingest().unwrap();
    assert_eq!(scene.read("out/finaldata2.csv"), format!("{SMALL}{rows}e,1234.5,0\n"));
    scene.file("in/c.csv", format!("{SMALL}f,0.5,0\n"));
    let report = scene.ingest().unwrap();
    assert!(reason(&report, "c.csv").contains("decimal point"), "{}", reason(&report, "c.csv"));
}

#[test]
fn whole_numbers_are_one_row_however_spelt() {
    let scene = small(&[]);
    let rows = "b,9007199254740993,1\nb,9007199254740993.0,1\nb,9.007199254740993e15,1\n\
                b,9007199254740992,1\n";
    scene.file("in/a.csv", format!("{SMALL}{rows}"));
    scene.ingest().unwrap();
    let expected = "b,9007199254740993,1\nb,9007199254740992,1\n";
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{SMALL}{expected}"));
}

#[test]
fn a_missing_label_is_no_class_wherever_it_stands() {
    for (at, spelling) in [(0, "NA"), (100, "NA"), (50, "?"), (0, "#N/A"), (99, "n/a"), (3, "")] {
        let scene = small(&[("schema.positive_label", json!("yes"))]);
        let label = |i: usize| if i.is_multiple_of(2) { "yes" } else { "no" };
        let mut rows: Vec<String> = (0..100).map(|i| format!("c{i},{i},{}\n", label(i))).collect();
        let clean = rows.concat();
        rows.insert(at, format!("u,5,{spelling}\n"));
        scene.file("in/a.csv", format!("{SMALL}{}", rows.concat()));
        scene.ingest().unwrap();
        assert_eq!(scene.read("out/finaldata1.csv"), format!("{SMALL}{clean}"));
        let quarantine = scene.read("out/quarantine1.csv");
        assert!(quarantine.contains("MISSING LABEL"), "{quarantine}");
    }
}

#[test]
fn the_negative_label_does_not_depend_on_the_order_of_rows() {
    let mut rows = ["a,1,yes\n", "b,2,NO\n", "c,3,no\n", "d,4,No\n"];
    for _ in 0..rows.len() {
        rows.rotate_left(1);
        let scene = small(&[("schema.positive_label", json!("yes"))]);
        scene.file("in/a.csv", format!("{SMALL}{}", rows.concat()));
        scene.ingest().unwrap();
        let found = scene.read("out/finaldata1.csv");
        assert_eq!(found.matches(",no\n").count(), 3, "{found}");
    }
    let mut rows = ["a,1,yes\n", "b,2,no\n", "c,3,no\n", "d,4,may be\n"];
    for _ in 0..rows.len() {
        rows.rotate_left(1);
        let scene = small(&[("schema.positive_label", json!("yes"))]);
        scene.file("in/a.csv", format!("{SMALL}{}", rows.concat()));
        let report = scene.ingest().unwrap();
        let why = reason(&report, "a.csv");
        assert!(why.contains("schema.negative_label"), "{why}");
        assert!(why.contains("\"no\" 2, \"may be\" 1, \"yes\" 1"), "{why}");
    }
    // A column that holds no labels at all is refused in few words.
    let scene = small(&[("schema.positive_label", json!("yes"))]);
    let rows: String = (0..5_000).map(|i| format!("a{i},1,label number {i}\n")).collect();
    scene.file("in/a.csv", format!("{SMALL}{rows}"));
    let report = scene.ingest().unwrap();
    assert!(reason(&report, "a.csv").len() < 2_000);
    assert!(reason(&report, "a.csv").contains("4,990 more"), "{}", reason(&report, "a.csv"));
}

#[test]
fn carriage_returns_alone_end_lines_and_keep_their_numbers() {
    let scene = small(&[("ingestion.max_rejected_share", json!(0.5))]);
    scene.file("in/a.csv", "id,x,y\ra,1,0\rb,\"2\",1\rc,x,1\r\nd,4,0\n\"e\rf\",5,1\rg,?,0");
    let report = scene.ingest().unwrap();
    let expected = "a,1,0\nb,2,1\nd,4,0\n\"e\rf\",5,1\ng,,0\n";
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{SMALL}{expected}"));
    let counts = &record(&report, "a.csv").counts;
    assert_eq!((counts.changes.carriage_return, counts.changes.crlf), (3, 0));
    let quarantine = scene.read("out/quarantine1.csv");
    assert!(quarantine.contains("a.csv,4,"), "{quarantine}");
}

#[test]
fn invisible_characters_are_removed_and_counted() {
    let scene = small(&[]);
    let text =
        "\u{feff}\u{feff}id,\u{200b}x,y\na,1,0\n\u{feff}b,2,1\na\u{200b},1,0\nc,3\u{200b},1\n";
    scene.file("in/a.csv", text);
    let report = scene.ingest().unwrap();
    let expected = "a,1,0\nb,2,1\nc,3,1\n";
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{SMALL}{expected}"));
    let changes = record(&report, "a.csv").counts.changes;
    assert_eq!((changes.byte_order_mark, changes.invisible), (2, 4));
}

#[test]
fn unnamed_and_repeated_columns_that_nobody_needs_are_no_obstacle() {
    let scene = small(&[]);
    scene.file("in/a.csv", ",id,note,x,note,y\n0,a,n,1,n,0\n1,b,n,2,n,1\n");
    scene.file("in/b.csv", "\"\",id,x,y\n\"1\",c,3,0\n");
    scene.file("in/c.csv", "id,x,x,y\nd,3,3,0\n");
    let report = scene.ingest().unwrap();
    let rows = "a,1,0\nb,2,1\nc,3,0\n";
    assert_eq!(scene.read("out/finaldata2.csv"), format!("{SMALL}{rows}"));
    assert_eq!(record(&report, "a.csv").counts.extra_columns, ["column 1", "note", "note"]);
    assert_eq!(record(&report, "b.csv").counts.extra_columns, ["column 1"]);
    assert!(reason(&report, "c.csv").contains("\"x\" twice (columns 2 and 3)"));
}

#[test]
fn row_names_without_a_name_in_the_header_are_recognised() {
    let scene = small(&[]);
    scene.file("in/a.csv", "\"id\",\"x\",\"y\"\n\"1\",\"a\",1,0\n\"2\",\"b\",2,1\n");
    scene.file("in/b.csv", "id,x,y\n1,a,1,0\nc,2,1\n");
    let report = scene.ingest().unwrap();
    let hint = "the name of the first column is missing";
    assert!(reason(&report, "a.csv").contains(hint), "{}", reason(&report, "a.csv"));
    // Here the header fits some of the rows.
    assert!(!reason(&report, "b.csv").contains(hint), "{}", reason(&report, "b.csv"));
}

#[test]
fn thousands_of_extra_columns_are_counted_and_ten_are_named() {
    let scene = small(&[]);
    let extra = |cell: &dyn Fn(u32) -> String| (0..3000).map(cell).collect::<Vec<_>>().join(",");
    let (names, cells) = (extra(&|i| format!("e{i}")), extra(&|_| "1".to_owned()));
    scene.file("in/a.csv", format!("id,x,y,{names}\na,1,0,{cells}\nb,2,1,{cells}\n"));
    let report = scene.ingest().unwrap();
    let counts = &record(&report, "a.csv").counts;
    assert_eq!((counts.extra_columns.len(), counts.extra_left_out), (10, 2990));
    assert!(report.to_string().contains("e8, e9 and 2,990 more"), "{report}");
}

#[test]
fn a_wide_header_is_refused_in_few_words() {
    let scene = Scene::new();
    let names: String = (0..16_000).map(|i| format!("column{i},")).collect();
    scene.file("in/a.csv", format!("{names}\u{1b}[2J\n"));
    scene.rows("in/b.csv", "c,1,2,3,0\n");
    let report = scene.ingest().unwrap();
    let why = reason(&report, "a.csv");
    assert!(why.len() < 2_000 && why.contains("15,991 more") && !why.contains('\u{1b}'), "{why}");
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{HEADER}c,1,2,3,0\n"));
}

#[test]
fn a_decimal_comma_is_seen_behind_another_bad_cell() {
    let schema = [("schema.numeric", json!(["a", "x"]))];
    for bad in ["oops,\"0,125\"", "\"1,2,3\",\"-0,5\"", "1_000,\"12,75\"", "0x10,\" 1.234,5 \""] {
        let mut config = schema.to_vec();
        config.push(("ingestion.max_rejected_share", json!(0.9)));
        let scene = small(&config);
        scene.file("in/a.csv", format!("id,a,x,y\nq,{bad},0\nr,2,\"1,500\",1\ns,3,4,0\n"));
        let report = scene.ingest().unwrap();
        let why = reason(&report, "a.csv");
        assert!(why.contains("line 2") && why.contains("(column x)"), "{bad}: {why}");
        assert!(!report.new_version, "{bad}");
    }
}

#[test]
fn files_of_the_first_ingestion_teach_the_negative_label_together() {
    let rows = |prefix: &str, other: &str, n: usize| -> String {
        let label = |i: usize| if i.is_multiple_of(2) { "yes" } else { other };
        (0..n).map(|i| format!("{prefix}{i},{i},{}\n", label(i))).collect()
    };
    // Whichever comes first, neither of two labels is taken for the negative one.
    for (first, second) in [("maybe", "no"), ("no", "maybe")] {
        let scene = small(&[("schema.positive_label", json!("yes"))]);
        scene.file("in/a.csv", format!("{SMALL}{}", rows("a", first, 50)));
        scene.file("in/b.csv", format!("{SMALL}{}", rows("b", second, 400)));
        let error = scene.ingest().unwrap_err().to_string();
        assert!(error.contains("b.csv") && error.contains("schema.negative_label"), "{error}");
        assert!(error.contains(first) && error.contains(&format!("\"{second}\" 200")), "{error}");
        assert!(!scene.path("out/finaldata1.csv").exists());
        let schema = json!({"id": ["id"], "numeric": ["x"], "target": "y",
                            "positive_label": "yes", "negative_label": second});
        scene.configure(&json!({"schema": schema}));
        assert_eq!(scene.ingest().unwrap().rows, 400, "the other file has too many other labels");
    }
    // A file that has several by itself is doubtful, the others are not.
    for at in ["a.csv", "c.csv"] {
        let scene = small(&[("schema.positive_label", json!("yes"))]);
        scene.file(&format!("in/{at}"), format!("{SMALL}{}z,1,maybe\n", rows("a", "no", 50)));
        scene.file("in/b.csv", format!("{SMALL}{}", rows("b", "no", 50)));
        let report = scene.ingest().unwrap();
        assert!(reason(&report, at).contains("schema.negative_label"));
        assert_eq!(report.rows, 50);
    }
}

#[test]
fn spellings_of_one_label_are_counted_together() {
    let scene = small(&[("schema.positive_label", json!("true"))]);
    let rows = "a,1,True\nb,2,False\nc,1,TRUE\nd,1,false\ne,1,'false'\nf,1, FALSE \n";
    scene.file("in/a.csv", format!("{SMALL}{rows}"));
    let report = scene.ingest().unwrap();
    let why = reason(&report, "a.csv");
    assert!(why.contains("\"false\" 3, \"True\" 2, \"'false'\" 1"), "{why}");
}

#[test]
fn a_number_that_stands_for_a_missing_value_does_so_however_it_is_spelt() {
    let scene = small(&[("ingestion.missing_values", json!(["-999", " none "]))]);
    let rows = "a,-999,1\nb,-999.0,0\nc,-9.99e2,1\nd,\" -0999 \",0\ne,none,1\nf,999,0\ng,0,1\n";
    scene.file("in/a.csv", format!("{SMALL}{rows}"));
    scene.ingest().unwrap();
    let expected = "a,,1\nb,,0\nc,,1\nd,,0\ne,,1\nf,999,0\ng,0,1\n";
    assert_eq!(scene.read("out/finaldata1.csv"), format!("{SMALL}{expected}"));
}

#[test]
fn names_that_are_not_text_or_look_alike_are_told_apart() {
    let utf16: Vec<u8> = "id,x,y\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let cases: [(&[u8], &str); 9] = [
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "compressed"),
        (b"PK\x03\x04\x14\x00", "workbook"),
        (b"PAR1\x15\x04", "binary format"),
        (&utf16, "UTF-16"),
        (b"id|x|y\n1|2|0\n", "'|'"),
        (b"ID,X,Y\n1,2,0\n", "\"ID\" is spelt differently from \"id\""),
        ("id,\u{445},y\n1,2,0\n".as_bytes(), "\"\\u{445}\" is spelt differently from \"x\""),
        (b"id,x,Y_\n1,2,0\n", "\"Y_\" is spelt"),
        (b"Report of 2024\nid,x,y\n", "is its first line a header?"),
    ];
    for (content, expected) in cases {
        let scene = small(&[]);
        scene.file("in/a.csv", content);
        let report = scene.ingest().unwrap();
        let why = reason(&report, "a.csv");
        assert!(why.contains(expected) && why.len() < 400, "{why}");
    }
    let scene = small(&[("schema.numeric", json!(["gr\u{f6}\u{df}e"]))]);
    scene.file("in/a.csv", "id,gro\u{308}\u{df}e,y\n1,2,0\n");
    let report = scene.ingest().unwrap();
    let why = reason(&report, "a.csv");
    assert!(why.contains(r"gro\u{308}\u{df}e") && why.contains(r"gr\u{f6}"), "{why}");
}
