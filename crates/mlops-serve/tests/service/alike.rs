//! Rows of JSON that look like the one before them, and those that suddenly do not: in an array each means what it means
//! alone. Not for what a row means: see [`super::formats`].

use serde_json::{Value, json};

use crate::http::Answer;
use crate::scene::{Scene, Service};

/// The number of a generator.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn one_of<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }
}

const NUMBERS: [&str; 16] = [
    "1",
    "-7",
    "0",
    "-0",
    "12.5",
    "0.1",
    "-2.25e2",
    "1E3",
    "123456789012345678",
    "null",
    "\"41\"",
    "\" 7 \"",
    "99.00",
    "1e-320",
    "18446744073709551615",
    "3.141592653589793238",
];
const STRANGE: [&str; 12] = [
    "\"x\"",
    "true",
    "[1]",
    "{}",
    "\"\"",
    "1e400",
    "\"4\\u0031\"",
    "nulll",
    "01",
    "1.",
    "\"a",
    "--1",
];
const COUNTRIES: [&str; 7] =
    ["\"fr\"", "\"de\"", "\"\"", "null", "\"gr\\u00f6\\u00dfer\"", "\"unseen\"", "true"];

/// An array's rows, most of which look like the first one.
fn rows(random: &mut Random, countries: bool) -> Vec<String> {
    let layouts = [("", ""), (" ", " "), ("\n ", ""), ("", "\t")];
    let (gap, colon) = layouts[random.below(layouts.len())];
    let mut rows = Vec::new();
    for _ in 0..12 {
        let odd = random.below(6) == 0;
        let mut number = |name: &str| {
            let strange = odd && random.below(3) == 0;
            let value = if strange { random.one_of(&STRANGE) } else { random.one_of(&NUMBERS) };
            format!("\"{name}\":{colon}{value}")
        };
        let mut fields = vec![number("age"), number("balance")];
        if countries {
            fields.push(format!("\"country\":{colon}{}", random.one_of(&COUNTRIES)));
        }
        if odd {
            match random.below(7) {
                0 => drop(fields.remove(random.below(fields.len()))),
                1 => fields.push(fields[random.below(fields.len())].clone()),
                2 => fields.push("\"more\":[1,{}]".to_owned()),
                3 => fields.swap(0, 1),
                4 => fields.insert(0, "\"customer\":\"c1\"".to_owned()),
                5 => fields[0] = fields[0].replace("age", "\\u0061ge"),
                _ => fields[0] = fields[0].replace("age", "agE"),
            }
        }
        rows.push(format!("{{{gap}{}{gap}}}", fields.join(&format!(",{gap}"))));
    }
    rows
}

fn ask(service: &Service, body: &str) -> Answer {
    service.ask("POST", "/prediction", &[("content-type", "application/json")], body.as_bytes())
}

/// What is said of a row: its probability, or the column and the reason of each fault.
fn said(answer: &Answer) -> Vec<Value> {
    let value = answer.json();
    if answer.status == 200 {
        return value["probabilities"].as_array().unwrap().clone();
    }
    let faults = value["errors"].as_array().unwrap_or_else(|| panic!("{value}")).iter();
    faults.map(|fault| json!([fault["column"], fault["reason"]])).collect()
}

/// Compares arrays with their rows alone; returns how many were answered, had faults, and were no JSON.
fn compare(service: &Service, countries: bool, arrays: usize) -> [usize; 3] {
    let (mut random, mut counts) = (Random(11), [0; 3]);
    for _ in 0..arrays {
        let rows = rows(&mut random, countries);
        let together =
            ask(service, &format!("[{}]", rows.join(random.one_of(&[",", ", ", "\n,"]))));
        let alone: Vec<Answer> = rows.iter().map(|row| ask(service, row)).collect();
        let worst = alone.iter().map(|answer| answer.status).max().unwrap();
        if alone.iter().any(|answer| answer.status == 400) {
            assert_eq!(together.status, 400, "{rows:?}: {}", together.text());
            counts[2] += 1;
            continue;
        }
        assert_eq!(together.status, worst, "{rows:?}: {}", together.text());
        let faulty = |answer: &&Answer| answer.status == worst;
        let expected: Vec<Value> = alone.iter().filter(faulty).flat_map(said).collect();
        assert_eq!(said(&together), expected, "{rows:?}");
        counts[usize::from(worst != 200)] += 1;
    }
    counts
}

#[test]
fn a_row_among_others_that_look_like_it_means_what_it_means_alone() {
    let scene = Scene::deployed(&json!({}));
    let [answered, faulty, broken] = compare(&scene.serve(), true, 150);
    assert!(answered > 5 && faulty > 30 && broken > 20, "{answered} {faulty} {broken}");
}

#[test]
fn rows_of_numbers_too() {
    let schema = json!({ "id": ["customer"], "numeric": ["age", "balance"], "target": "churned",
        "positive_label": "yes", "negative_label": "no" });
    for missing in [json!([]), json!(["NA", "-7", "99", "1000"])] {
        let config = json!({ "schema": schema, "ingestion": { "missing_values": missing } });
        let service = Scene::deployed(&config).serve();
        let [answered, faulty, broken] = compare(&service, false, 150);
        assert!(answered > 5 && faulty > 30 && broken > 20, "{answered} {faulty} {broken}");
        let row = |age: i64| json!({ "age": age, "balance": 1 });
        let ages = [40, -7, 41, 1_000];
        let together = ask(&service, &json!(ages.map(row)).to_string()).json();
        let alone = ages.map(|age| said(&ask(&service, &row(age).to_string()))[0].clone());
        assert_eq!(together["probabilities"], json!(alone));
        let imputed = usize::from(missing != json!([])) * 2;
        assert_eq!(together["imputed"]["age"].as_u64().unwrap_or_default(), imputed as u64);
    }
}
