//! A file that a request names: found in the folders of data, and nowhere else.
//!
//! A name leads to a regular file with the ending `.csv` whose real place, after every link, lies
//! in a folder of data. What stands elsewhere is not told apart from what is not there.
//! Not for reading it: see `super::csv`.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use axum::http::StatusCode;
use mlops_core::config::Config;

use super::json::FileName;
use crate::problem::Problem;

/// The folders whose files may be named.
fn folders(config: &Config) -> impl Iterator<Item = &Path> {
    let own =
        [&config.test_data, &config.source_folder, &config.input_folder, &config.output_folder];
    own.into_iter().chain(&config.service.data_folders).map(PathBuf::as_path)
}

/// Opens the file that `name` means.
///
/// # Errors
/// 400 for a name that cannot be one, 404 for one that leads to nothing, 413 for one too large.
pub(crate) fn open(config: &Config, name: &FileName) -> Result<File, Problem> {
    let path = match (&name.path, &name.data, &name.name) {
        (Some(path), None, None) | (None, Some(path), None) | (None, None, Some(path)) => {
            PathBuf::from(path)
        }
        (None, Some(folder), Some(file)) => Path::new(folder).join(file.trim_start_matches('/')),
        _ => {
            let advice =
                "name one file: \"filepath\", or \"file_name\" with or without \"data_path\"";
            return Err(Problem::malformed(advice));
        }
    };
    let strange = path.as_os_str().is_empty()
        || path.as_os_str().as_encoded_bytes().contains(&0)
        || path.components().any(|c| matches!(c, Component::ParentDir));
    if strange {
        return Err(Problem::malformed("the name of a file must not be empty or contain \"..\""));
    }
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        return Err(Problem::malformed("only files with the ending .csv are read"));
    }
    let found = candidates(config, &path).find_map(|candidate| inside(config, &candidate));
    let Some(file) = found else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such file in the folders of data: name it relative to the folder of the \
             configuration or to a folder of data",
        ));
    };
    let size = file.metadata().map_err(|_| Problem::internal())?.len();
    let limit = config.service.max_file_bytes;
    if size > limit {
        let detail = format!(
            "the file has {size} bytes, over the {limit} of service.max_file_bytes: split it, or \
             use `diagnostics --data`"
        );
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(file)
}

/// Where a name may lead: as it is, from the folder of the configuration, from a folder of data.
/// Earlier scripts put their own folder before names that begin with a slash.
fn candidates(config: &Config, path: &Path) -> impl Iterator<Item = PathBuf> {
    let relative = path.strip_prefix("/").unwrap_or(path).to_owned();
    let base = config.file.parent().unwrap_or(Path::new("")).join(&relative);
    let absolute = path.is_absolute().then(|| path.to_owned());
    let within: Vec<PathBuf> = folders(config).map(|folder| folder.join(&relative)).collect();
    absolute.into_iter().chain([base]).chain(within)
}

/// The file at `candidate`, if it really lies in a folder of data.
fn inside(config: &Config, candidate: &Path) -> Option<File> {
    let real = candidate.canonicalize().ok()?;
    let mut roots = folders(config).filter_map(|folder| folder.canonicalize().ok());
    let csv = real.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    // Looked at before it is opened: opening a pipe would wait for its writer.
    let regular = real.metadata().is_ok_and(|m| m.is_file());
    if !csv || !regular || !roots.any(|root| real.starts_with(root)) {
        return None;
    }
    mlops_core::files::open(&real).map(|(file, _)| file).ok()
}
