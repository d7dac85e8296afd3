//! What happens, line by line on stderr, for those who ask: `RUST_LOG`, `--log-format`.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::args::LogFormat;

/// Starts to log where `RUST_LOG` says what: a level, or `target=level` with commas between. With `--log-format json` and no
/// `RUST_LOG`, our own lines from `info` on.
///
/// # Errors
/// A `RUST_LOG` that can't be understood.
pub(super) fn start(format: Option<LogFormat>) -> Result<(), String> {
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = match (asked, format) {
        (Some(text), _) => text.parse::<Targets>().map_err(|e| {
            format!("RUST_LOG `{text}` can't be understood: {e}; write a level, or such as `backcast=info,object_store=debug`")
        })?,
        (None, Some(LogFormat::Json)) => Targets::new().with_target("backcast", tracing::Level::INFO),
        (None, _) => return Ok(()),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, as in a test, keeps the first.
    let _ = match format {
        Some(LogFormat::Json) => registry.with(lines.json().flatten_event(true)).try_init(),
        _ => registry.with(lines.with_ansi(false)).try_init(),
    };
    Ok(())
}
