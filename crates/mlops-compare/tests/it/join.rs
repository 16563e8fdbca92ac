//! The join behind `diagnostics compare` against a naive one of whole files in memory, for any number
//! of threads and any memory. Not for files, names and refusals: see `command`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mlops_compare::{CellDifference, Comparison, EXAMPLES, Request, Resources, Side, Tolerance};
use mlops_core::Result;
use mlops_core::config::Ingestion;
use mlops_core::platform::disk::Disk;
use mlops_core::table::schema::{Schema, SchemaFields};
use mlops_testkit::{Random, folder, repetitions};

/// What is compared, and how.
struct Case {
    left: Vec<Vec<String>>,
    right: Vec<Vec<String>>,
    on: Vec<String>,
    tolerance: Tolerance,
}

/// Cells of one row, `None` where missing, keys first.
type Cells = Vec<String>;

/// The result that matters, from either implementation.
#[derive(Debug, PartialEq)]
struct Figures {
    both: u64,
    left_only: u64,
    right_only: u64,
    repeated: [u64; 4],
    unpaired: [u64; 3],
    unpaired_equal: bool,
    different: u64,
    columns: Vec<(u64, u64, Vec<CellDifference>)>,
    repeated_keys: BTreeMap<Cells, [u64; 2]>,
    left_examples: Vec<Cells>,
    right_examples: Vec<Cells>,
    lines: Vec<String>,
}

fn schema() -> Schema {
    let of = |name: &str| vec![name.to_owned()];
    Schema::new(SchemaFields {
        id: &of("id"),
        numeric: &of("number"),
        categorical: &of("kind"),
        target: "label",
        positive_label: "yes",
        negative_label: Some("no"),
        ..SchemaFields::default()
    })
}

const COLUMNS: [&str; 5] = ["id", "number", "kind", "label", "free"];

/// Rows of canonical cells, few enough of each that keys repeat and files share rows.
fn table(random: &mut Random, rows: usize, variety: usize) -> Vec<Cells> {
    let mut table = Vec::new();
    for _ in 0..rows {
        let number = match random.below(4) {
            0 => String::new(),
            1 => format!("{}.5", random.below(3)),
            _ => random.below(variety).to_string(),
        };
        table.push(vec![
            format!("k{}", random.below(variety)),
            number,
            random.pick(&["", "a", "b,c", "d \"e\"", "two\nlines"]).to_owned(),
            random.pick(&["yes", "no", "maybe", ""]).to_owned(),
            random.pick(&["", "007", "1", "2.5", "x y"]).to_owned(),
        ]);
    }
    table
}

/// The table as a file with columns in another order, an extra one, and other spellings.
fn spelt(random: &mut Random, table: &[Cells], extra: Option<&str>) -> String {
    let mut order: Vec<usize> = (0..COLUMNS.len()).collect();
    if random.one_in(2) {
        for i in (1..order.len()).rev() {
            order.swap(i, random.below(i + 1));
        }
    }
    let messy = random.one_in(2);
    let mut text = String::new();
    let line_end = if random.one_in(3) { "\r\n" } else { "\n" };
    let names: Vec<&str> = order.iter().map(|i| COLUMNS[*i]).chain(extra).collect();
    text += &(names.join(",") + line_end);
    for row in table {
        let mut cells = Vec::new();
        for i in &order {
            let cell = row[*i].clone();
            let quotes = cell.contains(['"', ',', '\n']);
            let spelling = match (COLUMNS[*i], cell.as_str()) {
                ("number", "") if messy => random.pick(&["", "NA", " null "]).to_owned(),
                ("number", n) if messy && !n.contains('.') => random
                    .pick(&[format!("0{n}"), format!("{n}.0"), format!(" {n}")].each_ref())
                    .clone(),
                ("kind", "") if messy => "NA".to_owned(),
                ("label", "yes") if messy => "YES".to_owned(),
                ("free", "1") if messy => "1.0".to_owned(),
                _ if quotes || (messy && random.one_in(5)) => {
                    format!("\"{}\"", cell.replace('"', "\"\""))
                }
                _ if messy && random.one_in(5) => format!(" {cell} "),
                _ => cell,
            };
            cells.push(spelling);
        }
        cells.extend(extra.map(|_| random.below(9).to_string()));
        text += &(cells.join(",") + line_end);
    }
    text
}

