//! Queries: what stands over a FROM clause.

use super::Gen;
use super::input::Input;
use super::node::{Column, From, How, Node, Part, Role, Ty};
use super::scope::{Field, Rel};

impl Gen<'_> {
    /// A relation of at most this depth.
    pub(super) fn relation(&mut self, depth: usize) -> Rel {
        if depth == 0 || self.budget == 0 {
            return self.source();
        }
        self.budget -= 1;
        let below = depth - 1;
        match self.rng.below(22) {
            0..=3 => self.source(),
            4..=6 => self.selected(below),
            7..=11 => self.grouped(below),
            12 | 13 => self.windowed(below),
            14 => self.ranked(below),
            15 => self.limited(below),
            16 => self.distinct_on(below),
            17 => self.distinct(below),
            18 => self.union(below),
            19 => self.set_operation(below),
            20 => self.unnested(),
            _ => self.values(),
        }
    }

    fn source(&mut self) -> Rel {
        let pick = match self.rng.below(10) {
            0..=3 => 0,
            4 | 5 => 1,
            6 | 7 => 2,
            _ => self.rng.below(self.tables.len()),
        };
        self.tables[pick].clone()
    }

    /// Items that carry on the keys, and which of them no two rows share.
    pub(super) fn kept(&mut self, input: &Input) -> (Vec<(Node, Column)>, Option<usize>) {
        let mut items = Vec::new();
        let mut unique = None;
        match (&input.unique, self.user(&input.fields)) {
            (Some(key), _) => {
                items.push((key.clone(), self.column(Ty::Int, Role::User)));
                unique = Some(0);
            }
            (None, Some(user)) => items.push((Self::key_of(&user), self.column(Ty::Int, Role::User))),
            (None, None) => {}
        }
        let shop = input.fields.iter().find(|f| f.role == Role::Shop).cloned();
        if let Some(shop) = shop.filter(|_| self.rng.one_in(3)) {
            items.push((Self::key_of(&shop), self.column(Ty::Text, Role::Shop)));
        }
        if self.rng.one_in(2) {
            items.push((self.leaf(Ty::Time, &input.fields), self.column(Ty::Time, Role::Plain)));
        }
        if items.is_empty() {
            items.push((self.leaf(Ty::Int, &input.fields), self.column(Ty::Int, Role::Plain)));
        }
        (items, unique)
    }

    /// One to three expressions, named.
    fn more_items(&mut self, fields: &[Field], items: &mut Vec<(Node, Column)>) {
        for _ in 0..=self.rng.below(3) {
            let (ty, node) = if self.budget > 0 && self.rng.one_in(9) {
                self.subquery_value(fields)
            } else {
                let ty = self.any_type();
                (ty, self.expr(ty, fields, 3))
            };
            items.push((node, self.column(ty, Role::Plain)));
        }
    }

    fn selected(&mut self, depth: usize) -> Rel {
        let input = self.input(depth);
        let filter = self.filter(&input.fields);
        let (mut items, unique) = self.kept(&input);
        self.more_items(&input.fields, &mut items);
        let (list, columns) = Node::items(items);
        let query =
            Node::query(columns, "SELECT {} FROM {}{}", vec![list.into(), input.clause().into(), filter.into()]);
        Rel { query, unique, one_row: input.one_row, rows: input.rows }
    }

    pub(super) fn limited(&mut self, depth: usize) -> Rel {
        let input = self.input(depth);
        let filter = self.filter(&input.fields);
        let (mut items, unique) = self.kept(&input);
        self.more_items(&input.fields, &mut items);
        let order = self.leaf(Ty::Time, &input.fields);
        let (direction, rest) = (self.direction(), self.rest_of_order(&input.fields, false));
        let count = 1 + self.rng.below(9);
        let offset = self.rng.pick(&["", "", " OFFSET 2"]);
        let order = match self.portable || !self.rng.one_in(5) {
            true => Node::group(&format!(" ORDER BY {{}} {direction}{rest}"), vec![order.into()]),
            false => Node::group("", Vec::new()),
        };
        let (list, columns) = Node::items(items);
        let template = format!("SELECT {{}} FROM {{}}{{}}{{}} LIMIT {count}{offset}");
        let parts = vec![list.into(), input.clause().into(), filter.into(), order.into()];
        Rel { query: Node::query(columns, &template, parts), unique, one_row: count == 1, rows: count }
    }

    pub(super) fn distinct_on(&mut self, depth: usize) -> Rel {
        let input = self.input(depth);
        let Some(user) = self.user(&input.fields) else { return self.limited(depth) };
        let filter = self.filter(&input.fields);
        let mut items = vec![(Self::key_of(&user), self.column(Ty::Int, Role::User))];
        self.more_items(&input.fields, &mut items);
        let order = self.leaf(Ty::Time, &input.fields);
        let (direction, rest) = (self.direction(), self.rest_of_order(&input.fields, false));
        let (list, columns) = Node::items(items);
        let key = &user.sql;
        let template = format!("SELECT DISTINCT ON ({key}) {{}} FROM {{}}{{}} ORDER BY {key}, {{}} {direction}{rest}");
        let parts = vec![list.into(), input.clause().into(), filter.into(), order.into()];
        Rel { query: Node::query(columns, &template, parts), unique: Some(0), one_row: false, rows: 6 }
    }

    fn distinct(&mut self, depth: usize) -> Rel {
        let input = self.input(depth);
        let filter = self.filter(&input.fields);
        let (mut items, unique) = self.kept(&input);
        let ty = [Ty::Text, Ty::Int, Ty::Bool, Ty::Date][self.rng.below(4)];
        items.push((self.expr(ty, &input.fields, 2), self.column(ty, Role::Plain)));
        let (list, columns) = Node::items(items);
        let parts = vec![list.into(), input.clause().into(), filter.into()];
        let query = Node::query(columns, "SELECT DISTINCT {} FROM {}{}", parts);
        Rel { query, unique, one_row: input.one_row, rows: input.rows.min(40) }
    }

    /// A side of a set operation: these types, from any FROM clause.
    fn side(&mut self, columns: &[Column], depth: usize) -> (Node, usize) {
        let input = self.input(depth);
        let filter = self.filter(&input.fields);
        let items: Vec<(Node, Column)> = columns
            .iter()
            .map(|c| {
                let user = self.user(&input.fields).filter(|_| c.role == Role::User);
                let node = match user {
                    Some(user) => Node::expr(c.ty, &format!("CAST({} AS BIGINT)", user.sql), Vec::new()),
                    None => self.expr(c.ty, &input.fields, 1),
                };
                (node, c.clone())
            })
            .collect();
        let (list, columns) = Node::items(items);
        let parts = vec![list.into(), input.clause().into(), filter.into()];
        (Node::query(columns, "SELECT {} FROM {}{}", parts), input.rows)
    }

    fn union(&mut self, depth: usize) -> Rel {
        let mut columns = vec![self.column(Ty::Int, Role::User), self.column(Ty::Time, Role::Plain)];
        for _ in 0..=self.rng.below(2) {
            let ty = [Ty::Text, Ty::Int, Ty::Float, Ty::Bool][self.rng.below(4)];
            columns.push(self.column(ty, Role::Plain));
        }
        let all = self.rng.pick(&["UNION ALL", "UNION ALL", "UNION"]);
        let ((a, n), (b, m)) = (self.side(&columns, depth), self.side(&columns, depth));
        let mut query = Node::query(columns.clone(), &format!("{{}} {all} {{}}"), vec![a.into(), b.into()]);
        let mut rows = n + m;
        if self.rng.one_in(4) {
            let (c, k) = self.side(&columns, depth);
            rows += k;
            query = Node::query(columns, &format!("{{}} {all} {{}}"), vec![query.into(), c.into()]);
        }
        Rel { query, unique: None, one_row: false, rows }
    }

    fn set_operation(&mut self, depth: usize) -> Rel {
        let mut columns = vec![self.column(Ty::Int, Role::User)];
        let more = [None, Some(Ty::Text), Some(Ty::Bool), Some(Ty::Date)][self.rng.below(4)];
        if let Some(ty) = more {
            columns.push(self.column(ty, Role::Plain));
        }
        let operation = self.rng.pick(&["INTERSECT", "EXCEPT"]);
        let unique = more.is_none().then_some(0);
        let ((a, n), (b, _)) = (self.side(&columns, depth), self.side(&columns, depth));
        let query = Node::query(columns, &format!("{{}} {operation} {{}}"), vec![a.into(), b.into()]);
        Rel { query, unique, one_row: false, rows: n.min(20) }
    }

    /// A row for each item of a list.
    fn unnested(&mut self) -> Rel {
        let (_, input) = self.item(&self.tables[1].clone());
        let filter = self.filter(&input.fields);
        let list = self.leaf(Ty::List, &input.fields);
        let mut items = vec![(Self::key_of(&input.fields[0]), self.column(Ty::Int, Role::User))];
        items.push((Node::expr(Ty::Int, "unnest({})", vec![list.into()]), self.column(Ty::Int, Role::Plain)));
        if self.rng.one_in(2) {
            items.push((self.expr(Ty::Time, &input.fields, 1), self.column(Ty::Time, Role::Plain)));
        }
        let (list, columns) = Node::items(items);
        let query =
            Node::query(columns, "SELECT {} FROM {}{}", vec![list.into(), input.clause().into(), filter.into()]);
        Rel { query, unique: None, one_row: false, rows: 60 }
    }

    /// Rows written out, some with `NOW()`.
    fn values(&mut self) -> Rel {
        let (user, time, number) =
            (self.column(Ty::Int, Role::User), self.column(Ty::Time, Role::Plain), self.column(Ty::Int, Role::Plain));
        let timed = self.rng.one_in(2);
        let count = 1 + self.rng.below(4);
        let rows: Vec<Part> = (1..=count)
            .map(|i| {
                let at = if timed { self.instant() } else { Node::expr(Ty::Int, &format!("{}", i * 7), Vec::new()) };
                let value = self.expr(Ty::Int, &[], 1);
                Node::group(&format!("({i}, {{}}, {{}})"), vec![at.into(), value.into()]).into()
            })
            .collect();
        let alias = self.fresh("w");
        let columns = if timed { vec![user, time, number] } else { vec![user, Column { ty: Ty::Int, ..time }, number] };
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let items: Vec<String> = names.iter().map(|n| format!("{alias}.{n}")).collect();
        let holes = vec!["{}"; count].join(", ");
        let template = format!("SELECT {} FROM (VALUES {holes}) AS {alias} ({})", items.join(", "), names.join(", "));
        Rel { query: Node::query(columns, &template, rows), unique: Some(0), one_row: count == 1, rows: count }
    }

    /// The relation as an item of the view's own FROM clause.
    pub(super) fn derived(&mut self, rel: &Rel) -> (Part, Vec<Field>) {
        let alias = self.fresh("t");
        let field = |c: &Column| Field { sql: format!("{alias}.{}", c.name), ty: c.ty, role: c.role };
        let fields = rel.columns().iter().map(field).collect();
        let how = if rel.named(&self.tables) { How::Table } else { How::Derived };
        (Part::From(From { query: rel.query.clone(), alias, how }), fields)
    }
}
