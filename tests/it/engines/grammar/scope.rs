//! Relations as the grammar sees them, and the tables that there are.

use super::node::{Column, Node, Role, Ty};

/// A column in scope: how it is written, and what it is.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub sql: String,
    pub ty: Ty,
    pub role: Role,
}

/// A query and what is known of its rows.
#[derive(Debug, Clone)]
pub(super) struct Rel {
    pub query: Node,
    /// A column of which no two rows have the same value.
    pub unique: Option<usize>,
    /// At most one row.
    pub one_row: bool,
    /// About how many rows there are: joins are kept from exploding.
    pub rows: usize,
}

impl Rel {
    pub(super) fn columns(&self) -> &[Column] {
        self.query.columns()
    }

    /// Whether it is a table's name and nothing else.
    pub(super) fn named(&self, tables: &[Rel]) -> bool {
        tables.iter().any(|t| t.query == self.query)
    }
}

/// A source or a view that was made before.
pub(super) fn table(name: &str, columns: &[(&str, Ty, Role)], unique: Option<usize>, rows: usize) -> Rel {
    let columns = columns.iter().map(|(name, ty, role)| Column { name: (*name).to_string(), ty: *ty, role: *role });
    Rel { query: Node::query(columns.collect(), name, Vec::new()), unique, one_row: false, rows }
}

/// The sources of [`super::super::world`].
pub(super) fn sources() -> Vec<Rel> {
    use Role::{Plain, Shop, User};
    let events = [
        ("user_id", Ty::Int, User),
        ("shop", Ty::Text, Shop),
        ("ts", Ty::Time, Plain),
        ("seen", Ty::Time, Plain),
        ("kind", Ty::Text, Plain),
        ("amount", Ty::Float, Plain),
        ("qty", Ty::Int, Plain),
        ("price", Ty::Dec, Plain),
        ("flag", Ty::Bool, Plain),
        ("region", Ty::Text, Plain),
    ];
    let clicks = [
        ("user_id", Ty::Int, User),
        ("ts", Ty::Time, Plain),
        ("page", Ty::Text, Plain),
        ("dwell", Ty::Int, Plain),
        ("tags", Ty::List, Plain),
    ];
    let profiles = [
        ("user_id", Ty::Int, User),
        ("updated", Ty::Time, Plain),
        ("loaded", Ty::Time, Plain),
        ("tier", Ty::Text, Plain),
        ("score", Ty::Float, Plain),
    ];
    vec![
        table("events", &events, None, 80),
        table("clicks", &clicks, None, 40),
        table("profiles", &profiles, Some(0), 5),
    ]
}
