//! What tests share: small tables, projects in folders of their own, seeded choices.

pub(crate) mod browser;
pub(crate) mod project;
pub(crate) mod rng;
pub(crate) mod table;

pub(crate) use project::{Project, Ran, backcast_in, dataset_of, first_difference, run};
pub(crate) use rng::Rng;
pub(crate) use table::{read_parquet, rows_at, shown, table, with_column, write_parquet};