fn close(left: &str, right: &str, t: Tolerance) -> Option<bool> {
    let (l, r): (f64, f64) = (left.parse().ok()?, right.parse().ok()?);
    Some((l - r).abs() <= t.abs.max(t.rel * l.abs().max(r.abs())))
}

fn line(cells: &[&[String]], more: &[&str]) -> String {
    let quoted = |cell: &String| {
        if cell.contains(['"', ',', '\n']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    let cells = cells.iter().flat_map(|part| part.iter().map(quoted));
    cells.chain(more.iter().map(|m| (*m).to_owned())).collect::<Vec<_>>().join(",")
}

/// The join as one would write it without thinking of size.
#[expect(clippy::too_many_lines, reason = "an oracle in one piece can be read against the rules")]
fn naive(case: &Case, order: &[usize]) -> Figures {
    let keyed = !case.on.is_empty();
    let keys = if keyed { case.on.len() } else { order.len() };
    let ordered = |table: &[Cells]| -> Vec<Cells> {
        table.iter().map(|row| order.iter().map(|i| row[*i].clone()).collect()).collect()
    };
    let (left, right) = (ordered(&case.left), ordered(&case.right));
    let mut groups: BTreeMap<Cells, [Vec<usize>; 2]> = BTreeMap::new();
    for (side, rows) in [&left, &right].into_iter().enumerate() {
        for (i, row) in rows.iter().enumerate() {
            groups.entry(row[..keys].to_vec()).or_default()[side].push(i);
        }
    }
    let mut f = Figures {
        both: 0,
        left_only: 0,
        right_only: 0,
        repeated: [0; 4],
        unpaired: [0; 3],
        unpaired_equal: true,
        different: 0,
        columns: vec![(0, 0, Vec::new()); order.len() - keys],
        repeated_keys: BTreeMap::new(),
        left_examples: Vec::new(),
        right_examples: Vec::new(),
        lines: Vec::new(),
    };
    let (mut unpaired_left, mut unpaired_right) = (Vec::new(), Vec::new());
    for (key, [l, r]) in &groups {
        let counts = [l.len() as u64, r.len() as u64];
        if l.len() > 1 {
            f.repeated[0] += 1;
            f.repeated[1] += counts[0];
        }
        if r.len() > 1 {
            f.repeated[2] += 1;
            f.repeated[3] += counts[1];
        }
        if l.len() > 1 || r.len() > 1 {
            f.repeated_keys.insert(key.clone(), counts);
        }
        let open = keyed && !l.is_empty() && !r.is_empty() && (l.len() > 1 || r.len() > 1);
        if open {
            f.unpaired[0] += 1;
            f.unpaired[1] += counts[0];
            f.unpaired[2] += counts[1];
            unpaired_left.extend(l.iter().map(|i| left[*i].clone()));
            unpaired_right.extend(r.iter().map(|i| right[*i].clone()));
        } else {
            let both = counts[0].min(counts[1]);
            f.both += both;
            f.left_only += counts[0] - both;
            f.right_only += counts[1] - both;
        }
    }
    unpaired_left.sort();
    unpaired_right.sort();
    f.unpaired_equal = unpaired_left == unpaired_right;
    let mut seen: BTreeMap<&[String], usize> = BTreeMap::new();
    let missing = vec![String::new(); order.len() - keys];
    for (i, row) in left.iter().enumerate() {
        let (key, rest) = row.split_at(keys);
        let [l, r] = &groups[key];
        let counts = format!("{}:{}", l.len(), r.len());
        let nth = seen.entry(key).or_default();
        *nth += 1;
        if (keyed && r.is_empty()) || (!keyed && *nth > r.len()) {
            f.left_examples.push(row.clone());
            f.lines.push(if keyed {
                line(&[key, rest, &missing], &[&counts, "left_only"])
            } else {
                line(&[row], &["left_only"])
            });
            continue;
        }
        if !keyed {
            f.lines.push(line(&[row], &["both"]));
            continue;
        }
        if l.len() > 1 || r.len() > 1 {
            f.lines.push(line(&[key, rest, &missing], &[&counts, "both"]));
            continue;
        }
        let partner = &right[r[0]][keys..];
        assert_eq!(l[0], i);
        f.lines.push(line(&[key, rest, partner], &[&counts, "both"]));
        let mut equal = true;
        for (c, (a, b)) in rest.iter().zip(partner).enumerate() {
            let name = COLUMNS[order[keys + c]];
            let numeric = match name {
                "number" => true,
                "free" | "label" => ![a, b].iter().any(|t| t.starts_with("00")),
                _ => false,
            };
            if a == b {
                continue;
            }
            if numeric && close(a, b, case.tolerance) == Some(true) {
                f.columns[c].1 += 1;
                continue;
            }
            equal = false;
            f.columns[c].0 += 1;
            f.columns[c].2.push(CellDifference {
                key: key.to_vec(),
                left: a.clone(),
                right: b.clone(),
            });
        }
        f.different += u64::from(!equal);
    }
    let mut seen: BTreeMap<&[String], usize> = BTreeMap::new();
    for row in &right {
        let (key, rest) = row.split_at(keys);
        let [l, r] = &groups[key];
        let counts = format!("{}:{}", l.len(), r.len());
        let nth = seen.entry(key).or_default();
        *nth += 1;
        if (keyed && l.is_empty()) || (!keyed && *nth > l.len()) {
            f.right_examples.push(row.clone());
            f.lines.push(if keyed {
                line(&[key, &missing, rest], &[&counts, "right_only"])
            } else {
                line(&[row], &["right_only"])
            });
        } else if keyed && (l.len() > 1 || r.len() > 1) {
            f.lines.push(line(&[key, &missing, rest], &[&counts, "both"]));
        }
    }
    f.left_examples.truncate(EXAMPLES);
    f.right_examples.truncate(EXAMPLES);
    f.columns.iter_mut().for_each(|c| c.2.truncate(EXAMPLES));
    f
}

fn figures(c: &Comparison, lines: Vec<String>) -> Figures {
    let r = &c.repeated;
    Figures {
        both: c.both,
        left_only: c.left_only,
        right_only: c.right_only,
        repeated: [r.keys[0], r.rows[0], r.keys[1], r.rows[1]],
        unpaired: [r.unpaired_keys, r.unpaired_rows[0], r.unpaired_rows[1]],
        unpaired_equal: r.unpaired_equal,
        different: c.differences.rows,
        columns: c
            .differences
            .columns
            .iter()
            .map(|d| (d.cells, d.tolerated, d.examples.clone()))
            .collect(),
        repeated_keys: r.examples.iter().map(|e| (e.key.clone(), e.rows)).collect(),
        left_examples: c.left_only_examples.clone(),
        right_examples: c.right_only_examples.clone(),
        lines,
    }
}

/// Compares `left.csv` with `right.csv` in `dir` and gives the joined file too.
fn compare(
    dir: &Path,
    case: &Case,
    (threads, memory): (usize, usize),
) -> Result<(Comparison, String)> {
    let (left, right) = (dir.join("left.csv"), dir.join("right.csv"));
    let (schema, options, disk) = (schema(), Ingestion::default(), Disk::default());
    let output = dir.join("joined.csv");
    let compared = mlops_compare::compare(&Request {
        left: Side { path: &left, recorded: false },
        right: Side { path: &right, recorded: false },
        on: &case.on,
        tolerance: case.tolerance,
        schema: &schema,
        options: &options,
        output: Some(&output),
        means: Resources { disk: &disk, scratch: dir, threads, memory },
        there: None,
        progress: &|_, _, _| {},
    })?;
    compared.joined.unwrap().0.publish(true)?;
    Ok((compared.comparison, fs::read_to_string(output).unwrap()))
}

/// Lines of a CSV file whose quoted cells may hold newlines.
fn records(text: &str) -> Vec<String> {
    let (mut records, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        quoted ^= c == '"';
        match (c, records.last_mut()) {
            ('\n', _) if !quoted => records.push(String::new()),
            (c, Some(last)) => last.push(c),
            _ => {}
        }
    }
    assert_eq!(records.pop().as_deref(), Some(""), "it ends with a newline");
    records
}

#[test]
fn it_finds_what_a_naive_join_finds_with_any_threads_and_memory() {
    let dir = folder();
    for seed in 0..repetitions(25, 3000) {
        let mut random = Random(seed);
        let sizes = [0, 1, 7, 60, 700].map(|n| n + random.below(3));
        let (lefts, rights) = (random.pick(&sizes), random.pick(&sizes));
        let variety = random.pick(&[2, 30, 1000]);
        let left = table(&mut random, lefts, variety);
        let mut right = table(&mut random, rights, variety);
        // Some rows of the left file too, some with a cell changed.
        for row in &left {
            if random.one_in(2) {
                let mut row = row.clone();
                if random.one_in(3) {
                    let i = random.below(4) + 1;
                    row[i] = table(&mut random, 1, variety)[0][i].clone();
                }
                right.push(row);
            }
        }
        let on: &[&str] = random.pick(&[&[][..], &["id"], &["free", "id"], &["number"]]);
        let tolerance = random.pick(&[(0.0, 0.0), (1.0, 0.0), (0.0, 0.6)]);
        let case = Case {
            left,
            right,
            on: on.iter().map(|name| (*name).to_owned()).collect(),
            tolerance: Tolerance { abs: tolerance.0, rel: tolerance.1 },
        };
        let extra = random.one_in(3).then_some("more");
        let left_text = spelt(&mut random, &case.left, extra);
        fs::write(dir.path().join("left.csv"), &left_text).unwrap();
        fs::write(dir.path().join("right.csv"), spelt(&mut random, &case.right, None)).unwrap();

        let (first, text) = compare(dir.path(), &case, (1, usize::MAX)).unwrap();
        let position = |name: &String| COLUMNS.iter().position(|c| c == name).unwrap();
        let columns = &first.columns;
        let order: Vec<usize> = columns.on.iter().chain(&columns.compared).map(position).collect();
        let mut expected = naive(&case, &order);
        let lines = records(&text);
        let header = lines[0].clone();
        let mut found = figures(&first, lines[1..].to_vec());
        // The first of many repeated keys: each is one, and there are as many as there can be.
        let keys = std::mem::take(&mut expected.repeated_keys);
        let examples = std::mem::take(&mut found.repeated_keys);
        assert_eq!(examples.len(), keys.len().min(EXAMPLES), "seed {seed}");
        assert!(examples.iter().all(|(key, rows)| keys[key] == *rows), "seed {seed}: {examples:?}");
        assert_eq!(found, expected, "seed {seed}, on {:?}", case.on);
        assert_eq!(first.rows, [case.left.len() as u64, case.right.len() as u64]);
        let extras: Vec<&str> = extra.into_iter().collect();
        assert_eq!(first.columns.left_only, extras);
        assert!(first.unreadable.iter().all(|u| u.rows == 0), "{first:#?}");
        let plain = found.left_only + found.right_only + found.different == 0;
        assert_eq!(first.equal, plain && found.unpaired_equal && extra.is_none());
        assert!(header.ends_with("_merge"), "{header}");

        for (threads, memory) in [(3, usize::MAX), (1, 30_000), (2, 60_000), (3, 0)] {
            let (again, bytes) = compare(dir.path(), &case, (threads, memory)).unwrap();
            assert_eq!(again, first, "seed {seed}: {threads} threads, {memory} bytes");
            assert!(bytes == text, "seed {seed}: {threads} threads, {memory} bytes");
        }
        assert_eq!(fs::read_to_string(dir.path().join("left.csv")).unwrap(), left_text);
        let names: BTreeSet<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["joined.csv", "left.csv", "right.csv"].map(Into::into).into());
    }
}
