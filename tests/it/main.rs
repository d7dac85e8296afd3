//! Backcast as a whole: engines against each other, meaning, determinism, the command line.

mod meaning;
mod support;
