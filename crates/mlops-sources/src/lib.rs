//! The sources that rows are fetched from (programs, object stores, databases, web servers), and the
//! databases that receive data sets.
//!
//! When something is fetched, and what is done with it, is in `mlops_core::stage::land`. Only the
//! programs that ingest link this crate, since its libraries are heavy. Secrets come from the
//! environment, under the names that each service uses everywhere, and appear in no message.

mod command;
mod destination;
mod environment;
mod hosts;
mod postgres;
mod server;
mod sqlite;
mod store;
mod table;
mod tls;
mod web;
mod worker;

use mlops_core::config;
use mlops_core::config::OutputTable;
use mlops_core::config::sources::{Place, without_secrets};
use mlops_core::destination::Destination;
use mlops_core::source::{Around, Places, Source};
use mlops_core::{Error, Result};

use environment::Environment;

/// All places that there are.
#[derive(Debug, Clone)]
pub struct Everywhere {
    environment: Environment,
}

impl Everywhere {
    /// With the secrets in the environment of this process.
    pub fn new() -> Self {
        Self { environment: Environment::of_process() }
    }

    /// With these variables for an environment.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        Self { environment: Environment::only(variables) }
    }
}

impl Default for Everywhere {
    fn default() -> Self {
        Self::new()
    }
}

impl Places for Everywhere {
    fn open(&self, source: &config::Source, around: &Around<'_>) -> Result<Box<dyn Source>> {
        match &source.place {
            Place::Command(words) => Ok(Box::new(command::Program::new(source, words, around))),
            Place::Folder(folder) => {
                Err(Error::data(format!("{} is read in place", folder.display())))
            }
            Place::Address(uri) => match uri.split(':').next().unwrap_or_default() {
                "s3" | "gs" | "az" => {
                    Ok(Box::new(store::Bucket::new(source, uri, &self.environment)?))
                }
                "http" | "https" => Ok(Box::new(web::Page::new(source, uri)?)),
                "postgres" | "postgresql" => {
                    Ok(Box::new(postgres::Rows::new(source, uri, &self.environment)?))
                }
                "sqlite" => Ok(Box::new(sqlite::File::new(source, uri, around))),
                _ => Err(Error::data(format!(
                    "{} is not a place that this program can reach",
                    without_secrets(uri)
                ))),
            },
        }
    }
    fn destination(
        &self,
        table: &OutputTable,
        around: &Around<'_>,
    ) -> Result<Box<dyn Destination>> {
        match table.file(around.base) {
            Some(path) => Ok(Box::new(destination::sqlite::File::open(table, &path)?)),
            None => Ok(Box::new(destination::postgres::Server::open(table, &self.environment)?)),
        }
    }
}
