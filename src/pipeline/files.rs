//! The tables of a run's output, written while chunks come in.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use crate::analysis::Project;
use crate::dataset::{Conform, natural};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::output::{NewFile, Parts};
use crate::pipeline::recover::{Provenance, Recovered, kept};
use crate::source::Labels;

/// Rows that are rendered at once.
const ROWS_AT_ONCE: usize = 65_536;

/// A table that is begun with its first rows.
#[derive(Debug, Default)]
pub(super) struct Table {
    parts: Option<Parts>,
}

impl Table {
    pub(super) async fn add(&mut self, folder: &str, schema: &SchemaRef, batch: RecordBatch) -> Result<()> {
        let parts = match self.parts.take() {
            Some(parts) => parts,
            None => Parts::new(folder, SchemaRef::clone(schema))?,
        };
        self.parts = Some(parts.add(batch).await?);
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<Vec<NewFile>> {
        match self.parts {
            Some(parts) => parts.finish().await,
            None => Ok(Vec::new()),
        }
    }
}

/// Dataset and provenance.
#[derive(Debug, Default)]
pub(super) struct Tables {
    dataset: Table,
    provenance: Table,
    dropped: Table,
    rows: usize,
}

impl Tables {
    /// Adds the label rows of a chunk with their features.
    ///
    /// # Errors
    /// A value that the snapshot's schema can't hold; what stops a writer.
    pub(super) async fn add(
        &mut self,
        project: &Project,
        conform: Option<&Conform>,
        labels: &Labels,
        recovered: &Recovered,
    ) -> Result<()> {
        let failed = |e: datafusion::error::DataFusionError| Error::engine("write the dataset", e);
        let batch = natural(labels, &project.features, &recovered.features).map_err(failed)?;
        let mut batch = kept(&batch, recovered).map_err(failed)?;
        let rows = batch.num_rows();
        if let Some(conform) = conform {
            batch = conform.apply(&batch).map_err(|e| {
                Error::input(
                    Finding::error(e.after(self.rows).to_string())
                        .at(project.inputs.config.place("dataset.schema_of"))
                        .help("cast the feature in its view, set its defaults, or drop `schema_of`"),
                )
            })?;
        }
        self.rows += rows;
        let schema = batch.schema();
        self.dataset.add("dataset", &schema, batch).await?;
        for (folder, left_out) in [("provenance", false), ("dropped", true)] {
            if left_out && recovered.dropped() == 0 {
                continue;
            }
            let all = Provenance::new(project, labels, recovered, left_out)?;
            let table = if left_out { &mut self.dropped } else { &mut self.provenance };
            let nothing: &[u32] = &[];
            let parts: Vec<&[u32]> =
                if all.rows.is_empty() { vec![nothing] } else { all.rows.chunks(ROWS_AT_ONCE).collect() };
            for rows in parts {
                let batch = all.batch(rows).map_err(|e| Error::storage(format!("write {folder}/"), e))?;
                table.add(folder, &all.schema, batch).await?;
            }
        }
        Ok(())
    }

    /// The files; without the dataset where it is refused.
    ///
    /// # Errors
    /// What stopped a writer.
    pub(super) async fn finish(self, refused: bool) -> Result<Vec<NewFile>> {
        let dataset = self.dataset.finish().await?;
        let mut files = if refused { Vec::new() } else { dataset };
        files.extend(self.provenance.finish().await?);
        files.extend(self.dropped.finish().await?);
        Ok(files)
    }
}

/// The mismatching cells of one snapshot.
#[derive(Debug)]
pub(super) struct MismatchTable {
    folder: String,
    table: Table,
}

impl MismatchTable {
    pub(super) fn new(snapshot: &str) -> Self {
        Self { folder: format!("mismatches/{snapshot}"), table: Table::default() }
    }

    /// Adds the cells of a chunk.
    ///
    /// # Errors
    /// What stops a writer.
    pub(super) async fn add(&mut self, mismatches: &crate::diff::Mismatches) -> Result<()> {
        for batch in mismatches.batches(ROWS_AT_ONCE) {
            let batch = batch.map_err(|e| Error::storage("write the mismatches", e))?;
            self.table.add(&self.folder, mismatches.schema(), batch).await?;
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<Vec<NewFile>> {
        self.table.finish().await
    }
}
