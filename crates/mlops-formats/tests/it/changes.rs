//! The record of changed cells: with it and the data set, each cell of each row that was kept is there as it
//! was in its file, whatever the format, the order of files and the number of runs. Not for how a cell is
//! cleaned.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use mlops_core::csv::change_kind::ChangeKind;
use mlops_core::csv::chunk::ChunkReader;
use mlops_core::csv::formats::{self, CHANGES};
use mlops_core::csv::record::{self, Next, Shape};
use mlops_core::platform::disk::Disk;
use mlops_core::stage::ingest::{Options, replay};
use mlops_core::stage::quarantine::Filter;
use mlops_testkit::{Dead, Fault, Random, Scene};
use serde_json::{Value, json};

use crate::table::{self, COLUMNS, Row};

/// A line of a file of changes: file, part, line, from, to, kind.
type Change = [String; 6];

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Comma-separated: a cell is its text with quotes.
    Texts,
    /// Another format: a cell is its content.
    Contents,
}

struct Generated {
    /// The rows as they are in the file, and whether each can be used.
    rows: Vec<(Row, bool)>,
}

/// A number in one of its spellings.
fn number(random: &mut Random, comma: bool) -> String {
    let value = random.below(5_000_000);
    let whole = value / 100;
    let point = if comma { ',' } else { '.' };
    let thousands = if comma { '.' } else { ',' };
    let grouped = if whole >= 1000 {
        format!("{}{thousands}{:03}", whole / 1000, whole % 1000)
    } else {
        whole.to_string()
    };
    match random.below(14) {
        0 => format!("{grouped}{point}{:02}", value % 100),
        1 => grouped,
        2 => format!("00{whole}"),
        3 => format!("{whole}{point}0"),
        4 => format!("+{whole}"),
        5 => format!("{whole}e0"),
        6 => random.pick(&["NA", "?", "n/a", "-999", "-999e0", "null"]).to_owned(),
        7 => String::new(),
        8 => format!("-{whole}{point}50"),
        9 => "-0".to_owned(),
        _ => whole.to_string(),
    }
}

/// A cell with what may stand around it.
fn around(random: &mut Random, cell: String) -> String {
    match random.below(12) {
        0 => format!(" {cell}"),
        1 => format!("{cell}  "),
        2 => format!("{cell}\u{200b}"),
        3 => format!("\u{feff}{cell}"),
        4 => format!("\t{cell} "),
        _ => cell,
    }
}

/// The row with this number before anything stands around its cells, and whether it can be used.
fn row(number_of_row: usize, comma: bool) -> ([String; 5], bool) {
    let random = &mut Random(number_of_row as u64 * 7919 + 1);
    let id = match random.below(6) {
        0 => format!("M\u{fc}ller, {number_of_row}"),
        1 => format!("6\" pipe {number_of_row}"),
        _ => format!("c{number_of_row}"),
    };
    let kinds = ["red", "a, b", "say \"hi\"", "NA", "", "5\" pipe", "two words"];
    let kind = random.pick(&kinds).to_owned();
    let label = random.pick(&["yes", "no", "YES", "No", "nO"]);
    let label = match random.below(50) {
        0 => "maybe",
        1 => "",
        _ => label,
    };
    let usable = !label.is_empty() && label != "maybe";
    let [a, b] = [number(random, comma), number(random, comma)];
    ([id, a, b, kind, label.to_owned()], usable)
}

/// Rows with numbers from `first` on, of which some are there more than once, in other spellings.
fn generated(random: &mut Random, first: usize, count: usize, comma: bool) -> Generated {
    let mut rows: Vec<(Row, bool)> = Vec::new();
    for i in 0..count {
        let repeats = i > 3 && random.one_in(8);
        let (cells, usable) = row(first + if repeats { random.below(i) } else { i }, comma);
        let cells = cells.into_iter().map(|cell| Some(around(random, cell)));
        rows.push((cells.collect(), usable));
    }
    Generated { rows }
}

