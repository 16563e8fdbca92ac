//! From the CSV files of the repository to a model and its score, in a temporary folder.
//!
//! `cargo run -p mlops-core --example train_and_score`. Not for a release: see `first_run`.

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::path::Path;
use std::sync::Arc;

use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::stage::{ingest, score, train};
use mlops_core::{Config, Context, Result};
use serde_json::json;

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context(folder.path())?;
    let mut workspace = context.open("example")?;

    let options = ingest::Options::default();
    let ingested = ingest::run(&context, &mut workspace, context.config.input(), options)?;
    println!("{} rows of {} files", ingested.rows, ingested.files.len());

    let trained = train::run(&context, &mut workspace)?;
    println!("trained on {} rows, {} positive", trained.data.rows, trained.data.positives);
    let features = trained.card.features.iter().zip(&trained.card.coefficients);
    for (feature, coefficient) in features {
        println!("  {feature}: {coefficient:+.4}");
    }

    let score = score::run(&context, &mut workspace)?;
    let found = &score.evaluation;
    println!("F1 {:.4}, accuracy {:.4} on {} test rows", found.f1, found.accuracy, found.n);
    Ok(())
}

/// A context for the shipped data, with everything that is made in `folder`.
fn context(folder: &Path) -> Result<Context> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let config = json!({
        "input_folder_path": data.join("practicedata"),
        "test_data_path": data.join("testdata"),
        "output_folder_path": "ingested",
        "output_model_path": "model",
        "prod_deployment_path": "live",
    });
    let config = Config::parse(&config.to_string(), &folder.join("config.json"))?;
    Ok(Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "example"))
}
