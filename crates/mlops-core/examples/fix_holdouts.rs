//! Gives the draw of hold-outs of a workspace a known secret, so that `fullprocess` sets the same rows
//! aside whenever it is run on the same data: for `docs/transcript.sh`. Not for a workspace that
//! somebody relies on: anyone who knows the secret knows which rows will be held out.

use std::path::Path;
use std::sync::Arc;

use mlops_core::config::Config;
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::Context;
use mlops_core::{Error, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, key] = arguments.as_slice() else {
        return Err(Error::data("usage: fix_holdouts CONFIG KEY"));
    };
    let key = key.parse().map_err(|_| Error::data("KEY must be a whole number"))?;
    let config = Config::load(Path::new(config))?;
    let context =
        Context::new(config, Arc::new(SystemClock::default()), Disk::default(), "example");
    context.open("fix_holdouts")?.ledger.fix_holdout_key(key)
}