/// As comma-separated text with needless and needed quotes, blanks beside quotes, blank lines and all line
/// ends; the rows become what stands between the commas.
fn messy(random: &mut Random, generated: &mut Generated) -> String {
    let mut order = [0, 1, 2, 3, 4];
    let shift = random.below(5);
    order.rotate_left(shift);
    let mut text = order.iter().map(|at| COLUMNS[*at]).collect::<Vec<_>>().join(",") + ",extra\n";
    for (row, _) in &mut generated.rows {
        for cell in row.iter_mut().flatten() {
            let needed = cell.contains([',', '\n', '\r']);
            let literal =
                cell.starts_with('"') || !needed && cell.contains('"') && random.one_in(2);
            if needed || (!literal && (cell.contains('"') || random.one_in(6))) {
                *cell = format!("\"{}\"", cell.replace('"', "\"\""));
                if random.one_in(4) {
                    cell.push(' ');
                } else if !needed && random.one_in(4) {
                    cell.insert(0, ' ');
                }
            }
        }
        let cells: Vec<&str> = order.iter().map(|at| row[*at].as_deref().unwrap()).collect();
        text += &(cells.join(",") + ",x");
        text += random.pick(&["\n", "\n", "\r\n", "\r", "\n\n"]);
    }
    text
}

fn config(comma: bool, more: &Value) -> Value {
    let mut config = json!({
        "ingestion": {
            "record_changes": "all", "max_rejected_share": 1.0,
            "missing_values": ["", "NA", "?", "n/a", "-999", "null"],
            "decimal": if comma { "," } else { "." },
        },
        "schema": {
            "id": ["corporation"], "numeric": &COLUMNS[1..3], "categorical": &COLUMNS[3..4],
            "target": "exited", "positive_label": "yes", "negative_label": "no",
        },
    });
    for (section, keys) in more.as_object().unwrap() {
        for (key, value) in keys.as_object().unwrap() {
            config[section][key] = value.clone();
        }
    }
    config
}

fn scene(comma: bool, more: &Value) -> Scene {
    mlops_formats::install();
    Scene::with(&config(comma, more))
}

/// The lines of a file of changes, by row and column.
fn changes(scene: &Scene, name: &str) -> BTreeMap<(u64, String), Vec<Change>> {
    let path = scene.path(name);
    let options = mlops_core::config::Ingestion::default().verbatim();
    let (opened, _) = formats::open(&path, &options, &CHANGES.map(str::to_owned), 1).unwrap();
    let mut reader = ChunkReader::of(opened, &path, 1 << 16);
    let mut found: BTreeMap<_, Vec<Change>> = BTreeMap::new();
    if reader.header().unwrap().is_none() {
        return found;
    }
    let shape = Shape { width: CHANGES.len(), max_bytes: usize::MAX };
    let (mut chunk, mut fields) = (Vec::new(), Vec::new());
    while reader.next_chunk(&mut chunk, shape).unwrap().is_some() {
        let mut at = 0;
        while at < chunk.len() {
            let Next::Record { end, .. } = record::next(&chunk, at, shape, &mut fields) else {
                panic!("no record at {at}")
            };
            let cell = |i: usize| {
                let text =
                    String::from_utf8(chunk[fields[i].start..fields[i].end].to_vec()).unwrap();
                if fields[i].escaped { text.replace("\"\"", "\"") } else { text }
            };
            let key = (cell(0).parse().unwrap(), cell(4));
            let change = [cell(1), cell(2), cell(3), cell(5), cell(6), cell(7)];
            found.entry(key).or_default().push(change);
            at = end;
        }
    }
    found
}

