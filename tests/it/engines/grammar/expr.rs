//! Scalar expressions by type. None of them can fail on any value: what fails on a row that no label sees would say nothing.

use super::Gen;
use super::node::{Node, Part, Role, Ty};
use super::scope::Field;

/// A template and the types of its holes.
pub(super) type Template = (&'static str, &'static [Ty]);

use Ty::{Bool, Date, Dec, Float, Int, List, Span, Text, Time};

const INT: &[Template] = &[
    ("({} + {})", &[Int, Int]),
    ("({} - {})", &[Int, Int]),
    ("({} * 3)", &[Int]),
    ("({} % 7)", &[Int]),
    ("({} / 3)", &[Int]),
    ("abs({})", &[Int]),
    ("CASE WHEN {} THEN {} ELSE {} END", &[Bool, Int, Int]),
    ("CASE WHEN {} THEN {} END", &[Bool, Int]),
    ("CASE {} WHEN 1 THEN {} WHEN 2 THEN 0 ELSE -1 END", &[Int, Int]),
    ("coalesce({}, {})", &[Int, Int]),
    ("nullif({}, {})", &[Int, Int]),
    ("greatest({}, {})", &[Int, Int]),
    ("CAST(length({}) AS BIGINT)", &[Text]),
    ("CAST(date_part('hour', {}) AS BIGINT)", &[Time]),
    ("CAST(date_part('dow', {}) AS BIGINT)", &[Time]),
    ("CAST(EXTRACT(DAY FROM {}) AS BIGINT)", &[Date]),
    ("CASE WHEN {} THEN 1 ELSE 0 END", &[Bool]),
];
const FLOAT: &[Template] = &[
    ("({} + {})", &[Float, Float]),
    ("({} - {})", &[Float, Float]),
    ("({} * CAST(0.5 AS DOUBLE))", &[Float]),
    ("({} / nullif({}, CAST(0 AS DOUBLE)))", &[Float, Float]),
    ("CAST({} AS DOUBLE)", &[Int]),
    ("CAST({} AS DOUBLE)", &[Dec]),
    ("abs({})", &[Float]),
    ("floor({})", &[Float]),
    ("CASE WHEN {} THEN {} ELSE {} END", &[Bool, Float, Float]),
    ("coalesce({}, {})", &[Float, Float]),
    ("(date_part('epoch', {}) - date_part('epoch', {}))", &[Time, Time]),
];
const DEC: &[Template] = &[
    ("({} + {})", &[Dec, Dec]),
    ("abs({})", &[Dec]),
    ("CASE WHEN {} THEN {} END", &[Bool, Dec]),
    ("coalesce({}, {})", &[Dec, Dec]),
];
const TEXT: &[Template] = &[
    ("upper({})", &[Text]),
    ("concat({}, '-', {})", &[Text, Text]),
    ("({} || {})", &[Text, Text]),
    ("substr({}, 1, 2)", &[Text]),
    ("replace({}, 'e', 'i')", &[Text]),
    ("CASE WHEN {} THEN {} ELSE {} END", &[Bool, Text, Text]),
    ("coalesce({}, {})", &[Text, Text]),
    ("nullif({}, 'view')", &[Text]),
    ("CAST({} AS VARCHAR)", &[Int]),
    ("CAST({} AS VARCHAR)", &[Date]),
];
const BOOL: &[Template] = &[
    ("({} > {})", &[Int, Int]),
    ("({} <= {})", &[Float, Float]),
    ("({} <> {})", &[Text, Text]),
    ("({} IS DISTINCT FROM {})", &[Int, Int]),
    ("({} IS NULL)", &[Text]),
    ("({} IS NOT NULL)", &[Int]),
    ("({} AND {})", &[Bool, Bool]),
    ("({} OR {})", &[Bool, Bool]),
    ("(NOT {})", &[Bool]),
    ("({} IN ('buy', 'home', 'free', ''))", &[Text]),
    ("({} NOT IN (1, 2, 40))", &[Int]),
    ("({} BETWEEN {} AND {})", &[Int, Int, Int]),
    ("({} LIKE '%e%')", &[Text]),
    ("({} IS TRUE)", &[Bool]),
    ("({} >= {})", &[Time, Time]),
    ("({} < {})", &[Time, Time]),
    ("({} = {})", &[Date, Date]),
    ("({} > CAST(20 AS DECIMAL(16, 2)))", &[Dec]),
];
const TIME: &[Template] = &[
    ("date_trunc('day', {})", &[Time]),
    ("date_trunc('hour', {})", &[Time]),
    ("date_trunc('month', {})", &[Time]),
    ("date_bin(INTERVAL '6 hours', {})", &[Time]),
    ("({} - INTERVAL '1 day')", &[Time]),
    ("({} + INTERVAL '90 minutes')", &[Time]),
    ("({} - INTERVAL '1 month')", &[Time]),
    ("CASE WHEN {} THEN {} ELSE {} END", &[Bool, Time, Time]),
    ("coalesce({}, {})", &[Time, Time]),
    ("least({}, {})", &[Time, Time]),
];
const DATE: &[Template] = &[("CAST({} AS DATE)", &[Time]), ("coalesce({}, CURRENT_DATE)", &[Date])];
const SPAN: &[Template] = &[("({} - {})", &[Time, Time])];
const LIST: &[Template] = &[("make_array({}, {})", &[Int, Int])];

