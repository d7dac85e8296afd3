pub mod analysis;
pub mod config;
pub mod error;
pub mod exact;
pub mod finding;
pub mod source;
pub mod sql;
