//! Joins of reference files that pandas made, which are not part of the repository.

use std::fs;

use mlops_compare::command::{self, Options};
use mlops_testkit::reference::{names, newest_data, reference, scene_of};
use serde_json::{Value, json};

#[test]
#[ignore = "needs the reference files: MLOPS_REFERENCE=folder"]
fn reference_files_are_joined_as_expected() {
    let folder = reference();
    let text = fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let ingested = ["practice", "source"].map(|name| {
        let scene = scene_of(&folder, &names(&expected[name]));
        scene.ingest().unwrap();
        let data = newest_data(&scene);
        (scene, data)
    });
    let (one, two) =
        (folder.join("practicedata/dataset1.csv"), folder.join("practicedata/dataset2.csv"));
    for (case, left, right, on) in [
        ("compare_dataset1_dataset2_all_columns", &one, &two, None),
        ("compare_dataset1_dataset2_on_corporation", &one, &two, Some("corporation")),
        (
            "compare_practice_source_on_corporation",
            &ingested[0].1,
            &ingested[1].1,
            Some("corporation"),
        ),
    ] {
        let options = Options {
            left: left.display().to_string(),
            right: right.display().to_string(),
            on: on.map(str::to_owned).into_iter().collect(),
            ..Options::default()
        };
        let found = command::run(&ingested[0].0.context().unwrap(), &options).unwrap().comparison;
        let figures = json!({
            "both": found.both, "left_only": found.left_only, "right_only": found.right_only,
        });
        assert_eq!(figures, expected["compare"][case], "{case}");
        assert_eq!(found.repeated.keys, [0, 0]);
    }
}
