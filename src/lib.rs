pub mod config;
pub mod finding;
