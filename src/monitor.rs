//! How the library speaks while it works. It never prints: whoever calls it gives it a [`Monitor`].

/// Hears what is going on. Every method may be called from any thread.
pub trait Monitor: Send + Sync {
    /// A stage begins; `total` steps where they are known.
    fn begin(&self, stage: &str, total: Option<u64>);
    /// `steps` more are done.
    fn advance(&self, steps: u64);
    /// The stage is over.
    fn end(&self);
    /// The work goes over chunks of label rows: number `done` of `all` begins, counted from 0.
    fn chunk(&self, done: usize, all: usize);
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
    fn chunk(&self, _done: usize, _all: usize) {}
    fn note(&self, _message: &str) {}
}

/// `1234567` as `1,234,567`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
