//! `backcast verify`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::args::{Common, Format, VerifyArgs};
use crate::cli::commands::{load, plain, print, print_json};
use crate::cli::exit;
use crate::cli::progress::Progress;
use crate::config;
use crate::error::Result;
use crate::pipeline::{self, VerifyOptions};

pub(super) async fn verify(common: &Common, args: &VerifyArgs, progress: &Progress) -> Result<u8> {
    let (folder, path) = asked(args);
    let default = PathBuf::from("backcast.toml");
    // An output folder needs no config, though one that is at hand has the storage options.
    let path = path.or_else(|| (folder.is_none() || args.sample > 0 || default.exists()).then_some(default));
    let config = match path {
        None => None,
        Some(path) => {
            let (config, _) = load(common, &path)?;
            let text = std::fs::read_to_string(&config.path).unwrap_or_default() + &common.set.join("\n");
            Some((config, text))
        }
    };
    let base = std::env::current_dir().unwrap_or_default();
    let out = folder.map(|folder| config::resolve_uri(&base, &folder));
    let options = VerifyOptions { out, sample: args.sample };
    let verified = Box::pin(pipeline::verify(config, options, progress)).await?;
    progress.clear();
    match common.format {
        Format::Json => print_json(&json!(verified)),
        Format::Human => print(&plain(&verified.text())),
    }
    Ok(match (verified.intact, verified.inputs_stand()) {
        (true, true) => exit::DONE,
        (true, false) => exit::GATE,
        (false, _) => exit::FAILURE,
    })
}

/// The output folder and the config. What other commands take, a config, is taken for one here, too.
fn asked(args: &VerifyArgs) -> (Option<String>, Option<PathBuf>) {
    match &args.folder {
        Some(one) if args.config.is_none() && one.ends_with(".toml") && Path::new(one).is_file() => {
            (None, Some(PathBuf::from(one)))
        }
        folder => (folder.clone(), args.config.clone()),
    }
}
