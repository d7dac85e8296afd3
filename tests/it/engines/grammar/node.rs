//! SQL as a tree of templates: text with holes, each hole an expression, a query or a clause that may be left out.
//!
//! The tree knows no more of SQL than the types of its holes. That suffices to print it, and to make it smaller: a hole may
//! take anything of its type that stands below it.

/// The type of an expression, as far as the grammar goes: integers of all widths are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    Int,
    Float,
    Dec,
    Text,
    Bool,
    Time,
    Date,
    Span,
    List,
}

impl Ty {
    /// The smallest expression of the type.
    fn literal(self) -> &'static str {
        match self {
            Self::Int => "1",
            Self::Float => "CAST(1 AS DOUBLE)",
            Self::Dec => "CAST(1 AS DECIMAL(16, 2))",
            Self::Text => "'a'",
            Self::Bool => "TRUE",
            Self::Time => "NOW()",
            Self::Date => "CURRENT_DATE",
            Self::Span => "(NOW() - NOW())",
            Self::List => "make_array(1, 2)",
        }
    }
}

/// What a column means beside its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Shop,
    Plain,
}

/// A column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub ty: Ty,
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sort {
    Expr(Ty),
    /// A query with these columns.
    Query(Vec<Column>),
    /// A part that may be left out.
    Clause,
    /// A part that may not.
    Group,
}

/// A template with its holes filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub sort: Sort,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Node(Node),
    From(From),
}

/// An item of a FROM clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct From {
    pub query: Node,
    pub alias: String,
    pub how: How,
}

/// How an item of a FROM clause is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// The query is a table's name.
    Table,
    Derived,
    /// `WITH name AS (...)`, at the start of the view.
    Cte(String),
    /// A view of its own.
    View(String),
}

impl std::convert::From<Node> for Part {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

impl std::convert::From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}

impl std::convert::From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Fills the holes `{}` of a template, in order.
fn filled(template: &str, holes: Vec<Part>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut holes = holes.into_iter();
    for (i, text) in template.split("{}").enumerate() {
        if i > 0 {
            parts.push(holes.next().expect("a part for each hole"));
        }
        if !text.is_empty() {
            parts.push(text.into());
        }
    }
    assert!(holes.next().is_none(), "more parts than holes in {template}");
    parts
}

/// All views that a tree is printed as.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    /// Helpers first, by name.
    pub helpers: Vec<(String, String)>,
    ctes: Vec<(String, String)>,
}

impl Printed {
    /// The view itself; its helpers are gathered in `self`.
    pub(crate) fn view(&mut self, node: &Node) -> String {
        let outer = std::mem::take(&mut self.ctes);
        let body = self.node(node);
        let ctes = std::mem::replace(&mut self.ctes, outer);
        let ctes: Vec<String> = ctes.into_iter().map(|(name, sql)| format!("{name} AS ({sql})")).collect();
        if ctes.is_empty() { body } else { format!("WITH {}\n{body}", ctes.join(",\n  ")) }
    }

    fn node(&mut self, node: &Node) -> String {
        let mut text = String::new();
        for part in &node.parts {
            match part {
                Part::Text(t) => text += t,
                Part::Node(n) => text += &self.node(n),
                Part::From(from) => text += &self.from(from),
            }
        }
        text
    }

    fn from(&mut self, from: &From) -> String {
        let alias = &from.alias;
        match &from.how {
            How::Table => format!("{} AS {alias}", self.node(&from.query)),
            How::Derived => format!("({}) AS {alias}", self.node(&from.query)),
            How::Cte(name) => {
                let sql = self.node(&from.query);
                format!("{} AS {alias}", declared(&mut self.ctes, name, sql))
            }
            How::View(name) => {
                let sql = self.view(&from.query);
                format!("{} AS {alias}", declared(&mut self.helpers, name, sql))
            }
        }
    }
}

/// The name under which this SQL is known; a smaller tree may have made two of what was one.
fn declared(known: &mut Vec<(String, String)>, name: &str, sql: String) -> String {
    let mut own = name.to_string();
    while let Some((_, other)) = known.iter().find(|(n, _)| *n == own) {
        if *other == sql {
            return own;
        }
        own += "x";
    }
    known.push((own.clone(), sql));
    own
}

impl Node {
    pub(crate) fn expr(ty: Ty, template: &str, holes: Vec<Part>) -> Self {
        Self { sort: Sort::Expr(ty), parts: filled(template, holes) }
    }

