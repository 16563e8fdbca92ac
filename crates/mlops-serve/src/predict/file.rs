//! Opens a file that a request names, only within the folders of data.
//!
//! A name must lead to a regular file with the extension `.csv` whose real path, links resolved, is
//! in a folder of data. A file elsewhere is reported like a missing one. The real path is opened
//! folder by folder without following links, so that nobody who may write to a folder of data can
//! place a link there between the check and the opening. Not for reading it: see `super::csv`.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use axum::http::StatusCode;
use mlops_core::config::Config;
use rustix::fs::{Mode, OFlags};

use super::json::FileName;
use crate::budget::Share;
use crate::limits::room_for_file;
use crate::problem::Problem;
use crate::state::State;

/// The folders whose files may be named.
fn folders(config: &Config) -> impl Iterator<Item = &Path> {
    let own =
        [&config.test_data, &config.source_folder, &config.input_folder, &config.output_folder];
    own.into_iter().chain(&config.service.data_folders).map(PathBuf::as_path)
}

/// Opens the file that `name` names, and reserves memory for its answer; also returns the file's
/// own name, which tells our data sets from other files.
///
/// # Errors
/// 400 for an invalid name, 404 if there is no such file, 413 if it is too large, 503 without
/// memory for it.
pub(crate) fn open(app: &State, name: &FileName) -> Result<(File, PathBuf, Share), Problem> {
    let settings = app.service();
    let config = &settings.config;
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
    let Some((file, path)) = found else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such file in the folders of data: name it relative to the folder of the \
             configuration or to a folder of data",
        ));
    };
    let size = file.metadata().map_err(|e| Problem::internal(e.to_string()))?.len();
    let limit = config.service.max_file_bytes;
    if size > limit {
        let detail = format!(
            "the file has {size} bytes, over the {limit} of service.max_file_bytes: split it, or \
             use `diagnostics --data`"
        );
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let share = room_for_file(app, size)?;
    Ok((file, path, share))
}

/// The paths that a name may mean: as it is, relative to the configuration, relative to a folder of
/// data. Earlier scripts put their own folder before names that begin with a slash.
fn candidates(config: &Config, path: &Path) -> impl Iterator<Item = PathBuf> {
    let relative = path.strip_prefix("/").unwrap_or(path).to_owned();
    let base = config.file.parent().unwrap_or(Path::new("")).join(&relative);
    let absolute = path.is_absolute().then(|| path.to_owned());
    let within: Vec<PathBuf> = folders(config).map(|folder| folder.join(&relative)).collect();
    absolute.into_iter().chain([base]).chain(within)
}

/// The file at `candidate`, if it really is in a folder of data, with its own name.
fn inside(config: &Config, candidate: &Path) -> Option<(File, PathBuf)> {
    let real = candidate.canonicalize().ok()?;
    if !real.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        return None;
    }
    let mut roots = folders(config).filter_map(|folder| folder.canonicalize().ok());
    let root = roots.find(|root| real.starts_with(root))?;
    let beneath = real.strip_prefix(&root).ok()?;
    let name = PathBuf::from(real.file_name()?);
    Some((beneath_without_links(&root, beneath)?, name))
}

/// Opens the regular file at `path` beneath `root` if no part of `path` is a link.
fn beneath_without_links(root: &Path, path: &Path) -> Option<File> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Opening a pipe would wait for its writer.
    let file = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(root, folder, Mode::empty()).ok()?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return None };
        let flags = if parts.peek().is_some() { folder } else { file };
        at = rustix::fs::openat(&at, name, flags, Mode::empty()).ok()?;
    }
    let file = File::from(at);
    file.metadata().is_ok_and(|m| m.is_file()).then_some(file)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set the scene with plain files")]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_link_that_comes_after_the_look_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir(dir.path().join("secret")).unwrap();
        std::fs::write(dir.path().join("secret/a.csv"), "secret").unwrap();
        std::fs::write(root.join("sub/a.csv"), "open").unwrap();
        let open = |path: &str| {
            beneath_without_links(&root, Path::new(path)).map(|mut file| {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            })
        };
        assert_eq!(open("sub/a.csv").as_deref(), Some("open"));
        // As somebody who races would do, after the real place was found.
        std::fs::rename(root.join("sub"), root.join("away")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("sub")).unwrap();
        assert_eq!(open("sub/a.csv"), None);
        std::os::unix::fs::symlink("../../secret/a.csv", root.join("away/b.csv")).unwrap();
        assert_eq!(open("away/b.csv"), None);
        assert_eq!(open("../secret/a.csv"), None);
        assert_eq!(open("away"), None);
    }
}