/// A data set of either form as CSV text.
fn data_set(scene: &Scene, name: &str) -> String {
    let path = scene.path(name);
    let options = mlops_core::config::Ingestion::default().verbatim();
    let (opened, _) = formats::open(&path, &options, &COLUMNS.map(str::to_owned), 2).unwrap();
    let mut reader = ChunkReader::of(opened, &path, 1 << 16);
    reader.header().unwrap();
    let shape = Shape { width: COLUMNS.len(), max_bytes: usize::MAX };
    let (mut chunk, mut text) = (Vec::new(), COLUMNS.join(",") + "\n");
    while reader.next_chunk(&mut chunk, shape).unwrap().is_some() {
        text += std::str::from_utf8(&chunk).unwrap();
    }
    text
}

/// The cells of each row of a data set: as text and as content.
fn cells(data: &str) -> Vec<Vec<(String, String)>> {
    let shape = Shape { width: COLUMNS.len(), max_bytes: usize::MAX };
    let (mut at, mut fields, mut rows) = (data.find('\n').unwrap() + 1, Vec::new(), Vec::new());
    while at < data.len() {
        let Next::Record { end, .. } = record::next(data.as_bytes(), at, shape, &mut fields) else {
            panic!("no record at {at}")
        };
        let cell = |field: &record::Field| {
            let (content, quotes) = (&data[field.start..field.end], usize::from(field.quoted));
            let text = &data[field.start - quotes..field.end + quotes];
            let content =
                if field.escaped { content.replace("\"\"", "\"") } else { content.to_owned() };
            (text.to_owned(), content)
        };
        rows.push(fields.iter().map(cell).collect());
        at = end;
    }
    rows
}

/// What identifies a row, however its id is spelt.
fn identity(id: &str, form: Form) -> String {
    let around = |c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}');
    let bare = id.trim_matches(around);
    if form == Form::Texts && bare.len() > 1 && bare.starts_with('"') && bare.ends_with('"') {
        return bare[1..bare.len() - 1].trim_matches(around).replace("\"\"", "\"");
    }
    bare.to_owned()
}

/// Holds the data set and its changes against the rows of the files, in the order in which they were taken.
/// Returns the number of rebuilt cells that differ from those of the data set.
fn check(
    data: &str,
    all: &BTreeMap<(u64, String), Vec<Change>>,
    files: &[(&str, Form, &Generated)],
    what: &str,
) -> usize {
    let mut sources: HashMap<String, (&str, Form, &Row)> = HashMap::new();
    for (name, form, generated) in files {
        for (row, _) in generated.rows.iter().filter(|(_, usable)| *usable) {
            let id = identity(row[0].as_deref().unwrap_or_default(), *form);
            sources.entry(id).or_insert((name, *form, row));
        }
    }
    let rows = cells(data);
    assert_eq!(rows.len(), sources.len(), "{what}");
    let mut rebuilt = 0;
    for (at, row) in rows.iter().enumerate() {
        let (name, form, source) = sources[&row[0].1];
        for (column, (text, content)) in row.iter().enumerate() {
            let is = if form == Form::Texts { text } else { content };
            let was = source[column].as_deref().unwrap_or_default();
            let key = (at as u64 + 1, COLUMNS[column].to_owned());
            let Some(changes) = all.get(&key) else {
                assert_eq!(is, was, "{what}: row {} of {name}, {}", key.0, key.1);
                continue;
            };
            rebuilt += 1;
            for [file, _, _, from, to, kind] in changes {
                assert_eq!((from.as_str(), to), (was, is), "{what}: {key:?} {kind}");
                assert!(from != to && file.starts_with(name), "{what}: {key:?} {file}");
            }
            let kinds: Vec<&String> = changes.iter().map(|change| &change[5]).collect();
            assert!(kinds.is_sorted_by_key(|kind| kind.parse::<ChangeKind>().unwrap()));
        }
    }
    assert_eq!(rebuilt, all.len(), "{what}: no change of a cell that is not there");
    rebuilt
}

/// Contents as they are in the file, for formats that keep them.
fn contents(random: &mut Random, ids: usize, count: usize, comma: bool) -> Generated {
    let mut generated = generated(random, ids, count, comma);
    for (row, _) in &mut generated.rows {
        for cell in row.iter_mut().flatten() {
            // A decoder may take an empty cell and none for the same; blanks at the ends of others stay.
            *cell = cell.replace(['\t', '\u{feff}'], " ");
        }
    }
    generated
}