    pub(crate) fn query(columns: Vec<Column>, template: &str, holes: Vec<Part>) -> Self {
        Self { sort: Sort::Query(columns), parts: filled(template, holes) }
    }

    pub(crate) fn clause(template: &str, holes: Vec<Part>) -> Self {
        Self { sort: Sort::Clause, parts: filled(template, holes) }
    }

    pub(crate) fn group(template: &str, holes: Vec<Part>) -> Self {
        Self { sort: Sort::Group, parts: filled(template, holes) }
    }

    /// A comma list of items under these names; all but the first may be left out.
    pub(crate) fn items(items: Vec<(Self, Column)>) -> (Self, Vec<Column>) {
        let mut parts: Vec<Part> = Vec::new();
        let mut columns = Vec::new();
        for (i, (item, column)) in items.into_iter().enumerate() {
            let name = &column.name;
            parts.push(match i {
                0 => Self::group(&format!("{{}} AS {name}"), vec![item.into()]).into(),
                _ => Self::clause(&format!(", {{}} AS {name}"), vec![item.into()]).into(),
            });
            columns.push(column);
        }
        (Self { sort: Sort::Group, parts }, columns)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        match &self.sort {
            Sort::Query(columns) => columns,
            _ => &[],
        }
    }

    /// Every tree that is this one with one thing taken out or put simpler, the largest cuts first.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut found = self.replacements();
        for (i, part) in self.parts.iter().enumerate() {
            let with = |part: Part| {
                let mut node = self.clone();
                node.parts[i] = part;
                node
            };
            match part {
                Part::Text(_) => {}
                Part::Node(node) => found.extend(node.smaller().into_iter().map(|n| with(Part::Node(n)))),
                Part::From(from) => {
                    if matches!(from.how, How::Cte(_) | How::View(_)) {
                        found.push(with(Part::From(From { how: How::Derived, ..from.clone() })));
                    }
                    let inner = from.query.smaller();
                    found.extend(inner.into_iter().map(|query| with(Part::From(From { query, ..from.clone() }))));
                }
            }
        }
        found
    }

    /// What may stand in place of this very node.
    fn replacements(&self) -> Vec<Self> {
        match &self.sort {
            Sort::Group => Vec::new(),
            Sort::Clause if self.parts.is_empty() => Vec::new(),
            Sort::Clause => vec![Self { sort: Sort::Clause, parts: Vec::new() }],
            Sort::Expr(ty) => {
                let literal = Self::expr(*ty, ty.literal(), Vec::new());
                let mut found = if *self == literal { Vec::new() } else { vec![literal] };
                found.extend(self.children().into_iter().filter(|c| c.sort == self.sort).cloned());
                found
            }
            Sort::Query(columns) => self.queries().into_iter().filter_map(|c| c.shaped(columns)).collect(),
        }
    }

    /// Queries below, the deepest first.
    fn queries(&self) -> Vec<&Self> {
        let mut found: Vec<&Self> = Vec::new();
        for child in self.children() {
            let below = child.queries();
            found.extend(below.into_iter().chain(matches!(child.sort, Sort::Query(_)).then_some(child)));
        }
        found
    }

    /// Nodes below, through clauses.
    fn children(&self) -> Vec<&Self> {
        let mut found = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(_) => {}
                Part::Node(node) if matches!(node.sort, Sort::Clause | Sort::Group) => found.extend(node.children()),
                Part::Node(node) => found.push(node),
                Part::From(from) => found.push(&from.query),
            }
        }
        found
    }

    /// This query under other column names: each wanted column is one of its own of that type, or a literal.
    fn shaped(&self, wanted: &[Column]) -> Option<Self> {
        let Sort::Query(own) = &self.sort else { return None };
        let mut left: Vec<&Column> = own.iter().collect();
        let mut items = Vec::new();
        for column in wanted {
            let fit = left.iter().position(|c| c.ty == column.ty && c.role == column.role);
            let fit = fit.or_else(|| left.iter().position(|c| c.ty == column.ty));
            let value = fit.map_or_else(|| column.ty.literal().to_string(), |i| format!("q.{}", left.remove(i).name));
            items.push(format!("{value} AS {}", column.name));
        }
        let how = if matches!(self.parts.as_slice(), [Part::Text(t)] if !t.contains(' ')) {
            How::Table
        } else {
            How::Derived
        };
        let from = From { query: self.clone(), alias: "q".to_string(), how };
        let template = format!("SELECT {} FROM {{}}", items.join(", "));
        Some(Self::query(wanted.to_vec(), &template, vec![Part::From(from)]))
    }
}
