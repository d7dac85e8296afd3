//! Subqueries in expressions, and LATERAL: correlated or not, with equalities, ranges and `NOW()`.

use super::input::Input;
use super::node::{Node, Part, Role, Ty};
use super::scope::Field;
use super::{Gen, users};

impl Gen<'_> {
    /// What a subquery reads, and its ` WHERE`; correlated with `outer` where there is a key on both sides.
    fn below(&mut self, outer: &[Field]) -> (Input, Node) {
        let rel = self.relation(1);
        let (_, input) = self.item(&rel);
        let own = if self.rng.one_in(2) { Some(self.timed(&input.fields)) } else { None };
        let key = match (users(outer).first(), users(&input.fields).first()) {
            (Some(a), Some(b)) => Some(Node::expr(Ty::Bool, &format!("{} = {}", b.sql, a.sql), Vec::new())),
            _ => None,
        };
        let key = key.filter(|_| !self.rng.one_in(6));
        let correlated = key.is_some();
        // A range is what DataFusion does not plan everywhere.
        let range = correlated && self.rng.one_in(3);
        let range = range.then(|| {
            let (a, b) = (self.leaf(Ty::Time, &input.fields), self.leaf(Ty::Time, outer));
            let bound = self.rng.pick(&["({} <= {})", "({} > {} - INTERVAL '2 days')"]);
            Node::expr(Ty::Bool, bound, vec![a.into(), b.into()])
        });
        let all: Vec<Part> = [key, range, own].into_iter().flatten().map(Part::Node).collect();
        let filter = match all.len() {
            0 => Node::clause("", Vec::new()),
            n => Node::clause(&format!(" WHERE {}", vec!["{}"; n].join(" AND ")), all),
        };
        (input, filter)
    }

    /// A subquery with one value.
    pub(super) fn scalar(&mut self, ty: Ty, outer: &[Field]) -> Node {
        let (input, filter) = self.below(outer);
        let value = match self.rng.below(4) {
            0 if ty == Ty::Int => Node::expr(ty, "count(*)", Vec::new()),
            _ => self.aggregate(ty, &input.fields, 1),
        };
        Node::expr(ty, "(SELECT {} FROM {}{})", vec![value.into(), input.clause().into(), filter.into()])
    }

    /// A condition that holds a subquery.
    pub(super) fn subquery_condition(&mut self, outer: &[Field]) -> Node {
        if self.budget == 0 {
            return self.timed(outer);
        }
        let test = match self.rng.below(7) {
            n @ 0..=2 => {
                let (input, filter) = self.below(outer);
                let template = if n == 2 { "NOT EXISTS (SELECT 1 FROM {}{})" } else { "EXISTS (SELECT 1 FROM {}{})" };
                Node::expr(Ty::Bool, template, vec![input.clause().into(), filter.into()])
            }
            n @ 3..=5 => {
                let (input, filter) = self.below(&[]);
                let (a, b) = match (users(outer).first(), users(&input.fields).first()) {
                    (Some(a), Some(b)) => (Self::key_of(a), Self::key_of(b)),
                    _ => (self.leaf(Ty::Text, outer), self.leaf(Ty::Text, &input.fields)),
                };
                let not = if n == 5 { "NOT " } else { "" };
                let parts = vec![a.into(), b.into(), input.clause().into(), filter.into()];
                Node::expr(Ty::Bool, &format!("{{}} {not}IN (SELECT {{}} FROM {{}}{{}})"), parts)
            }
            _ => {
                let (a, b) = (self.expr(Ty::Int, outer, 1), self.scalar(Ty::Int, outer));
                let operator = self.rng.pick(&["{} > {}", "{} <= {}", "{} = {}"]);
                Node::expr(Ty::Bool, operator, vec![a.into(), b.into()])
            }
        };
        if self.rng.one_in(4) {
            let other = self.condition(outer, 0);
            return Node::expr(Ty::Bool, "({} OR {})", vec![test.into(), other.into()]);
        }
        test
    }

    /// A value for a SELECT list that holds a subquery.
    pub(super) fn subquery_value(&mut self, outer: &[Field]) -> (Ty, Node) {
        if self.rng.one_in(4) {
            let test = self.subquery_condition(outer);
            let marked = Node::expr(Ty::Int, "CASE WHEN {} THEN 1 ELSE 0 END", vec![test.into()]);
            return (Ty::Int, marked);
        }
        let ty = self.any_type();
        (ty, self.scalar(ty, outer))
    }

    /// Joins the rows that a subquery finds for each row before it.
    pub(super) fn join_lateral(&mut self, input: &mut Input) {
        if self.budget == 0 {
            return;
        }
        let (inner, filter) = self.below(&input.fields);
        let alias = self.fresh("l");
        let left = self.rng.one_in(2);
        let ty = self.any_type();
        let column = self.column(ty, Role::Plain);
        let single = self.rng.one_in(2);
        let body = if single {
            let value = self.aggregate(ty, &inner.fields, 1);
            let parts = vec![value.into(), inner.clause().into(), filter.into()];
            Node::group(&format!("SELECT {{}} AS {} FROM {{}}{{}}", column.name), parts)
        } else {
            let (value, order) = (self.expr(ty, &inner.fields, 1), self.leaf(Ty::Time, &inner.fields));
            let (direction, rest) = (self.direction(), self.rest_of_order(&inner.fields, false));
            let tail = format!("SELECT {{}} AS {} FROM {{}}{{}} ORDER BY {{}} {direction}{rest} LIMIT 1", column.name);
            Node::group(&tail, vec![value.into(), inner.clause().into(), filter.into(), order.into()])
        };
        let template = match left {
            true => format!(" LEFT JOIN LATERAL ({{}}) AS {alias} ON TRUE"),
            false => format!(" CROSS JOIN LATERAL ({{}}) AS {alias}"),
        };
        input.from.push(Node::clause(&template, vec![body.into()]).into());
        input.fields.push(Field { sql: format!("{alias}.{}", column.name), ty, role: Role::Plain });
    }
}
