//! Aggregates: functions of every kind with FILTER, DISTINCT and orders; groups by columns, expressions, sets of them, or none.

use super::Gen;
use super::node::{Column, Node, Part, Role, Ty};
use super::scope::{Field, Rel};

impl Gen<'_> {
    /// A call of an aggregate function that gives a value of the type.
    pub(super) fn aggregate(&mut self, ty: Ty, scope: &[Field], depth: usize) -> Node {
        let rest = self.rest_of_order(scope, false);
        let last = self.rest_of_order(scope, true);
        let direction = self.direction();
        let order = self.leaf(Ty::Time, scope);
        let call = match (ty, self.rng.below(8)) {
            (Ty::Int, 0 | 1) => Node::expr(ty, "count(*)", Vec::new()),
            (Ty::Int, 2) => {
                let of = self.any_type();
                self.call(ty, "count({})", of, scope, depth)
            }
            (Ty::Int, 3) => self.call(ty, "count(DISTINCT {})", Ty::Text, scope, depth),
            (Ty::Int, 4) => self.call(ty, "sum(DISTINCT {})", Ty::Int, scope, depth),
            (Ty::Int | Ty::Dec, 5 | 6) => self.call(ty, "sum({})", ty, scope, depth),
            (Ty::Float, 0 | 1) => self.call(ty, "avg({})", Ty::Int, scope, depth),
            (Ty::Float, 2 | 3) => self.call(ty, "sum({})", ty, scope, depth),
            (Ty::Float, 4) => self.call(ty, "avg({})", ty, scope, depth),
            (Ty::Float, 5) if !self.portable => self.call(ty, "stddev({})", ty, scope, depth),
            (Ty::Float, 5 | 6) => self.call(ty, "median(CAST({} AS DOUBLE))", Ty::Int, scope, depth),
            (Ty::Float, 7) if !self.portable => self.call(ty, "corr({}, CAST(1 AS DOUBLE))", ty, scope, depth),
            (Ty::Bool, 0..=3) => self.call(ty, "bool_or({})", ty, scope, depth),
            (Ty::Bool, 4..=7) => self.call(ty, "bool_and({})", ty, scope, depth),
            (Ty::Text, 0) => {
                let of = self.leaf(ty, scope);
                let tail = format!("string_agg({{}}, ',' ORDER BY {{}} {direction}{rest})");
                Node::expr(ty, &tail, vec![of.into(), order.into()])
            }
            (Ty::List, 0..=3) => {
                let of = self.leaf(Ty::Int, scope);
                let tail = format!("array_agg({{}} ORDER BY {{}} {direction}{rest})");
                Node::expr(ty, &tail, vec![of.into(), order.into()])
            }
            (Ty::List, _) => {
                let of = self.leaf(Ty::Int, scope);
                let ordered = if self.portable { " ORDER BY {} ASC NULLS FIRST" } else { "" };
                let mut parts: Vec<Part> = vec![of.clone().into()];
                if self.portable {
                    parts.push(of.into());
                }
                Node::expr(ty, &format!("array_agg({{}}{ordered})"), parts)
            }
            (_, 0 | 1) => {
                let of = self.expr(ty, scope, depth);
                Node::expr(
                    ty,
                    &format!("first_value({{}} ORDER BY {{}} {direction}{rest})"),
                    vec![of.into(), order.into()],
                )
            }
            (_, 2) => {
                let of = self.expr(ty, scope, depth);
                Node::expr(
                    ty,
                    &format!("last_value({{}} ORDER BY {{}} {direction}{last})"),
                    vec![of.into(), order.into()],
                )
            }
            (_, 3 | 4) => self.call(ty, "max({})", ty, scope, depth),
            _ => self.call(ty, "min({})", ty, scope, depth),
        };
        if self.rng.one_in(3) {
            let filter = if self.rng.one_in(3) { self.condition(scope, 1) } else { self.timed(scope) };
            return Node::expr(ty, "{} FILTER (WHERE {})", vec![call.into(), filter.into()]);
        }
        call
    }

    fn call(&mut self, ty: Ty, template: &str, of: Ty, scope: &[Field], depth: usize) -> Node {
        self.fill(ty, template, &[of], scope, depth)
    }

    /// A type that aggregates give.
    pub(super) fn aggregate_type(&mut self) -> Ty {
        let list = !self.portable && self.rng.one_in(12);
        if list { Ty::List } else { self.any_type() }
    }

    /// One to three aggregates, named.
    pub(super) fn aggregates(&mut self, scope: &[Field]) -> Vec<(Node, Column)> {
        (0..=self.rng.below(3))
            .map(|_| {
                let ty = self.aggregate_type();
                let mut call = self.aggregate(ty, scope, 2);
                if self.rng.one_in(6) {
                    let two = vec![call.clone().into(), self.literal_of(ty).into()];
                    call = Node::expr(ty, "coalesce({}, {})", two);
                }
                (call, self.column(ty, Role::Plain))
            })
            .collect()
    }

    fn literal_of(&mut self, ty: Ty) -> Node {
        self.leaf(ty, &[])
    }

    /// ` HAVING ...`, or nothing.
    pub(super) fn having(&mut self, scope: &[Field]) -> Node {
        let condition = match self.rng.below(8) {
            0 => Node::expr(Ty::Bool, "count(*) > 1", Vec::new()),
            1 => {
                let parts = vec![self.leaf(Ty::Time, scope).into(), self.instant().into()];
                Node::expr(Ty::Bool, "max({}) > {}", parts)
            }
            2 => {
                let (a, b) = (self.aggregate(Ty::Int, scope, 1), self.scalar(Ty::Int, &[]));
                Node::expr(Ty::Bool, "{} >= {}", vec![a.into(), b.into()])
            }
            _ => return Node::clause("", Vec::new()),
        };
        Node::clause(" HAVING {}", vec![condition.into()])
    }

    pub(super) fn grouped(&mut self, depth: usize) -> Rel {
        let input = self.input(depth);
        let fields = input.fields.clone();
        let filter = self.filter(&fields);
        let mut keys: Vec<(Node, Column)> = Vec::new();
        let mut unique = None;
        match (self.user(&fields), self.rng.below(8)) {
            (None, _) | (_, 0) => {}
            (Some(user), 1) => {
                let derived = Node::expr(Ty::Int, "({} % 4)", vec![Self::key_of(&user).into()]);
                keys.push((derived, self.column(Ty::Int, Role::User)));
                unique = Some(0);
            }
            (Some(user), n) => {
                keys.push((Self::key_of(&user), self.column(Ty::Int, Role::User)));
                unique = Some(0);
                if n < 5 {
                    // Not the key itself under a cast: DataFusion takes the two for one.
                    let ty = [Ty::Text, Ty::Bool, Ty::Date][self.rng.below(3)];
                    keys.push((self.expr(ty, &fields, 1), self.column(ty, Role::Plain)));
                    unique = None;
                }
            }
        }
        let plain: Vec<Node> = keys.iter().map(|(node, _)| node.clone()).collect();
        let names: Vec<String> = (1..=keys.len()).map(|i| i.to_string()).collect();
        let by = match (keys.len(), self.rng.below(6)) {
            (0, _) => Node::group("", Vec::new()),
            (1, 0) => {
                unique = None;
                Node::group(" GROUP BY ROLLUP ({})", vec![plain[0].clone().into()])
            }
            (2, n @ 0..=2) => {
                unique = None;
                let (template, holes) = [
                    (" GROUP BY ROLLUP ({}, {})", vec![0, 1]),
                    (" GROUP BY CUBE ({}, {})", vec![0, 1]),
                    (" GROUP BY GROUPING SETS (({}), ({}, {}), ())", vec![0, 0, 1]),
                ][n]
                    .clone();
                Node::group(template, holes.into_iter().map(|i| plain[i].clone().into()).collect())
            }
            (_, 3) => Node::group(&format!(" GROUP BY {}", names.join(", ")), Vec::new()),
            (n, _) => {
                let holes = vec!["{}"; n].join(", ");
                Node::group(&format!(" GROUP BY {holes}"), plain.into_iter().map(Part::Node).collect())
            }
        };
        let (one_row, rows) = (keys.is_empty(), [1, 6, 25][keys.len()].min(input.rows.max(1)));
        let having = self.having(&fields);
        let mut items = keys;
        items.extend(self.aggregates(&fields));
        let (list, columns) = Node::items(items);
        let parts = vec![list.into(), input.clause().into(), filter.into(), by.into(), having.into()];
        Rel { query: Node::query(columns, "SELECT {} FROM {}{}{}{}", parts), unique, one_row, rows }
    }
}
