//! What tests share: small tables, projects in folders of their own, seeded choices.

pub mod project;
pub mod rng;
pub mod table;

pub use project::{Project, Ran, backcast_in, first_difference, run};
pub use rng::Rng;
pub use table::{read_parquet, rows_at, shown, table, with_column, write_parquet};