/// Templates that other databases read in another way.
const OWN_INT: &[Template] = &[("cardinality({})", &[List])];
const OWN_TEXT: &[Template] = &[("to_char({}, '%Y-%m')", &[Date]), ("initcap({})", &[Text])];
const OWN_TIME: &[Template] = &[
    ("(date_trunc('day', {} AT TIME ZONE 'America/New_York') AT TIME ZONE 'America/New_York')", &[Time]),
    ("(date_trunc('week', {} AT TIME ZONE 'Asia/Kathmandu') AT TIME ZONE 'UTC')", &[Time]),
];
const OWN_BOOL: &[Template] = &[("array_has({}, 3)", &[List]), ("({} ~ '^[a-h]')", &[Text])];

/// How far back conditions look.
const BACK: &[&str] =
    &["1 hour", "2 hours", "30 minutes", "1 day", "3 days", "7 days", "1 month", "2 months", "1 week", "90 seconds"];

impl Gen<'_> {
    /// An expression of the type over the fields.
    pub(super) fn expr(&mut self, ty: Ty, scope: &[Field], depth: usize) -> Node {
        if depth == 0 || self.rng.one_in(2) {
            return self.leaf(ty, scope);
        }
        let (all, own): (&[Template], &[Template]) = match ty {
            Int => (INT, OWN_INT),
            Float => (FLOAT, &[]),
            Dec => (DEC, &[]),
            Text => (TEXT, OWN_TEXT),
            Bool => return self.condition(scope, depth - 1),
            Time => (TIME, OWN_TIME),
            Date => (DATE, &[]),
            Span => (SPAN, &[]),
            List => (LIST, &[]),
        };
        let (template, holes) = self.template(all, own);
        self.fill(ty, template, holes, scope, depth - 1)
    }

    fn template(&mut self, all: &[Template], own: &[Template]) -> Template {
        let own = if self.portable { &[] } else { own };
        let pick = self.rng.below(all.len() + own.len());
        all.get(pick).or_else(|| own.get(pick - all.len())).copied().expect("a template")
    }

    /// The template with an expression of each hole's type.
    pub(super) fn fill(&mut self, ty: Ty, template: &str, holes: &[Ty], scope: &[Field], depth: usize) -> Node {
        let parts: Vec<Part> = holes.iter().map(|h| self.expr(*h, scope, depth).into()).collect();
        Node::expr(ty, template, parts)
    }

    /// A column of the type, or a literal.
    pub(super) fn leaf(&mut self, ty: Ty, scope: &[Field]) -> Node {
        let fit: Vec<&Field> = scope.iter().filter(|f| f.ty == ty).collect();
        if fit.is_empty() || self.rng.one_in(10) {
            return self.literal(ty, scope);
        }
        let field = fit[self.rng.below(fit.len())];
        // Keys may be unsigned, which subtraction is not.
        let sql = if field.role == Role::User { format!("CAST({} AS BIGINT)", field.sql) } else { field.sql.clone() };
        Node::expr(ty, &sql, Vec::new())
    }

    fn literal(&mut self, ty: Ty, scope: &[Field]) -> Node {
        let text = match ty {
            Int => self.rng.pick(&["0", "1", "2", "7", "-3", "40"]).to_string(),
            Float => self.rng.pick(&["CAST(2.5 AS DOUBLE)", "CAST(0 AS DOUBLE)", "CAST(-10 AS DOUBLE)"]).to_string(),
            Dec => "CAST(12.50 AS DECIMAL(16, 2))".to_string(),
            Text => self.rng.pick(&["'buy'", "'home'", "'free'", "''"]).to_string(),
            Bool => self.rng.pick(&["TRUE", "FALSE"]).to_string(),
            Time => return self.instant(),
            Date => "CURRENT_DATE".to_string(),
            Span => return self.fill(Span, "(NOW() - {})", &[Time], scope, 0),
            List => return self.fill(List, "make_array({}, {}, 3)", &[Int, Int], scope, 0),
        };
        Node::expr(ty, &text, Vec::new())
    }

    fn back(&mut self) -> &'static str {
        BACK[self.rng.below(BACK.len())]
    }

    /// An instant before `NOW()`, or `NOW()` itself.
    pub(super) fn instant(&mut self) -> Node {
        let back = self.back();
        let text = match self.rng.below(8) {
            0 => "date_trunc('day', NOW())".to_string(),
            1 => format!("date_trunc('hour', NOW() - INTERVAL '{back}')"),
            2 => "date_trunc('month', NOW())".to_string(),
            3 => format!("CURRENT_TIMESTAMP - INTERVAL '{back}'"),
            4 => "NOW()".to_string(),
            _ => format!("NOW() - INTERVAL '{back}'"),
        };
        Node::expr(Time, &format!("({text})"), Vec::new())
    }

    /// A condition that compares a time with `NOW()`.
    pub(super) fn timed(&mut self, scope: &[Field]) -> Node {
        let (template, holes): Template = match self.rng.below(10) {
            0..=2 => ("({} > {})", &[Time, Time]),
            3 | 4 => ("({} >= {})", &[Time, Time]),
            5 => ("({} < {})", &[Time, Time]),
            6 => ("({} <= {})", &[Time, Time]),
            7 => ("(CAST({} AS DATE) = CURRENT_DATE)", &[Time]),
            8 => ("({} BETWEEN NOW() - INTERVAL '1 month' AND {})", &[Time, Time]),
            _ => ("({} + INTERVAL '3 days' > NOW())", &[Time]),
        };
        let mut parts: Vec<Part> = vec![self.leaf(Time, scope).into()];
        if holes.len() > 1 {
            parts.push(self.instant().into());
        }
        let timed = Node::expr(Bool, template, parts);
        match self.rng.below(6) {
            0 => Node::expr(Bool, "({} OR {})", vec![timed.into(), self.condition(scope, 0).into()]),
            1 => Node::expr(Bool, "({} AND {})", vec![timed.into(), self.condition(scope, 0).into()]),
            _ => timed,
        }
    }

    /// Any condition.
    pub(super) fn condition(&mut self, scope: &[Field], depth: usize) -> Node {
        match self.rng.below(6) {
            0 => self.timed(scope),
            1 => self.leaf(Bool, scope),
            _ => {
                let (template, holes) = self.template(BOOL, OWN_BOOL);
                self.fill(Bool, template, holes, scope, depth)
            }
        }
    }
}
