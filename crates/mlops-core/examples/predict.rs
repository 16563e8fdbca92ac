//! Predictions for a CSV file with a model that was read from its file, in a temporary folder.
//!
//! `cargo run -p mlops-core --example predict`. Not for a service: see `app`.

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::path::Path;
use std::sync::Arc;

use mlops_core::csv::reader::RowReader;
use mlops_core::model::{Predictor, artifact};
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::platform::files;
use mlops_core::release::ARTIFACT;
use mlops_core::stage::{ingest, train};
use mlops_core::{Config, Context, Error, Model, Result};
use serde_json::json;

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context(folder.path())?;
    make_model(&context)?;

    let path = context.config.output_model.join(ARTIFACT);
    let bytes = files::read(&path).map_err(|e| Error::io("read", &path, e))?;
    let model: Model = artifact::decode(&bytes, "the example's model")?;

    let clients = context.config.test_data.join("testdata.csv");
    let reader = RowReader::prediction(&model.schema, &context.config.ingestion).with_ids();
    let predictor = Predictor::new(&model);
    reader.read(&clients, |table| {
        let predictions = predictor.predict(table);
        for (row, prediction) in predictions.rows.iter().enumerate() {
            let id = table.ids.first().map_or("", |ids| ids.get(row));
            match prediction {
                Some(found) => {
                    let label = model.label(found.positive);
                    println!("{id}: {label} ({:.4})", found.probability);
                }
                None => println!("{id}: no prediction, a value is missing"),
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Ingests the files and trains, as `train_and_score` shows.
fn make_model(context: &Context) -> Result<()> {
    let mut workspace = context.open("example")?;
    let options = ingest::Options::default();
    ingest::run(context, &mut workspace, context.config.input(), options)?;
    train::run(context, &mut workspace)?;
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
