//! `backcast init`.

use serde_json::json;

use crate::cli::args::{Common, Format, InitArgs};
use crate::cli::commands::{plain, print, print_json};
use crate::cli::exit;
use crate::error::Result;
use crate::example;

pub(super) fn init(common: &Common, args: &InitArgs) -> Result<u8> {
    let files = example::write(&args.folder)?;
    let folder = args.folder.display().to_string();
    if common.format == Format::Json {
        print_json(&json!({ "folder": folder, "files": files }));
    } else if !common.quiet {
        let mut text = format!("{} files in {folder}:\n", files.len());
        for (file, what) in [
            ("backcast.toml", "the config, with a comment to each key"),
            ("queries/user_activity.sql", "three features of a user, as a streaming database would keep them"),
            ("data/payments/", "six weeks of made-up payments, some late, some delivered twice"),
            ("data/labels.parquet", "800 label rows"),
            ("data/legacy_training_set.parquet", "what an old feature store wrote, with two planted flaws"),
        ] {
            text.push_str(&format!("  {file:<34}{what}\n"));
        }
        text.push_str(&format!(
            "\nnext: cd {folder} && backcast run\nIt exits with 3: a gate is not met, and the report says why.\n"
        ));
        print(&plain(&text));
    }
    Ok(exit::DONE)
}
