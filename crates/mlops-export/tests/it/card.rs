//! The model card: what it says, and its metadata as Hugging Face's own reader understands them. Not for figures.

use std::process::Command;

use mlops_core::stage::score::Score;
use mlops_export::{Form, Options};
use mlops_testkit::{Scene, not_run, variable};
use serde_json::{Value, json};

use crate::scenes::deployed;

const READ: &str = r"
import json, sys
try:
    from huggingface_hub import ModelCard
except ImportError:
    sys.exit('missing')
card = ModelCard.load(sys.argv[1])
data = card.data.to_dict()
data['figures'] = {r.metric_type: r.metric_value for r in card.data.eval_results}
data['text'] = card.text
print(json.dumps(data))
";

fn card(scene: &Scene) -> (String, String, Score) {
    let context = scene.context().unwrap();
    let options = Options { release: None, forms: &[Form::Card], table: "", to: None };
    let folder = mlops_export::run(&context, &options).unwrap().folder;
    let live = context.store().live_release().unwrap();
    let score = mlops_core::release::parse(&live.folder.join("score.json")).unwrap();
    let path = folder.join("README.md");
    (std::fs::read_to_string(&path).unwrap(), path.display().to_string(), score)
}

/// The configuration with this section.
fn with(scene: &Scene, card: &Value) {
    let mut config: Value = serde_json::from_str(&scene.read("config.json")).unwrap();
    config["card"] = card.clone();
    scene.file("config.json", config.to_string());
}

#[test]
fn it_has_the_figures_of_the_release_and_the_words_of_people() {
    let scene = deployed("plain");
    let (text, _, score) = card(&scene);
    assert!(text.contains("Nobody has said so far: `card.intended_use`"), "{text}");
    let f1 = format!("| F1 | {:.4} |", score.evaluation.f1);
    assert!(text.contains(&f1) && text.contains("above **0.5**"), "{text}");
    assert!(text.contains("`it's so`") && text.contains(r#"y "q" z"#), "{text}");
    assert_eq!(text, card(&scene).0, "equal releases give equal cards");
    with(
        &scene,
        &json!({"intended_use": "Who is to be called.", "limits": ["Only Norway."],
        "out_of_scope": ["Credit.", "Prices."], "contact": "ada@example.org"}),
    );
    let (text, ..) = card(&scene);
    for words in
        ["\nWho is to be called.\n", "\n- Only Norway.\n", "\n- Credit.\n- Prices.\n", "ada@"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn hugging_face_reads_its_metadata() {
    let scene = deployed("pooled");
    let title = "Leavers: \"2026\" # no comment\n---";
    with(&scene, &json!({"title": title, "license": "mit", "language": "en"}));
    let (_, path, score) = card(&scene);
    let python = variable("PYTHON").unwrap_or_else(|| "python3".to_owned());
    let Ok(told) = Command::new(python).args(["-c", READ, &path]).output() else {
        return not_run("no Python");
    };
    let err = String::from_utf8_lossy(&told.stderr);
    if err.trim() == "missing" {
        return not_run("no huggingface_hub");
    }
    assert!(told.status.success(), "{err}");
    let found: Value = serde_json::from_slice(&told.stdout).unwrap();
    let live = scene.context().unwrap().store().live().unwrap().unwrap();
    assert_eq!(found["license"], "mit");
    assert_eq!(found["language"], "en");
    assert_eq!(found["pipeline_tag"], "tabular-classification");
    assert_eq!(found["model-index"][0]["name"], title);
    assert_eq!((&found["release"], &found["threshold"]), (&json!(live), &json!(0.3)));
    let e = &score.evaluation;
    for (name, value) in [("f1", Some(e.f1)), ("recall", Some(e.recall)), ("roc_auc", e.roc_auc)] {
        assert_eq!(
            found["figures"][name].as_f64().map(f64::to_bits),
            value.map(f64::to_bits),
            "{name}"
        );
    }
    assert!(found["text"].as_str().unwrap().contains("## Limits"));
}
