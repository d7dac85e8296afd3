//! The two engines against each other, bit for bit: on random worlds and views, and on every operator by name.
//!
//! `just fuzz` runs other seeds than the usual ones. A failure is made smaller, then printed: tables, config, SQL and the first
//! cell that differs.

mod bounded;
mod case;
mod cheap;
mod checked;
mod found;
mod fuzz;
mod grammar;
mod operators;
mod retained;
mod rules;
mod shapes;
mod shapes_correlated;
mod shrink;
mod swept;
mod swept_hard;
mod swept_memory;
mod together;
mod unnesting;
mod world;
