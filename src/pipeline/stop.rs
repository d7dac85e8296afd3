//! A wish from outside that work should end: Ctrl-C, or a scheduler's SIGTERM.

use std::fmt;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use crate::error::{Error, Result};

/// Whether it was wished yet; every copy knows.
#[derive(Clone)]
pub struct Stop(Shared<BoxFuture<'static, ()>>);

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("wished", &self.0.peek().is_some()).finish()
    }
}

impl Stop {
    /// Wished for once `wish` ends.
    pub fn new(wish: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(wish.boxed().shared())
    }

    /// Ends when the wish comes.
    pub async fn wished(&self) {
        self.0.clone().await;
    }

    /// What `work` comes to. Where the wish comes first, the work is let go of at once.
    ///
    /// # Errors
    /// Those of the work, and [`Error::Interrupted`].
    pub async fn unless<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.wished() => Err(Error::Interrupted),
            done = work => done,
        }
    }
}