fn rows(generated: &Generated) -> Vec<Row> {
    generated.rows.iter().map(|(row, _)| row.clone()).collect()
}

#[test]
fn each_cell_of_each_kept_row_can_be_rebuilt() {
    let mut kinds: BTreeMap<ChangeKind, usize> = BTreeMap::new();
    for seed in 0..24 {
        let mut random = Random(seed);
        let comma = seed % 3 == 1;
        let scene = scene(comma, &json!({"limits": {"threads": 1 + seed % 3}}));
        let mut files = Vec::new();
        for (at, name) in ["a.csv", "b.csv.gz", "c.csv"].into_iter().enumerate() {
            let mut generated = generated(&mut random, at * 60, 100, comma);
            let text = messy(&mut random, &mut generated);
            let packed = at == 1;
            let bytes = if packed { table::gzip(text.as_bytes()) } else { text.into_bytes() };
            scene.file(&format!("in/{name}"), bytes);
            files.push((name, Form::Texts, generated));
        }
        let report = scene.ingest().unwrap();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        let files: Vec<_> = files.iter().map(|(name, form, rows)| (*name, *form, rows)).collect();
        let all = changes(&scene, "out/changes3.parquet");
        let data = scene.read("out/finaldata3.csv");
        assert!(check(&data, &all, &files, &format!("seed {seed}")) > 100);
        // The records count what the file has.
        let mut counted: BTreeMap<(String, ChangeKind), u64> = BTreeMap::new();
        for file in &report.files {
            let cells = file.counts.cells.as_ref().unwrap();
            for (column, counts) in &cells.columns {
                for (kind, count) in counts {
                    *counted.entry((column.clone(), *kind)).or_default() += count;
                }
            }
        }
        let mut lines: BTreeMap<(String, ChangeKind), u64> = BTreeMap::new();
        for ((_, column), changes) in &all {
            for change in changes {
                let kind: ChangeKind = change[5].parse().unwrap();
                *lines.entry((column.clone(), kind)).or_default() += 1;
                *kinds.entry(kind).or_default() += 1;
            }
        }
        assert_eq!(counted, lines);
    }
    let all = ChangeKind::ALL.iter().filter(|kind| **kind != ChangeKind::Discarded);
    for kind in all {
        let comma = *kind != ChangeKind::DecimalComma;
        assert!(kinds.get(kind).is_some_and(|n| *n > 10) || !comma, "{kind}: {kinds:?}");
    }
}

#[test]
fn cells_of_other_formats_can_be_rebuilt() {
    for seed in 0..6 {
        let mut random = Random(100 + seed);
        let comma = seed % 2 == 1;
        let generated = contents(&mut random, 0, 150, comma);
        let table = rows(&generated);
        let snappy = parquet::basic::Compression::SNAPPY;
        let mut sheet = vec![COLUMNS.map(|name| Some(name.to_owned())).to_vec()];
        sheet.extend(table.iter().cloned());
        let mut files = vec![
            ("t.csv", table::delimited(&table, ';', '"').into_bytes()),
            ("t.csv", table::delimited(&table, '|', '\'').into_bytes()),
            ("t.tsv", table::delimited(&table, '\t', '"').into_bytes()),
            ("t.parquet", table::parquet(&table, 40, snappy)),
        ];
        if !comma {
            // Numbers of these are typed.
            files.push(("t.jsonl", table::lines(&table).into_bytes()));
            files.push(("t.xlsx", table::workbook(&[("Clients", sheet)])));
        }
        for (name, bytes) in files {
            let scene = scene(comma, &json!({}));
            scene.file(&format!("in/{name}"), bytes);
            let report = scene.ingest().unwrap();
            assert!(report.failures.is_empty(), "{name}: {:?}", report.failures);
            let all = changes(&scene, "out/changes1.parquet");
            let data = scene.read("out/finaldata1.csv");
            check(&data, &all, &[(name, Form::Contents, &generated)], &format!("{name}, {seed}"));
            let parts = all.values().flatten().all(|change| change[1].is_empty());
            assert_eq!(parts, !["t.parquet", "t.xlsx"].contains(&name), "{name}");
        }
    }
}

