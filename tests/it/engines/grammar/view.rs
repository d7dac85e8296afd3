//! Views: a relation with one row for a key at most, its columns named as features.

use super::node::{Column, Node, Part, Printed, Role, Ty};
use super::scope::{Field, Rel};
use super::{Gen, RELATIONS, users};

/// A view as a tree.
#[derive(Debug, Clone)]
pub(crate) struct ViewTree {
    pub name: String,
    /// Its table in the config, without `sql`.
    pub config: String,
    pub query: Node,
}

/// Views printed: name, table in the config, SQL; helpers before those that read them.
pub(crate) fn printed(views: &[ViewTree]) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut printed = Printed::default();
    let mut known = 0;
    for view in views {
        let sql = printed.view(&view.query);
        for (name, sql) in &printed.helpers[known..] {
            all.push((name.clone(), "helper = true".to_string(), sql.clone()));
        }
        known = printed.helpers.len();
        all.push((view.name.clone(), view.config.clone(), sql));
    }
    all
}

impl Gen<'_> {
    /// The next view of the project; later ones may read it.
    pub(crate) fn view(&mut self, name: &str) -> ViewTree {
        self.budget = RELATIONS;
        let depth = 1 + self.rng.below(5);
        let rel = self.relation(depth);
        let (query, config, unique) = match self.rng.below(12) {
            0 => self.global(name, &rel),
            1 | 2 if rel.columns().iter().any(|c| c.role == Role::Shop) => self.by_shop(name, &rel),
            _ if rel.columns().iter().any(|c| c.role == Role::User) => self.by_user(name, &rel),
            _ => self.global(name, &rel),
        };
        let columns = query.columns().to_vec();
        let one_row = unique.is_none() && !columns.iter().any(|c| c.role != Role::Plain);
        // A view that is read is named like a table.
        let named = Node::query(columns, name, Vec::new());
        self.tables.push(Rel { query: named, unique, one_row, rows: if one_row { 1 } else { 6 } });
        ViewTree { name: name.to_string(), config, query }
    }

    fn feature(&mut self, view: &str, ty: Ty) -> Column {
        self.names += 1;
        Column { name: format!("{view}_{}", self.names), ty, role: Role::Plain }
    }

    /// Not a span of time: some are intervals, which Parquet does not hold.
    fn feature_type(&mut self) -> Ty {
        match self.aggregate_type() {
            Ty::Span => Ty::Int,
            ty => ty,
        }
    }

    /// Every column of the relation that is no key, as a feature.
    fn features(&mut self, view: &str, fields: &[Field], but: &str) -> Vec<(Node, Column)> {
        let mut items = Vec::new();
        for field in fields.iter().filter(|f| f.sql != but && f.ty != Ty::Span) {
            if items.len() < 4 {
                let node = Node::expr(field.ty, &field.sql, Vec::new());
                items.push((node, self.feature(view, field.ty)));
            }
        }
        while items.is_empty() || self.rng.one_in(3) {
            let ty = self.feature_type();
            items.push((self.expr(ty, fields, 3), self.feature(view, ty)));
        }
        items
    }

    fn aggregated_features(&mut self, view: &str, fields: &[Field]) -> Vec<(Node, Column)> {
        (0..=self.rng.below(3))
            .map(|_| {
                let ty = self.feature_type();
                (self.aggregate(ty, fields, 2), self.feature(view, ty))
            })
            .collect()
    }

    fn by_user(&mut self, view: &str, rel: &Rel) -> (Node, String, Option<usize>) {
        let (from, fields) = self.derived(rel);
        let unique = rel.unique.map(|i| fields[i].clone()).filter(|f| f.role == Role::User);
        let (name, config) = match self.rng.one_in(6) {
            true => ("who", "keys = { user_id = \"who\" }".to_string()),
            false => ("user_id", String::new()),
        };
        let key = Column { name: name.to_string(), ty: Ty::Int, role: Role::User };
        let node = match unique {
            Some(unique) if !self.rng.one_in(3) => {
                let own = Node::expr(Ty::Int, &unique.sql, Vec::new());
                let (own, derived) = if self.rng.one_in(6) { self.shifted(own) } else { (own, false) };
                debug_assert!(!derived || unique.ty == Ty::Int);
                let mut items = vec![(own, key)];
                items.extend(self.features(view, &fields, &unique.sql));
                let filter = if self.rng.one_in(3) { self.filter(&fields) } else { Node::clause("", Vec::new()) };
                let (list, columns) = Node::items(items);
                Node::query(columns, "SELECT {} FROM {}{}", vec![list.into(), from, filter.into()])
            }
            _ => self.narrowed(view, from, &fields, key),
        };
        (node, config, Some(0))
    }

    /// Another key that is as unique as the one that is given.
    fn shifted(&mut self, key: Node) -> (Node, bool) {
        let template = self.rng.pick(&["({} + 1)", "CAST({} AS BIGINT)", "({} * 2 - {})"]);
        let holes = template.matches("{}").count();
        (Node::expr(Ty::Int, template, vec![Part::Node(key); holes]), true)
    }

    /// One row per user of many.
    fn narrowed(&mut self, view: &str, from: Part, fields: &[Field], key: Column) -> Node {
        let all = users(fields);
        let user = all[self.rng.below(all.len())].clone();
        let own = match (self.rng.below(6), all.len()) {
            (0, 2..) => Node::expr(Ty::Int, &format!("coalesce({}, {})", all[0].sql, all[1].sql), Vec::new()),
            (1, _) => Node::expr(Ty::Int, &format!("({} % 3 + 1)", user.sql), Vec::new()),
            (2, _) => {
                let condition = self.condition(fields, 0);
                Node::expr(Ty::Int, &format!("CASE WHEN {{}} THEN {} END", user.sql), vec![condition.into()])
            }
            _ => Node::expr(Ty::Int, &user.sql, Vec::new()),
        };
        let filter = if self.rng.one_in(2) { self.filter(fields) } else { Node::clause("", Vec::new()) };
        let mut items = vec![(own.clone(), key)];
        if self.rng.one_in(4) {
            items.extend(self.features(view, fields, &user.sql));
            let order = self.leaf(Ty::Time, fields);
            let (direction, rest) = (self.direction(), self.rest_of_order(fields, false));
            let nulls = if self.portable { " ASC NULLS LAST" } else { "" };
            let template =
                format!("SELECT DISTINCT ON ({{}}) {{}} FROM {{}}{{}} ORDER BY {{}}{nulls}, {{}} {direction}{rest}");
            let (list, columns) = Node::items(items);
            let parts = vec![own.clone().into(), list.into(), from, filter.into(), own.into(), order.into()];
            return Node::query(columns, &template, parts);
        }
        items.extend(self.aggregated_features(view, fields));
        let having = self.having(fields);
        let (list, columns) = Node::items(items);
        let parts = vec![list.into(), from, filter.into(), own.into(), having.into()];
        Node::query(columns, "SELECT {} FROM {}{} GROUP BY {}{}", parts)
    }

    /// Keyed by shop, alone or with the user.
    fn by_shop(&mut self, view: &str, rel: &Rel) -> (Node, String, Option<usize>) {
        let (from, fields) = self.derived(rel);
        let shop = fields.iter().find(|f| f.role == Role::Shop).expect("a shop").clone();
        let user = users(&fields).first().map(|f| (*f).clone()).filter(|_| !self.rng.one_in(3));
        let key = |field: &Field, name: &str| {
            (Self::key_of(field), Column { name: name.to_string(), ty: field.ty, role: field.role })
        };
        let mut keys = vec![key(&shop, "shop")];
        keys.extend(user.map(|user| key(&user, "user_id")));
        let by: Vec<Part> = keys.iter().map(|(node, _)| node.clone().into()).collect();
        let by = Node::group(&format!(" GROUP BY {}", vec!["{}"; by.len()].join(", ")), by);
        let (filter, having) = (self.filter(&fields), self.having(&fields));
        let mut items = keys;
        items.extend(self.aggregated_features(view, &fields));
        let (list, columns) = Node::items(items);
        let parts = vec![list.into(), from, filter.into(), by.into(), having.into()];
        (Node::query(columns, "SELECT {} FROM {}{}{}{}", parts), String::new(), None)
    }

    /// Without a key: one row for every label time, or none.
    fn global(&mut self, view: &str, rel: &Rel) -> (Node, String, Option<usize>) {
        let (from, fields) = self.derived(rel);
        let filter = self.filter(&fields);
        if rel.one_row && self.rng.one_in(2) {
            let (list, columns) = Node::items(self.features(view, &fields, ""));
            let query = Node::query(columns, "SELECT {} FROM {}{}", vec![list.into(), from, filter.into()]);
            return (query, String::new(), None);
        }
        if self.rng.one_in(3) {
            let items = self.features(view, &fields, "");
            let order = self.leaf(Ty::Time, &fields);
            let (direction, rest) = (self.direction(), self.rest_of_order(&fields, false));
            let (list, columns) = Node::items(items);
            let parts = vec![list.into(), from, filter.into(), order.into()];
            let template = format!("SELECT {{}} FROM {{}}{{}} ORDER BY {{}} {direction}{rest} LIMIT 1");
            return (Node::query(columns, &template, parts), String::new(), None);
        }
        let items = self.aggregated_features(view, &fields);
        let having = self.having(&fields);
        let (list, columns) = Node::items(items);
        let parts = vec![list.into(), from, filter.into(), having.into()];
        (Node::query(columns, "SELECT {} FROM {}{}{}", parts), String::new(), None)
    }
}
