//! `ingestion contract` from outside: what is exported is a document of the Open Data Contract Standard, and
//! what differs from the configuration is listed. Not for what becomes of rows that break a contract.

use std::path::Path;

use mlops_testkit::binary::Binary;
use mlops_testkit::binary::golden::config_with;
use mlops_testkit::binary::scene::Scene;
use serde_json::{Value, json};

const INGESTION: Binary = Binary { name: "ingestion", path: env!("CARGO_BIN_EXE_ingestion") };

const RULES: &str = r#", "contract": {
    "columns": {
        "number_of_employees": {"required": true, "min": 0, "max": 100000, "max_missing_share": 0.07},
        "lastmonth_activity": {"min": 0.5, "severity": "warn"},
        "corporation": {"unique": true, "pattern": "[a-z]+: #1", "allowed": ["b", "a", "yes", "1"]}
    },
    "rows": {"min": 10, "max": 1000, "versus_median": 0.5, "severity": "abort"},
    "batch_rows": {"min": 12, "severity": "warn"},
    "new_columns": "evolve"
}, "sources": [{"name": "crm", "uri": "crm", "columns": {"cust_id": "corporation"}}]"#;

fn scene() -> Scene {
    let scene = Scene::new();
    scene.file("config.json", config_with(RULES));
    scene
}

fn export(scene: &Scene) -> String {
    INGESTION.run(scene.root(), &["contract", "export"]).ends_with(0).stdout
}

/// The differences that a check finds.
fn differences(scene: &Scene, document: &str) -> Vec<[String; 3]> {
    scene.file("odcs.yaml", document);
    let code = INGESTION.run(scene.root(), &["contract", "check", "odcs.yaml", "--json"]);
    let list = code.json()["differences"].as_array().cloned().expect("a list of differences");
    code.ends_with(i32::from(!list.is_empty()));
    let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    list.iter().map(|one| ["what", "file", "configuration"].map(|key| text(&one[key]))).collect()
}

#[test]
fn what_is_exported_agrees_with_the_configuration() {
    let scene = scene();
    let before = scene.files();
    let document = export(&scene);
    assert!(before == scene.files());
    assert!(document.starts_with("apiVersion: v3.1.0\nkind: DataContract\n"), "{document}");
    assert!(differences(&scene, &document).is_empty());
    let text = INGESTION.run(scene.root(), &["contract", "check", "odcs.yaml"]).ends_with(0);
    assert!(text.stdout.contains("says what the configuration says of input, crm"), "{text:#?}");
    // JSON is YAML, too.
    let json = INGESTION.run(scene.root(), &["contract", "export", "--json"]).ends_with(0).json();
    assert!(differences(&scene, &json.to_string()).is_empty());
    let input = &json["schema"][0];
    let column = |name: &str| {
        let columns = input["properties"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).unwrap().clone()
    };
    let id = column("corporation");
    assert_eq!(
        (&id["logicalType"], &id["primaryKey"], &id["unique"]),
        (&"string".into(), &true.into(), &true.into())
    );
    assert_eq!(id["quality"][1]["arguments"], json!({"validValues": ["b", "a", "yes", "1"]}));
    let number = column("number_of_employees");
    assert_eq!((&number["logicalType"], &number["required"]), (&"number".into(), &true.into()));
    let range = json!({"type": "library", "metric": "invalidValues", "mustBe": 0,
        "arguments": {"minimum": 0, "maximum": 100_000}, "severity": "quarantine"});
    assert_eq!(number["quality"][1], range);
    assert_eq!(column("lastmonth_activity")["quality"][0]["severity"], "warn");
    assert_eq!(column("exited")["required"], true, "a row without a label is never taken");
    assert_eq!(
        input["quality"][0],
        json!({"type": "library", "metric": "rowCount",
        "mustBeGreaterOrEqualTo": 10, "severity": "abort"})
    );
    assert_eq!(json["schema"][1]["properties"][0]["physicalName"], "cust_id");
    // The version follows the rules, the id does not.
    let other = Scene::new();
    let other = INGESTION.run(other.root(), &["contract", "export", "--json"]).json();
    assert_eq!(other["id"], json["id"]);
    assert_ne!(other["version"], json["version"]);
}

#[test]
fn what_is_exported_is_valid_by_the_standard() {
    let scene = scene();
    let mut document =
        INGESTION.run(scene.root(), &["contract", "export", "--json"]).ends_with(0).json();
    let standard = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../crates/mlops-odcs/tests/fixtures/odcs-json-schema-v3.1.0.json");
    let standard = std::fs::read_to_string(standard).expect("the fixture");
    let standard: Value = serde_json::from_str(&standard).expect("JSON");
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("odcs.json", standard).expect("a resource");
    let standard = compiler.compile("odcs.json", &mut schemas).expect("a schema");
    if let Err(error) = schemas.validate(&document, standard) {
        panic!("{error:#}\n{document:#}");
    }
    document["schema"][0]["properties"][0]["logicalType"] = "text".into();
    assert!(schemas.validate(&document, standard).is_err(), "the validator finds something");
}