/// Duplicates that are found at the end, a version on top of another, a corrected file, a file that is
/// gone, and a replay.
#[test]
fn versions_that_follow_have_the_changes_of_their_rows() {
    versions_follow("csv");
    versions_follow("parquet");
}

/// The same with data sets in this form.
fn versions_follow(form: &str) {
    let mut random = Random(77);
    let forgiving = |all: bool| {
        let shape = if all { "evolve" } else { "discard_row" };
        json!({
            "limits": {"memory_mib": 32, "threads": 1}, "contract": {"type_changes": shape},
            "output": {"csv": form == "csv", "parquet": form == "parquet"},
        })
    };
    let scene = scene(false, &forgiving(false));
    let mut written = |scene: &Scene, name: &str, ids: usize| {
        let mut generated = generated(&mut random, ids, 120, false);
        // A number that is none.
        generated.rows[5].0[1] = Some("many".to_owned());
        generated.rows[5].0[0] = Some(format!("many{ids}"));
        generated.rows[5].1 = false;
        generated.rows.truncate(120);
        let text = messy(&mut random, &mut generated);
        scene.file(&format!("in/{name}"), &text);
        generated
    };
    let mut a = written(&scene, "a.csv", 0);
    scene.ingest().unwrap();
    let b = written(&scene, "b.csv", 60);
    scene.ingest().unwrap();
    let join = |names: &[&str]| {
        let mut all = BTreeMap::new();
        for name in names {
            let more = changes(&scene, name);
            assert!(!more.is_empty() && more.keys().all(|key| !all.contains_key(key)), "{name}");
            all.extend(more);
        }
        all
    };
    let files = [("a.csv", Form::Texts, &a), ("b.csv", Form::Texts, &b)];
    let data = data_set(&scene, &format!("out/finaldata2.{form}"));
    check(&data, &join(&["out/changes1.parquet", "out/changes2.parquet"]), &files, "two runs");
    // b.csv is gone when a.csv is corrected: its rows come from the last data set.
    fs::remove_file(scene.path("in/b.csv")).unwrap();
    let c = written(&scene, "a.csv", 1000);
    let report = scene.ingest().unwrap();
    assert!(report.superseded > 0, "{report}");
    // Rows of b.csv that equalled rows of the old a.csv are lost, as ever.
    let mut left = Generated { rows: b.rows.clone() };
    let seen: Vec<String> = usable(&a);
    left.rows.retain(|(row, _)| !seen.contains(&identity(row[0].as_deref().unwrap(), Form::Texts)));
    let data = data_set(&scene, &format!("out/finaldata3.{form}"));
    let files = [("a.csv", Form::Texts, &c), ("b.csv", Form::Texts, &left)];
    check(&data, &join(&["out/changes3.parquet"]), &files, "corrected");
    // A replay takes a row whose number is none, and leaves the others as they are.
    scene.configure(&config(false, &forgiving(true)));
    let filter = Filter { file: Some("a.csv".to_owned()), ..Filter::default() };
    let context = scene.context().unwrap();
    let mut workspace = context.open("a test").unwrap();
    let replayed = replay::replay(&context, &mut workspace, &filter).unwrap();
    drop(workspace);
    assert_eq!(replayed.taken, 1, "{replayed:?}");
    a = c;
    a.rows[5].1 = true;
    let files = [("a.csv", Form::Texts, &a), ("b.csv", Form::Texts, &left)];
    let data = data_set(&scene, &format!("out/finaldata4.{form}"));
    let all = join(&["out/changes4.parquet"]);
    check(&data, &all, &files, "replayed");
    assert!(all.values().flatten().any(|change| change[5] == "discarded"));
    // A rebuild without the key leaves no file.
    scene.configure(&config(false, &json!({"ingestion": {"record_changes": "sample"}})));
    let options = Options { rebuild: true, partial: true, ..Options::default() };
    let report = scene.ingest_with(options).unwrap();
    assert!(report.changes.is_none() && report.to_string().contains("for example"), "{report}");
}

