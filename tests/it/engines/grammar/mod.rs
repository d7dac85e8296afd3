//! Random feature SQL, composed: relations of relations, each with what is known of its rows, over the tables of
//! [`super::world`].
//!
//! | file | what it makes |
//! | --- | --- |
//! | `node.rs` | the tree: printing, and smaller trees |
//! | `expr.rs` | scalar expressions by type, conditions on `NOW()` |
//! | `input.rs` | a FROM clause: joins of every kind, each item a table, a derived table, a CTE or a view |
//! | `relation.rs` | queries over it: filters, set operations, limits, `unnest`, `VALUES` |
//! | `aggregate.rs`, `window.rs`, `subquery.rs` | what they say |
//! | `view.rs` | a query with one row for a key at most |
//!
//! Every view has a row for a key at most once, so that no seed ends in the error that says otherwise: where that can't be told
//! from how the query was composed, an aggregate, a `DISTINCT ON` or a `ROW_NUMBER() = 1` goes on top.

mod aggregate;
mod expr;
mod input;
pub(super) mod node;
mod relation;
mod scope;
mod subquery;
mod view;
mod window;

use self::node::{Column, Role, Ty};
use self::scope::{Field, Rel, sources};
pub(super) use self::view::{ViewTree, printed};
use crate::support::Rng;

/// Relations of one view, so that none grows without bound.
const RELATIONS: usize = 9;
/// Rows that a join may have, about.
const ROWS: usize = 3000;

/// Composes the views of one project.
pub(super) struct Gen<'a> {
    rng: &'a mut Rng,
    /// Whether other databases have to read the same in it: every order is complete, and what they do otherwise is left out.
    portable: bool,
    tables: Vec<Rel>,
    names: usize,
    /// Relations that may still be made.
    budget: usize,
}

impl<'a> Gen<'a> {
    pub(super) fn new(rng: &'a mut Rng, portable: bool) -> Self {
        Self { rng, portable, tables: sources(), names: 0, budget: 0 }
    }

    fn fresh(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}", self.names)
    }

    fn column(&mut self, ty: Ty, role: Role) -> Column {
        // Joins with USING need columns of one name.
        let name = if role == Role::User && self.rng.one_in(2) { "user_id".to_string() } else { self.fresh("c") };
        Column { name, ty, role }
    }

    /// A type of a value that is a feature or a column.
    fn any_type(&mut self) -> Ty {
        let all = [Ty::Int, Ty::Int, Ty::Float, Ty::Dec, Ty::Text, Ty::Text, Ty::Bool, Ty::Time, Ty::Date, Ty::Span];
        let known = if self.portable { all.len() - 1 } else { all.len() };
        all[self.rng.below(known)]
    }

    /// A direction, NULLs included.
    fn direction(&mut self) -> &'static str {
        if self.portable {
            return self.rng.pick(&["DESC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS LAST", "ASC NULLS FIRST"]);
        }
        self.rng.pick(&["DESC", "ASC", "", "DESC NULLS LAST", "ASC NULLS FIRST"])
    }

    /// `, every column`, where an order has to be complete by itself. `backwards`: the last row is the one that is taken.
    fn rest_of_order(&self, scope: &[Field], backwards: bool) -> String {
        if !self.portable {
            return String::new();
        }
        let direction = if backwards { "DESC NULLS LAST" } else { "ASC NULLS FIRST" };
        scope.iter().map(|f| format!(", {} {direction}", f.sql)).collect()
    }
}

/// The fields that are keys of users.
fn users(scope: &[Field]) -> Vec<&Field> {
    scope.iter().filter(|f| f.role == Role::User).collect()
}