#[test]
fn each_difference_is_listed() {
    let scene = scene();
    let document = export(&scene);
    let changed = |from: &str, to: &str| {
        assert!(document.contains(from), "{from:?} is not in {document}");
        differences(&scene, &document.replacen(from, to, 1))
    };
    let one = |what: &str, file: &str, configuration: &str| {
        vec![[what, file, configuration].map(str::to_owned)]
    };
    assert_eq!(
        changed("maximum: 100000", "maximum: 99"),
        one("number_of_employees: max", "99", "100000")
    );
    assert_eq!(changed("maximum: 100000", "maximum: 100000.0"), [[""; 3]; 0]);
    assert_eq!(
        changed("[a-z]+: #1", "[a-z]+"),
        one("corporation: pattern", "[a-z]+", "[a-z]+: #1")
    );
    assert_eq!(
        changed("- b\n", "- c\n"),
        one("corporation: allowed", "1, a, c, yes", "1, a, b, yes")
    );
    assert_eq!(
        changed("mustBeGreaterOrEqualTo: 10\n", "mustBeGreaterThan: 11\n"),
        one("rows.min", "12", "10")
    );
    assert_eq!(
        changed("severity: warn", "severity: abort"),
        one("lastmonth_activity: severity of min", "abort", "warn")
    );
    assert_eq!(
        changed("name: exited", "name: left"),
        [
            ["exited: column", "–", "there"].map(str::to_owned),
            ["left: column", "there", "–"].map(str::to_owned),
        ]
    );
    assert_eq!(changed("value: evolve", "value: freeze"), one("newColumns", "freeze", "evolve"));
    assert_eq!(changed("value: 12\n", "value: 13\n"), one("batchRowsMin", "13", "12"));
    assert_eq!(changed("name: crm", "name: erp"), one("object", "there", "–"));
    let output = INGESTION.run(scene.root(), &["contract", "check", "odcs.yaml"]).ends_with(1);
    assert!(
        output.stderr.contains("odcs.yaml and the configuration differ: 1 difference"),
        "{output:#?}"
    );
}

#[test]
fn documents_of_others_are_read_and_foreign_rules_told() {
    let scene = Scene::new();
    let document = "apiVersion: v3.0.2\nkind: DataContract\nid: x\nversion: '1'\nstatus: draft\nteam: []\nschema:\n\
        - name: clients\n  physicalType: table\n  properties:\n\
        \x20 - {name: corporation, logicalType: string, primaryKey: true, required: true}\n\
        \x20 - {name: lastmonth_activity, logicalType: integer, logicalTypeOptions: {minimum: 0}}\n\
        \x20 - {name: lastyear_activity}\n\
        \x20 - name: number_of_employees\n    quality: [{type: sql, query: SELECT 1, mustBe: 1}]\n\
        \x20 - {name: exited, required: true}\n";
    let found = differences(&scene, document);
    let found: Vec<_> = found.iter().map(|one| one.each_ref().map(String::as_str)).collect();
    assert_eq!(
        found,
        [
            ["corporation: required", "yes", "–"],
            ["lastmonth_activity: min", "0", "–"],
            [
                "number_of_employees: quality rule 1",
                "rule (sql), which ingestion does not know",
                "–"
            ],
        ]
    );
}

#[test]
fn what_is_no_contract_is_told_in_words() {
    let scene = scene();
    let says = |content: &str, part: &str| {
        scene.file("odcs.yaml", content);
        let output = INGESTION.run(scene.root(), &["contract", "check", "odcs.yaml"]).ends_with(1);
        assert!(output.stderr.contains(part) && output.stderr.lines().count() < 6, "{output:#?}");
    };
    says("a: [", "is not YAML");
    says("just a text", "is not a data contract");
    says("apiVersion: v2.2.2\nkind: DataContract\nschema: []\n", "is not a data contract");
    // Values that repeat themselves by reference.
    let level = |n: usize| format!("x{n}: &x{n} [*x{p}, *x{p}]\n", p = n - 1);
    let bomb = (1..40).map(level).fold("x0: &x0 [1]\n".to_owned(), |all, level| all + &level);
    says(&bomb, "is not YAML");
    let missing = INGESTION.run(scene.root(), &["contract", "check", "no.yaml"]).ends_with(1);
    assert!(missing.stderr.contains("cannot read no.yaml"), "{missing:#?}");
    let unknown =
        INGESTION.run(scene.root(), &["contract", "export", "--source", "cmr"]).ends_with(1);
    assert!(unknown.stderr.contains("did you mean \"crm\"?"), "{unknown:#?}");
    assert_eq!(INGESTION.run(scene.root(), &["contract"]).ends_with(2).stdout, "");
}
