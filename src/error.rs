//! Why a command could not do its work, by who must act on it.

use datafusion::error::DataFusionError;

use crate::finding::Finding;

/// The outcome of everything that may fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, by who must act: the user ([`Error::Input`]), the machine ([`Error::Storage`]), nobody yet
/// ([`Error::Interrupted`]) or we ([`Error::Engine`]).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments, config, SQL, schema or data break a rule. Exit code 2.
    #[error("{}", listed(.0))]
    Input(Vec<Finding>),
    /// Reading or writing failed. Exit code 1.
    #[error("failed to {action}: {cause}")]
    Storage { action: String, cause: String },
    /// DataFusion could not run a plan. Exit code 1.
    #[error("failed to {action}: {source}")]
    Engine { action: String, source: Box<DataFusionError> },
    /// The memory that was allowed does not suffice. Exit code 1.
    #[error(
        "failed to {action}: the memory allowed does not suffice\n  = help: allow more with `--memory` or `run.memory`, or use fewer `--threads`\n  = note: {detail}"
    )]
    Memory { action: String, detail: String },
    /// Ctrl-C or SIGTERM. Exit code 4.
    #[error(
        "interrupted: nothing was committed; run the same command again to go on: values that were replayed are kept"
    )]
    Interrupted,
}

impl Error {
    /// One finding that makes the input bad.
    pub fn input(finding: Finding) -> Self {
        Self::Input(vec![finding])
    }

    pub fn storage(action: impl Into<String>, cause: impl ToString) -> Self {
        Self::Storage { action: action.into(), cause: cause.to_string() }
    }

    /// A DataFusion failure; one that says the data broke a rule is bad input, not ours.
    pub fn engine(action: impl Into<String>, source: DataFusionError) -> Self {
        let action = action.into();
        if let DataFusionError::ResourcesExhausted(detail) = source.find_root() {
            let detail = detail.lines().last().unwrap_or_default().to_string();
            return Self::Memory { action, detail };
        }
        match data_fault(&source) {
            Some(fault) => Self::input(Finding::error(format!("failed to {action}: {fault}"))),
            None => Self::Engine { action, source: Box::new(source) },
        }
    }
}

impl From<Vec<Finding>> for Error {
    fn from(findings: Vec<Finding>) -> Self {
        Self::Input(findings)
    }
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// The message of an error that the data caused: arithmetic that overflows, a cast that does not fit.
fn data_fault(error: &DataFusionError) -> Option<String> {
    use datafusion::arrow::error::ArrowError::{ArithmeticOverflow, CastError, ComputeError, DivideByZero, ParseError};
    match error.find_root() {
        DataFusionError::ArrowError(e, _) => match e.as_ref() {
            ArithmeticOverflow(m) => Some(format!("overflow: {m}")),
            CastError(m) | ParseError(m) | ComputeError(m) => Some(m.clone()),
            DivideByZero => Some("division by zero".to_string()),
            _ => None,
        },
        DataFusionError::External(e) => e.downcast_ref::<DataFault>().map(ToString::to_string),
        _ => None,
    }
}

/// A rule that the data broke, found while a plan ran; travels through DataFusion as an external error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DataFault(pub String);

impl From<DataFault> for DataFusionError {
    fn from(fault: DataFault) -> Self {
        DataFusionError::External(Box::new(fault))
    }
}
