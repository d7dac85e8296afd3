//! How a place is called in lineage.

use datafusion::arrow::datatypes::Schema;
use serde_json::{Value, json};

use crate::config::without_secrets;

/// A dataset, by the names that OpenLineage gives to stores and objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// `s3://bucket`, or `file`.
    pub namespace: String,
    /// The object's path, without a slash before or after it.
    pub name: String,
    /// Empty where it is not known.
    pub fields: Vec<Field>,
    /// Of what was written.
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub data_type: String,
}

/// The dataset of a URI: a path on disk, or an address; of a glob the folder before it.
pub fn named(uri: &str) -> Dataset {
    let shown = without_secrets(uri);
    let fixed = match shown.find(['*', '?', '[']) {
        Some(wildcard) => shown[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => &shown,
    };
    let (namespace, name) = match fixed.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            (format!("{scheme}://{host}"), path.trim_matches('/').to_string())
        }
        None => ("file".to_string(), fixed.trim_end_matches('/').to_string()),
    };
    let name = if name.is_empty() { "/".to_string() } else { name };
    Dataset { namespace, name, fields: Vec::new(), rows: None, bytes: None }
}

impl Dataset {
    #[must_use]
    pub fn with_schema(mut self, schema: &Schema) -> Self {
        let field = |f: &datafusion::arrow::datatypes::FieldRef| Field {
            name: f.name().clone(),
            data_type: f.data_type().to_string(),
        };
        self.fields = schema.fields().iter().map(field).collect();
        self
    }

    pub(super) fn json(&self, producer: &str, written: bool) -> Value {
        let mut facets = json!({});
        if !self.fields.is_empty() {
            let fields: Vec<Value> =
                self.fields.iter().map(|f| json!({ "name": f.name, "type": f.data_type })).collect();
            facets["schema"] = json!({
                "_producer": producer,
                "_schemaURL": "https://openlineage.io/spec/facets/1-1-1/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet",
                "fields": fields,
            });
        }
        let mut dataset = json!({ "namespace": self.namespace, "name": self.name, "facets": facets });
        if written && (self.rows.is_some() || self.bytes.is_some()) {
            let mut statistics = json!({
                "_producer": producer,
                "_schemaURL": "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet",
            });
            if let Some(rows) = self.rows {
                statistics["rowCount"] = rows.into();
            }
            if let Some(bytes) = self.bytes {
                statistics["size"] = bytes.into();
            }
            dataset["outputFacets"] = json!({ "outputStatistics": statistics });
        }
        dataset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_called_by_store_and_path_and_without_secrets() {
        let name = |uri: &str| {
            let dataset = named(uri);
            (dataset.namespace, dataset.name)
        };
        let told = |namespace: &str, name: &str| (namespace.to_string(), name.to_string());
        assert_eq!(name("/data/events/"), told("file", "/data/events"));
        assert_eq!(name("s3://lake/user_events/"), told("s3://lake", "user_events"));
        assert_eq!(name("s3://lake/labels/dt=*/part-*.parquet"), told("s3://lake", "labels"));
        assert_eq!(name("s3://lake"), told("s3://lake", "/"));
        assert_eq!(name("https://me:secret@host/x.parquet?sig=secret"), told("https://host", "x.parquet"));
    }
}
