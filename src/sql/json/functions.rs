//! The functions of `jsonb`, each over any text: `jsonb(x)` is applied where the argument is not known to be canonical.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_functions_json::udfs::{json_as_text_udf, json_get_json_udf};

use super::canonical::canonical;

pub(super) const JSONB: &str = "jsonb";
pub(super) const TRY_JSONB: &str = "try_jsonb";

/// A cast to text takes the mark off, as DataFusion's casts drop the names of extension types.
const MARK: (&str, &str) = ("ARROW:extension:name", "backcast.jsonb");
/// As much of a malformed text as a message shows.
const SHOWN_CHARS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Function {
    /// Text to canonical text.
    Canonical,
    /// The same, NULL for what is no JSON.
    TryCanonical,
    /// A value only if it is an object.
    Object,
    Get,
    GetText,
    ExtractPath,
    ExtractPathText,
    Exists,
    ArrayLength,
    TypeOf,
}

impl Function {
    const ALL: [(Self, &'static str, &'static [&'static str]); 10] = [
        (Self::Canonical, JSONB, &[]),
        (Self::TryCanonical, TRY_JSONB, &[]),
        (Self::Object, "jsonb_if_object", &[]),
        (Self::Get, "jsonb_get", &[]),
        (Self::GetText, "jsonb_get_text", &[]),
        (Self::ExtractPath, "jsonb_extract_path", &[]),
        (Self::ExtractPathText, "jsonb_extract_path_text", &["json_extract_path_text"]),
        (Self::Exists, "jsonb_exists", &[]),
        (Self::ArrayLength, "jsonb_array_length", &["json_array_length"]),
        (Self::TypeOf, "jsonb_typeof", &["json_typeof"]),
    ];

    /// Whether the result is `jsonb`.
    fn gives_json(self) -> bool {
        matches!(self, Self::Canonical | Self::TryCanonical | Self::Object | Self::Get | Self::ExtractPath)
    }

    /// Arguments after the first: how many, and whether each has to be text.
    fn takes(self, rest: &[DataType]) -> bool {
        let text = |t: &DataType| is_text(t) || *t == DataType::Null;
        match self {
            Self::Get | Self::GetText => rest.iter().all(|t| text(t) || *t == DataType::Int64),
            Self::ExtractPath | Self::ExtractPathText => !rest.is_empty() && rest.iter().all(text),
            Self::Exists => rest.len() == 1 && text(&rest[0]),
            _ => rest.is_empty(),
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Exists => DataType::Boolean,
            Self::ArrayLength => DataType::Int32,
            _ => DataType::Utf8,
        }
    }

    pub(super) fn udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(JsonFunction::new(self)))
    }
}

/// All of them, for a session.
pub(super) fn all() -> impl Iterator<Item = ScalarUDF> {
    Function::ALL.iter().map(|(function, _, _)| ScalarUDF::from(JsonFunction::new(*function)))
}

/// Whether the function is one of these.
pub(super) fn function_of(udf: &ScalarUDF) -> Option<Function> {
    (udf.inner().as_ref() as &dyn std::any::Any).downcast_ref::<JsonFunction>().map(|f| f.function)
}

