//! The project that `init` writes: small, made up, the same bytes each time, with flaws whose causes a run then names.
//!
//! Its legacy training set is computed by plain loops, not by the engines that will replay it.

mod data;
mod tables;

use std::path::Path;

use crate::error::{Error, Result};
use crate::finding::Finding;

const CONFIG: &str = include_str!("../../templates/init/backcast.toml");
const SQL: &str = include_str!("../../templates/init/queries/user_activity.sql");

/// Writes the project into a folder that is empty or not there; the paths of its files.
///
/// # Errors
/// Bad input where the folder holds anything; what writing meets.
pub fn write(folder: &Path) -> Result<Vec<String>> {
    let failed = |e: std::io::Error| Error::storage(format!("write `{}`", folder.display()), e);
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => {
            return Err(Error::input(
                Finding::error(format!("`{}` is not empty", folder.display()))
                    .help("name a folder that is not there yet: nothing is ever overwritten"),
            ));
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory || folder.is_file() => {
            return Err(Error::input(
                Finding::error(format!("`{}` is a file", folder.display())).help("name a folder that is not there yet"),
            ));
        }
        _ => {}
    }
    let mut files = vec![
        ("backcast.toml".to_string(), CONFIG.as_bytes().to_vec()),
        ("queries/user_activity.sql".to_string(), SQL.as_bytes().to_vec()),
    ];
    files.extend(tables::files(&data::World::new())?);
    for (name, bytes) in &files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a file in a folder")).map_err(failed)?;
        std::fs::write(path, bytes).map_err(failed)?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}
