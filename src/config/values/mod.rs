//! Values that TOML has no type for: text to meaning, or what is wrong with the text.

mod duration;
mod instant;
mod size;
mod uri;
mod zone;

pub(super) use duration::duration_ns;
pub(super) use instant::{instant, instant_of_datetime};
pub(super) use size::size_bytes;
pub(super) use uri::{check_uri, is_local, may_hold_secret};
pub use uri::{resolve_uri, without_secrets};
pub(super) use zone::zone;

/// Why a text is not a value. The message reads after "`the.key`".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
