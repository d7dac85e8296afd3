//! RisingWave's and PostgreSQL's dialect as teams have it in their repositories.

mod deployed;
mod jsonb;
mod lengths;
mod rows;
mod tables;