/// On top of many rows, duplicates are found when all files were read.
#[test]
fn rows_that_turn_out_to_be_duplicates_have_no_changes() {
    let scene = scene(false, &json!({}));
    let base = 100_001;
    let header = COLUMNS.join(",") + "\n";
    let plain: Vec<String> = (0..base).map(|i| format!("p{i},{i},1,red,no\n")).collect();
    scene.file("in/a.csv", header.clone() + &plain.concat());
    scene.ingest().unwrap();
    let mut random = Random(9);
    let mut generated = generated(&mut random, 0, 120, false);
    let text = messy(&mut random, &mut generated);
    // Before them rows that are there already, in other spellings.
    let again: Vec<String> = (0..50).map(|i| format!(" p{i},{i}.0,\"1\",red,NO\n")).collect();
    scene.file("in/b.csv", &text);
    scene.file("in/aa.csv", header + &again.concat() + "q, 7,1,red,no\n");
    let report = scene.ingest().unwrap();
    assert_eq!(report.files.iter().map(|file| file.counts.duplicates_across).sum::<u64>(), 50);
    let data = scene.read("out/finaldata3.csv");
    let (mut lines, mut all) = (data.lines(), changes(&scene, "out/changes3.parquet"));
    let header = lines.next().unwrap();
    assert!(all.keys().all(|(row, _)| *row > base), "{:?}", all.keys().next());
    let first = all.remove(&(base + 1, COLUMNS[1].to_owned())).unwrap();
    assert_eq!(first, [["aa.csv", "", "52", " 7", "7", "trimmed"].map(str::to_owned)]);
    let rest = data.split_inclusive('\n').skip(usize::try_from(base).unwrap() + 2);
    let rest = format!("{header}\n{}", rest.collect::<String>());
    let all = all.into_iter().map(|((row, column), of)| ((row - base - 1, column), of)).collect();
    check(&rest, &all, &[("b.csv", Form::Texts, &generated)], "with an index");
}

fn usable(generated: &Generated) -> Vec<String> {
    let rows = generated.rows.iter().filter(|(_, usable)| *usable);
    rows.map(|(row, _)| identity(row[0].as_deref().unwrap(), Form::Texts)).collect()
}

/// What a run that ends at any step leaves is put in order by the next one: all files or none.
#[test]
fn a_kill_leaves_all_files_or_none() {
    let mut random = Random(5);
    let mut generated = generated(&mut random, 0, 60, false);
    let text = messy(&mut random, &mut generated);
    let fresh = || {
        let scene = scene(false, &json!({}));
        scene.file("in/t.csv", &text);
        scene
    };
    let mut scene = fresh();
    let counter = Fault::never();
    scene.disk = counter.disk();
    scene.ingest().unwrap();
    let files = ["out/finaldata1.csv", "out/changes1.parquet", "out/quarantine1.csv"];
    let expected = files.map(|name| fs::read(scene.path(name)).unwrap());
    let steps = counter.steps().len();
    for step in 0..steps {
        let mut scene = fresh();
        scene.disk = Dead::from(step);
        let _ = scene.ingest();
        scene.disk = Disk::default();
        scene.ingest().unwrap_or_else(|e| panic!("step {step} of {steps}: {e}"));
        for (name, expected) in files.iter().zip(&expected) {
            let found = fs::read(scene.path(name)).unwrap_or_default();
            assert!(found == *expected, "{name}, step {step} of {steps}");
        }
        let left = fs::read_dir(scene.path("out")).unwrap();
        let names: Vec<String> =
            left.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        assert!(!names.iter().any(|name| name.contains("tmp")), "step {step}: {names:?}");
    }
}