/// Whether the field's values are `jsonb`: canonical text.
pub(super) fn marked(field: &Field) -> bool {
    field.metadata().get(MARK.0).is_some_and(|name| name == MARK.1)
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => other.is_string(),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonFunction {
    function: Function,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl JsonFunction {
    fn new(function: Function) -> Self {
        let (_, name, aliases) =
            Function::ALL.iter().find(|(known, _, _)| *known == function).expect("`ALL` holds every function");
        let aliases = aliases.iter().map(ToString::to_string).collect();
        Self { function, name, aliases, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        match args.split_first() {
            Some((first, rest)) if (is_text(first) || *first == DataType::Null) && self.function.takes(rest) => {
                Ok(self.function.data_type())
            }
            _ => {
                let types: Vec<String> = args.iter().map(ToString::to_string).collect();
                plan_err!("{}({}) does not exist: the first argument is JSON text", self.name, types.join(", "))
            }
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let field = Field::new(self.name, self.return_type(&types)?, true);
        if args.scalar_arguments.len() > 2 && args.scalar_arguments[1..].iter().any(Option::is_none) {
            return plan_err!("{} takes a path that is written out", self.name);
        }
        if !self.function.gives_json() {
            return Ok(Arc::new(field));
        }
        Ok(Arc::new(field.with_metadata(HashMap::from([(MARK.0.to_string(), MARK.1.to_string())]))))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let json = args.arg_fields.first().is_some_and(|f| marked(f));
        let first = match self.function {
            Function::TryCanonical => return each_text(&args.args[0], |text| Ok(canonical(text).ok())),
            _ if json => args.args[0].clone(),
            _ => each_text(&args.args[0], |text| canonical_or_error(text).map(Some))?,
        };
        match self.function {
            Function::Canonical | Function::TryCanonical => Ok(first),
            Function::Object => each_text(&first, |text| Ok(text.starts_with('{').then(|| text.to_string()))),
            Function::Get | Function::ExtractPath | Function::GetText | Function::ExtractPathText => {
                for path in &mut args.args[1..] {
                    if is_text(&path.data_type()) {
                        *path = path.cast_to(&DataType::Utf8, None)?;
                    }
                }
                args.arg_fields[0] = Arc::new(Field::new("json", DataType::Utf8, true));
                args.args[0] = first;
                let text = matches!(self.function, Function::GetText | Function::ExtractPathText);
                if text { json_as_text_udf() } else { json_get_json_udf() }.invoke_with_args(args)
            }
            Function::Exists => exists(&first, &args.args[1], args.number_rows),
            Function::ArrayLength => array_length(&first),
            Function::TypeOf => each_text(&first, |text| Ok(Some(type_of(text).to_string()))),
        }
    }
}

fn canonical_or_error(text: &str) -> DfResult<String> {
    match canonical(text) {
        Ok(json) => Ok(json),
        Err(reason) => {
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            exec_err!("`{shown}{more}` is no JSON: {reason} (`TRY_CAST(column AS jsonb)` is NULL for what is no JSON)")
        }
    }
}

fn type_of(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Applies `f` to every text; NULL stays NULL.
fn each_text(value: &ColumnarValue, f: impl Fn(&str) -> DfResult<Option<String>>) -> DfResult<ColumnarValue> {
    let texts = texts(value)?;
    let texts = texts.as_string::<i32>();
    let made: StringArray = texts.iter().map(|t| t.map_or(Ok(None), &f)).collect::<DfResult<_>>()?;
    like(value, Arc::new(made))
}

fn texts(value: &ColumnarValue) -> DfResult<ArrayRef> {
    let array = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    Ok(cast(&array, &DataType::Utf8)?)
}

/// The array as the kind of value that the argument was.
fn like(argument: &ColumnarValue, array: ArrayRef) -> DfResult<ColumnarValue> {
    match argument {
        ColumnarValue::Array(_) => Ok(ColumnarValue::Array(array)),
        ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
    }
}

fn array_length(json: &ColumnarValue) -> DfResult<ColumnarValue> {
    let array = texts(json)?;
    let length = |text: &str| match items(text) {
        Some(items) => Ok(i32::try_from(items.len()).ok()),
        None => {
            exec_err!("`jsonb_array_length` of {} that is no array: ask `jsonb_typeof` first", article(type_of(text)))
        }
    };
    let lengths: Int32Array =
        array.as_string::<i32>().iter().map(|t| t.map_or(Ok(None), length)).collect::<DfResult<_>>()?;
    like(json, Arc::new(lengths))
}

fn article(noun: &str) -> String {
    if noun.starts_with('o') { format!("an {noun}") } else { format!("a {noun}") }
}

/// Whether the text is a key of the object, a string in the array, or the string itself.
fn exists(json: &ColumnarValue, key: &ColumnarValue, rows: usize) -> DfResult<ColumnarValue> {
    let both = [json.clone(), key.clone()];
    let scalar = both.iter().all(|v| matches!(v, ColumnarValue::Scalar(_)));
    let [jsons, keys] =
        both.map(|v| v.to_array(if scalar { 1 } else { rows }).and_then(|a| Ok(cast(&a, &DataType::Utf8)?)));
    let (jsons, keys) = (jsons?, keys?);
    let found: BooleanArray = jsons
        .as_string::<i32>()
        .iter()
        .zip(keys.as_string::<i32>())
        .map(|(json, key)| json.zip(key).map(|(json, key)| holds(json, key)))
        .collect();
    let found: ArrayRef = Arc::new(found);
    if scalar { like(json, found) } else { Ok(ColumnarValue::Array(found)) }
}

fn holds(json: &str, key: &str) -> bool {
    let wanted = super::canonical::quoted(key);
    match type_of(json) {
        "object" => members(json).iter().any(|m| m.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with(": "))),
        "array" => members(json).contains(&wanted.as_str()),
        _ => json == wanted,
    }
}

/// The items of an array.
fn items(json: &str) -> Option<Vec<&str>> {
    json.starts_with('[').then(|| members(json))
}

/// What stands between the commas of an object or array, in canonical text.
fn members(json: &str) -> Vec<&str> {
    let inner = &json[1..json.len() - 1];
    let mut members = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut start) = (0_usize, false, false, 0);
    for (i, b) in inner.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                members.push(&inner[start..i]);
                start = i + 2;
            }
            _ => {}
        }
    }
    if !inner.is_empty() {
        members.push(&inner[start..]);
    }
    members
}
