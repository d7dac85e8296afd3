//! How the library speaks while it works. It never prints: whoever calls it gives it a [`Monitor`].

/// Hears what is going on. Every method may be called from any thread.
pub trait Monitor: Send + Sync {
    /// A stage begins; `total` steps where they are known.
    fn begin(&self, stage: &str, total: Option<u64>);
    /// `steps` more are done.
    fn advance(&self, steps: u64);
    /// The stage is over.
    fn end(&self);
    /// Something worth saying that is no result.
    fn note(&self, message: &str);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn begin(&self, _stage: &str, _total: Option<u64>) {}
    fn advance(&self, _steps: u64) {}
    fn end(&self) {}
    fn note(&self, _message: &str) {}
}
