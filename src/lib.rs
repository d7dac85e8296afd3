pub mod diff;
pub mod finding;
pub mod report;
