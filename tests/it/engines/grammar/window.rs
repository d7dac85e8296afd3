//! Window functions with frames of every kind, and what is chosen by them.

use super::Gen;
use super::node::{Node, Part, Role, Ty};
use super::scope::{Field, Rel};

impl Gen<'_> {
    /// A window function's call that gives a value of the type.
    fn call_over(&mut self, ty: Ty, scope: &[Field]) -> Node {
        let partition = match (self.user(scope), self.rng.below(4)) {
            (_, 0) | (None, 1..) => Node::clause("", Vec::new()),
            (_, 1) => Node::clause("PARTITION BY {} ", vec![self.leaf(Ty::Text, scope).into()]),
            (Some(user), _) => Node::clause("PARTITION BY {} ", vec![Self::key_of(&user).into()]),
        };
        let order = self.leaf(Ty::Time, scope);
        let direction = self.direction();
        let rest = self.rest_of_order(scope, false);
        let complete = format!("ORDER BY {{}} {direction}{rest}");
        let peers = format!("ORDER BY {{}} {direction}");
        let number = self.rng.below(3) + 1;
        let of = self.expr(ty, scope, 1);
        // What is called, with which order and frame.
        let (call, order_by, frame): (Node, &str, String) = match (ty, self.rng.below(9)) {
            (Ty::Int, 0) => (Node::expr(ty, "row_number()", Vec::new()), &complete, String::new()),
            (Ty::Int, 1) => {
                let name = self.rng.pick(&["rank()", "dense_rank()"]);
                (Node::expr(ty, name, Vec::new()), &peers, String::new())
            }
            (Ty::Int, 2) => (Node::expr(ty, "ntile(3)", Vec::new()), &complete, String::new()),
            (Ty::Int | Ty::Float | Ty::Dec, 3..=5) => {
                let (ordered, frame) = self.frame();
                let name = self.rng.pick(&["sum", "sum", "min", "max"]);
                let order_by = if ordered { &complete } else { &peers };
                (Node::expr(ty, &format!("{name}({{}})"), vec![of.into()]), order_by, frame)
            }
            (Ty::Int, 6) => {
                let (ordered, frame) = self.frame();
                (Node::expr(ty, "count(*)", Vec::new()), if ordered { &complete } else { &peers }, frame)
            }
            (_, 0..=2) => {
                let name = self.rng.pick(&["lag", "lead"]);
                (Node::expr(ty, &format!("{name}({{}}, {number})"), vec![of.into()]), &complete, String::new())
            }
            (Ty::Int, _) => {
                let parts = vec![of.into(), self.leaf(ty, &[]).into()];
                (Node::expr(ty, &format!("lag({{}}, {number}, {{}})"), parts), &complete, String::new())
            }
            (_, 3 | 4) => {
                let frame = " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW".to_string();
                (Node::expr(ty, &format!("nth_value({{}}, {number})"), vec![of.into()]), &complete, frame)
            }
            _ => {
                let frame = " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING".to_string();
                let name = self.rng.pick(&["first_value", "last_value"]);
                (Node::expr(ty, &format!("{name}({{}})"), vec![of.into()]), &complete, frame)
            }
        };
        let template = format!("{{}} OVER ({{}}{order_by}{frame})");
        let parts: Vec<Part> = vec![call.into(), partition.into(), order.into()];
        Node::expr(ty, &template, parts)
    }

    /// A frame, and whether it needs a complete order.
    fn frame(&mut self) -> (bool, String) {
        let frames = [
            (false, ""),
            (true, " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW"),
            (true, " ROWS BETWEEN 1 PRECEDING AND 3 FOLLOWING"),
            (true, " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"),
            (false, " RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW"),
            (false, " RANGE BETWEEN INTERVAL '3 days' PRECEDING AND INTERVAL '1 hour' PRECEDING"),
            (false, " RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND INTERVAL '1 day' FOLLOWING"),
            (false, " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
            (false, " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING"),
            (false, " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"),
        ];
        let (ordered, frame) = frames[self.rng.below(frames.len())];
        (ordered, frame.to_string())
    }

    pub(super) fn windowed(&mut self, depth: usize) -> Rel {
        let input = self.input(depth);
        let fields = input.fields.clone();
        let filter = self.filter(&fields);
        let (mut items, unique) = self.kept(&input);
        for _ in 0..=self.rng.below(2) {
            let ty = self.any_type();
            let call = self.call_over(ty, &fields);
            items.push((call, self.column(ty, Role::Plain)));
        }
        let (list, columns) = Node::items(items);
        let parts = vec![list.into(), input.clause().into(), filter.into()];
        let query = Node::query(columns, "SELECT {} FROM {}{}", parts);
        Rel { query, unique, one_row: input.one_row, rows: input.rows }
    }

    /// The nth row of each user.
    pub(super) fn ranked(&mut self, depth: usize) -> Rel {
        let input = self.input(depth);
        let Some(user) = self.user(&input.fields) else { return self.limited(depth) };
        let fields = input.fields.clone();
        let filter = self.filter(&fields);
        let mut items = vec![(Self::key_of(&user), self.column(Ty::Int, Role::User))];
        for _ in 0..=self.rng.below(2) {
            let ty = self.any_type();
            items.push((self.expr(ty, &fields, 2), self.column(ty, Role::Plain)));
        }
        let (direction, rest) = (self.direction(), self.rest_of_order(&fields, false));
        let nth = 1 + self.rng.below(2);
        let order = self.leaf(Ty::Time, &fields);
        let key = Self::key_of(&user);
        let number = format!("row_number() OVER (PARTITION BY {{}} ORDER BY {{}} {direction}{rest})");
        let number = Node::group(&number, vec![key.into(), order.into()]);
        let kept = items.len();
        let (list, columns) = Node::items(items);
        if !self.portable && self.rng.one_in(3) {
            let parts = vec![list.into(), input.clause().into(), filter.into(), number.into()];
            let query = Node::query(columns, &format!("SELECT {{}} FROM {{}}{{}} QUALIFY {{}} = {nth}"), parts);
            return Rel { query, unique: Some(0), one_row: false, rows: 6 };
        }
        let (alias, rank) = (self.fresh("r"), self.fresh("n"));
        let names: Vec<String> = columns[..kept].iter().map(|c| format!("{alias}.{}", c.name)).collect();
        let template = format!(
            "SELECT {} FROM (SELECT {{}}, {{}} AS {rank} FROM {{}}{{}}) AS {alias} WHERE {alias}.{rank} = {nth}",
            names.join(", ")
        );
        let parts = vec![list.into(), number.into(), input.clause().into(), filter.into()];
        Rel { query: Node::query(columns, &template, parts), unique: Some(0), one_row: false, rows: 6 }
    }
}
