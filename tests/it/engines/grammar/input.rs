//! FROM clauses: one item, or joins of several. A join that is thought to give too many rows is left out.

use super::node::{From, How, Node, Part, Role, Ty};
use super::scope::{Field, Rel};
use super::{Gen, ROWS, users};

/// A FROM clause, and what is known of its rows.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub from: Vec<Part>,
    pub fields: Vec<Field>,
    /// An expression of which no two rows have the same value.
    pub unique: Option<Node>,
    pub one_row: bool,
    pub rows: usize,
}

impl Input {
    /// The clause as one node.
    pub(super) fn clause(&self) -> Node {
        Node::group(&"{}".repeat(self.from.len()), self.from.clone())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Self::Inner => "JOIN",
            Self::Left => "LEFT JOIN",
            Self::Right => "RIGHT JOIN",
            Self::Full => "FULL JOIN",
            Self::Cross => "CROSS JOIN",
        }
    }
}

impl Gen<'_> {
    /// A FROM clause over relations of at most this depth.
    pub(super) fn input(&mut self, depth: usize) -> Input {
        let first = self.relation(depth);
        let (from, mut input) = self.item(&first);
        for _ in 0..[0, 0, 0, 1, 1, 1, 2][self.rng.below(7)] {
            self.join(&mut input, &first, &from, depth);
        }
        input
    }

    /// The relation as an item of a FROM clause.
    pub(super) fn item(&mut self, rel: &Rel) -> (From, Input) {
        let how = match self.rng.below(6) {
            _ if rel.named(&self.tables) => How::Table,
            0 | 1 => How::Cte(self.fresh("q")),
            2 => How::View(self.fresh("h")),
            _ => How::Derived,
        };
        self.item_as(rel, how)
    }

    fn item_as(&mut self, rel: &Rel, how: How) -> (From, Input) {
        let alias = self.fresh("t");
        let field = |c: &super::Column| Field { sql: format!("{alias}.{}", c.name), ty: c.ty, role: c.role };
        let fields: Vec<Field> = rel.columns().iter().map(field).collect();
        let unique = rel.unique.map(|i| Node::expr(Ty::Int, &fields[i].sql, Vec::new()));
        let from = From { query: rel.query.clone(), alias, how };
        let input =
            Input { from: vec![Part::From(from.clone())], fields, unique, one_row: rel.one_row, rows: rel.rows };
        (from, input)
    }

    fn join(&mut self, input: &mut Input, first: &Rel, first_from: &From, depth: usize) {
        if self.rng.one_in(9) {
            return self.join_lateral(input);
        }
        let (from, other) = if self.rng.one_in(5) {
            self.item_as(first, first_from.how.clone())
        } else {
            let rel = self.relation(depth.saturating_sub(1));
            self.item(&rel)
        };
        let keys = match (users(&input.fields).first(), users(&other.fields).first()) {
            (Some(a), Some(b)) => Some((a.sql.clone(), b.sql.clone())),
            _ => None,
        };
        let by_key = keys.is_some() && !self.rng.one_in(8);
        let all = input.rows * other.rows;
        let rows = match by_key {
            true if other.unique.is_some() => input.rows,
            true => all / 4,
            false => all / 2,
        };
        if rows > ROWS || (!by_key && all > ROWS) {
            return;
        }
        let kind = match self.rng.below(8) {
            0 | 1 => Kind::Left,
            2 => Kind::Right,
            3 => Kind::Full,
            4 if !by_key || other.one_row => Kind::Cross,
            _ => Kind::Inner,
        };
        let both = [input.fields.clone(), other.fields.clone()].concat();
        let same_column = |a: &str, b: &str| a.split('.').next_back() == b.split('.').next_back();
        let using = match &keys {
            // RIGHT and FULL JOIN USING are refused.
            Some((a, b))
                if by_key
                    && matches!(kind, Kind::Inner | Kind::Left)
                    && input.from.len() == 1
                    && same_column(a, b)
                    && self.rng.one_in(3) =>
            {
                a.split('.').next_back().map(ToString::to_string)
            }
            _ => None,
        };
        // Whether rows meet on the equality of the keys and on nothing else.
        let mut plain = by_key;
        let on = match (&using, kind) {
            (_, Kind::Cross) => String::new(),
            (Some(column), _) => format!(" USING ({column})"),
            (None, _) => " ON {}".to_string(),
        };
        let mut parts: Vec<Part> = vec![Part::From(from)];
        if on == " ON {}" {
            let (condition, exact) = self.on(keys.filter(|_| by_key), input, &other, &both);
            plain &= exact;
            parts.push(condition.into());
        }
        let joined = Node::clause(&format!(" {} {{}}{on}", kind.sql()), parts);
        let equal_keys = by_key && using.is_some() || plain;
        input.unique = self.unique_after(kind, by_key, equal_keys, input, &other);
        input.from.push(joined.into());
        input.fields = both;
        input.one_row = input.one_row && other.one_row && kind != Kind::Full;
        input.rows = rows.max(input.rows);
    }

    /// The condition of a join, and whether it is an equality of keys alone.
    fn on(&mut self, keys: Option<(String, String)>, left: &Input, right: &Input, both: &[Field]) -> (Node, bool) {
        let Some((a, b)) = keys else {
            return (self.without_key(left, right, both), false);
        };
        let equal = match self.rng.below(8) {
            0 => format!("abs({a}) = {b}"),
            1 => format!("CAST({a} AS VARCHAR) = CAST({b} AS VARCHAR)"),
            _ => format!("{a} = {b}"),
        };
        let equal = Node::expr(Ty::Bool, &equal, Vec::new());
        let more = match self.rng.below(7) {
            0 => self.timed(&right.fields),
            1 => self.timed(&left.fields),
            2 => self.near(left, right),
            3 => self.condition(both, 1),
            _ => return (equal, true),
        };
        (Node::expr(Ty::Bool, "{} AND {}", vec![equal.into(), more.into()]), false)
    }

    /// A condition that has times of both sides near each other.
    fn near(&mut self, left: &Input, right: &Input) -> Node {
        let (a, b) = (self.leaf(Ty::Time, &left.fields), self.leaf(Ty::Time, &right.fields));
        match self.rng.below(3) {
            0 => Node::expr(Ty::Bool, "({} <= {})", vec![b.into(), a.into()]),
            1 => Node::expr(Ty::Bool, "({} > {} - INTERVAL '1 day')", vec![b.into(), a.into()]),
            _ => {
                let parts = vec![b.into(), a.clone().into(), a.into()];
                Node::expr(Ty::Bool, "({} BETWEEN {} - INTERVAL '3 days' AND {})", parts)
            }
        }
    }

    fn without_key(&mut self, left: &Input, right: &Input, both: &[Field]) -> Node {
        match self.rng.below(4) {
            0 => {
                let (a, b) = (self.leaf(Ty::Text, &left.fields), self.leaf(Ty::Text, &right.fields));
                Node::expr(Ty::Bool, "{} = {}", vec![a.into(), b.into()])
            }
            1 => self.near(left, right),
            2 => {
                let (a, b) = (self.expr(Ty::Int, &left.fields, 1), self.expr(Ty::Int, &right.fields, 1));
                Node::expr(Ty::Bool, "{} = {}", vec![a.into(), b.into()])
            }
            _ => self.condition(both, 1),
        }
    }

    fn unique_after(&mut self, kind: Kind, by_key: bool, equal: bool, left: &Input, right: &Input) -> Option<Node> {
        let plain_key = |input: &Input| {
            let key = input.unique.clone()?;
            let user = users(&input.fields).first().map(|f| Node::expr(Ty::Int, &f.sql, Vec::new()));
            (user == Some(key.clone())).then_some(key)
        };
        let few = by_key && equal;
        match kind {
            Kind::Inner | Kind::Left if few && plain_key(right).is_some() => left.unique.clone(),
            Kind::Right if few && plain_key(left).is_some() => right.unique.clone(),
            Kind::Cross | Kind::Left | Kind::Inner if right.one_row => left.unique.clone(),
            Kind::Full if few => {
                let (a, b) = (plain_key(left)?, plain_key(right)?);
                Some(Node::expr(Ty::Int, "coalesce({}, {})", vec![a.into(), b.into()]))
            }
            _ => None,
        }
    }

    /// ` WHERE ...`, or nothing.
    pub(super) fn filter(&mut self, fields: &[Field]) -> Node {
        let condition = match self.rng.below(8) {
            0 | 1 => return Node::clause("", Vec::new()),
            2 => self.subquery_condition(fields),
            3 => {
                let (a, b) = (self.timed(fields), self.subquery_condition(fields));
                Node::expr(Ty::Bool, "{} AND {}", vec![a.into(), b.into()])
            }
            4 => self.condition(fields, 2),
            _ => self.timed(fields),
        };
        Node::clause(" WHERE {}", vec![condition.into()])
    }

    /// A field that is a key of users, if there is one.
    pub(super) fn user(&mut self, fields: &[Field]) -> Option<Field> {
        let all = users(fields);
        if all.is_empty() { None } else { Some(all[self.rng.below(all.len())].clone()) }
    }

    pub(super) fn key_of(field: &Field) -> Node {
        debug_assert!(field.role != Role::Plain);
        Node::expr(field.ty, &field.sql, Vec::new())
    }
}
