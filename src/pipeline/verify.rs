//! The command `verify`: a finished run against its manifest, its inputs, and the reference engine.

use datafusion::arrow::array::{ArrayRef, Int64Array, UInt64Array};
use datafusion::arrow::compute::{take, take_record_batch};

use crate::config::{Config, resolve_uri, without_secrets};
use crate::dataset::natural;
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::monitor::Monitor;
use crate::output::{Manifest, read_manifest, sha256_hex};
use crate::pipeline::prepare::{Prepared, prepare, session_options};
use crate::pipeline::recover::{Provenance, Recovered, kept, legacy, recover};
use crate::pipeline::retained::{Look, Retained, cells_of};
use crate::pipeline::snapshots::SnapshotRows;
use crate::replay::{Chunk, Engine, ReplayOptions, replay};
use crate::source::time::rfc3339;
use crate::source::{Labels, Location, Stores, list};
use crate::sql::{SessionOptions, new_runtime};
use crate::verify::{
    Damage, Expected, FilesVerified, InputsVerified, Present, RunVerified, SampleVerified, Verified, check_chunks,
    check_files, check_inputs, compare_cells, positions, read_table,
};

/// What to verify.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The output folder, resolved; the config's where it is not given.
    pub out: Option<String>,
    /// Label rows to be computed anew; 0 for none.
    pub sample: usize,
}

/// Verifies a run. Without a config files and listed inputs are looked at, with it also what is new there and a sample.
///
/// # Errors
/// Bad input where there is no run at all, or a sample is asked for that can't be taken; failures of storage.
pub async fn verify(
    config: Option<(Config, String)>,
    options: VerifyOptions,
    monitor: &dyn Monitor,
) -> Result<Verified> {
    let session = config.as_ref().map_or_else(SessionOptions::default, |(config, _)| session_options(config));
    let storage = config.as_ref().map(|(config, _)| config.storage.clone()).unwrap_or_default();
    let stores = Stores::new(new_runtime(session.memory)?, &storage);
    let own = config.as_ref().map(|(config, _)| resolve_uri(&config.base, &config.output.uri));
    let Some(uri) = options.out.or(own) else {
        return Err(Error::input(
            Finding::error("there is neither an output folder nor a config that names one")
                .help("name one: `backcast verify out/`, or `backcast verify --config backcast.toml`"),
        ));
    };
    let output = stores.locate(&uri)?;
    let mut verified = Verified {
        format: 1,
        uri: without_secrets(&uri),
        intact: false,
        run: None,
        files: FilesVerified::default(),
        inputs: InputsVerified::default(),
        sample: None,
        notes: Vec::new(),
    };
    let manifest = match read_manifest(&output).await? {
        None => {
            return Err(Error::input(
                Finding::error(format!("`{}` holds no run: there is no manifest.json", without_secrets(&uri))).help(
                    "name the folder that a run was written to; a run that was cut off has no manifest: run it again",
                ),
            ));
        }
        Some(Err(why)) => {
            let damage = Damage { path: "manifest.json".to_string(), damage: "manifest", detail: why };
            verified.files.damages.push(damage);
            return Ok(verified);
        }
        Some(Ok(manifest)) => manifest,
    };
    verified.run = Some(RunVerified {
        project: manifest.project.clone(),
        command: manifest.command.clone(),
        generated_at: manifest.generated_at.clone(),
        backcast: manifest.versions.backcast.clone(),
    });
    verified.files = check_files(&output, &manifest, monitor).await?;
    verified.notes.extend(check_chunks(&output, &manifest).await?);
    let present = match &config {
        Some((config, _)) => present(config, &stores, monitor).await,
        None => Present::new(),
    };
    verified.inputs = check_inputs(&manifest, &stores, &present).await?;
    if options.sample > 0 {
        let Some((config, text)) = config else {
            return Err(Error::input(
                Finding::error("a sample can't be computed anew without the config")
                    .help("name it: `backcast verify out/ --config backcast.toml --sample 100`"),
            ));
        };
        verified.notes.extend(moved_on(&manifest, &text, &verified.inputs));
        // What is damaged can't be compared, and is known to be wrong.
        if verified.files.damages.is_empty() {
            let sampled = sample(config, &output, &manifest, options.sample, &mut verified.notes, monitor).await?;
            verified.sample = Some(sampled);
        }
    }
    let differences = verified.sample.as_ref().map_or(0, |s| s.differences);
    verified.intact = verified.files.damages.is_empty() && differences == 0;
    Ok(verified)
}

/// Why a sample may differ though nothing is wrong with the run.
fn moved_on(manifest: &Manifest, text: &str, inputs: &InputsVerified) -> Vec<String> {
    let mut notes = Vec::new();
    if sha256_hex(text.as_bytes()) != manifest.config_sha256 {
        notes.push(
            "the config, or what --set says, is not that of the run: the sample is computed by today's".to_string(),
        );
    }
    if !inputs.changes.is_empty() {
        notes.push("inputs are not as the run read them: the sample is computed from today's".to_string());
    }
    let now = crate::output::Versions::current();
    if now.backcast != manifest.versions.backcast {
        notes.push(format!("the run was made by backcast {}, this is {}", manifest.versions.backcast, now.backcast));
    }
    notes
}

/// The objects that the config's URIs name now. An input of which none is left is told by its files, one by one.
async fn present(config: &Config, stores: &Stores, monitor: &dyn Monitor) -> Present {
    let mut uris = vec![("labels".to_string(), &config.labels.uri)];
    uris.extend(config.sources.iter().map(|s| (format!("sources.{}", s.name), &s.uri)));
    uris.extend(config.snapshots.iter().map(|s| (format!("snapshots.{}", s.name), &s.uri)));
    monitor.begin("listing inputs", Some(uris.len() as u64));
    let base = config.base.display().to_string();
    let mut present = Present::new();
    for (input, uri) in uris {
        if let Ok(files) = list(stores, &resolve_uri(&config.base, uri), &base).await {
            let objects = files.files.into_iter().map(|f| (without_secrets(&f.uri()), f.meta)).collect();
            present.insert(input, objects);
        }
        monitor.advance(1);
    }
    monitor.end();
    present
}

/// Computes label rows anew by the reference engine, from the files of today, and compares all that was written of them.
async fn sample(
    config: Config,
    output: &Location,
    manifest: &Manifest,
    wanted: usize,
    notes: &mut Vec<String>,
    monitor: &dyn Monitor,
) -> Result<SampleVerified> {
    let mut found = SampleVerified::default();
    let folder = |name: &str| manifest.files.iter().any(|f| f.path.starts_with(&format!("{name}/")));
    if !folder("dataset") && !folder("provenance") {
        notes.push(format!("`{}` writes no dataset: there is nothing to compare a sample with", manifest.command));
        return Ok(found);
    }
    let prepared = prepare(config, monitor).await?;
    let project = &prepared.opened.project;
    let session = &prepared.opened.session;
    unchanged_sql(&prepared, manifest)?;
    let places = places(&prepared, output, manifest).await?;
    let rows = spread(prepared.labels.rows(), wanted);
    let labels = some_labels(&prepared.labels, &rows)?;
    let times = prepared.labels.times.values();
    let retained = Retained::open(project, times, session, Look::AsConfigured, monitor).await?;
    let options = ReplayOptions { engine: Engine::Reference };
    let replayed = replay(project, &labels, session, options, monitor).await?;
    let cells = cells_of(project, &replayed, &retained.coverage(labels.times.values()));
    let whole = Chunk { from: i64::MIN, until: i64::MAX, rows: 0..prepared.labels.rows() };
    let mut batches = Vec::new();
    if cells.iter().flat_map(|own| own.iter()).any(|c| !c.is_covered()) {
        for snapshot in &project.snapshots {
            batches.push(SnapshotRows::open(snapshot, u64::MAX, session).await?.of(&whole, session).await?);
        }
    }
    let legacy = legacy(project, &labels, &cells, &batches)?;
    let recovered = recover(project, &replayed, &cells, &legacy)?;
    found.rows = rows.len();
    for expected in tables(&prepared, &labels, &recovered, &rows, &places, &mut found)? {
        compare_cells(output, manifest, &expected, &mut found).await?;
    }
    Ok(found)
}

/// A sample is of no use where the SQL is another than the run's.
fn unchanged_sql(prepared: &Prepared, manifest: &Manifest) -> Result<()> {
    let project = &prepared.opened.project;
    let changed: Vec<String> = project
        .views
        .iter()
        .filter(|v| {
            manifest.views.iter().any(|m| m.view == v.name && m.sql_sha256 != sha256_hex(v.sql.text.as_bytes()))
        })
        .map(|v| format!("`{}`", v.name))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::input(
        Finding::error(format!(
            "the SQL of {} is not that of the run, so a sample of it can't be verified",
            changed.join(", ")
        ))
        .help("verify without --sample, or bring the SQL of the run back"),
    ))
}

/// By label row: its row in the dataset, where it has one.
async fn places(prepared: &Prepared, output: &Location, manifest: &Manifest) -> Result<Vec<Option<u64>>> {
    let config = &prepared.opened.project.inputs.config.labels;
    let labels = &prepared.labels;
    let written: u64 = manifest.files.iter().filter(|f| f.path.starts_with("provenance/")).filter_map(|f| f.rows).sum();
    if written == labels.rows() as u64 {
        return Ok((0..written).map(Some).collect());
    }
    let mut names = config.keys.clone();
    if !names.contains(&config.time) {
        names.push(config.time.clone());
    }
    let columns = |batch: &datafusion::arrow::array::RecordBatch| -> Option<Vec<ArrayRef>> {
        names.iter().map(|name| batch.column_by_name(name).cloned()).collect()
    };
    let kept = read_table(output, manifest, "provenance", None, Some(&names)).await?;
    let (Some(all), Some(kept)) = (columns(&labels.batch), kept.as_ref().and_then(columns)) else {
        return Ok(vec![None; labels.rows()]);
    };
    let places = positions(&all, &kept).map_err(|e| Error::engine("match the label rows", e))?;
    let matched = places.iter().flatten().count() as u64;
    if matched != written {
        return Err(Error::input(
            Finding::error(format!(
                "the run has {written} label rows, of which {matched} are among today's {} in their order",
                labels.rows()
            ))
            .help("the labels are not those of the run, so a sample can't be compared: verify without --sample, or run again"),
        ));
    }
    Ok(places)
}

/// Positions spread evenly over all rows, first and last among them, ascending.
fn spread(rows: usize, wanted: usize) -> Vec<u64> {
    let wanted = wanted.min(rows);
    let at = |i: usize| if wanted < 2 { 0 } else { (i as u128 * (rows as u128 - 1) / (wanted as u128 - 1)) as u64 };
    (0..wanted).map(at).collect()
}

fn some_labels(labels: &Labels, rows: &[u64]) -> Result<Labels> {
    let failed = |e: datafusion::arrow::error::ArrowError| Error::engine("take label rows", e.into());
    let picks = UInt64Array::from(rows.to_vec());
    let times = take(&labels.times, &picks, None).map_err(failed)?;
    let keys = labels.keys.iter().map(|k| take(k, &picks, None)).collect::<std::result::Result<_, _>>();
    Ok(Labels {
        batch: take_record_batch(&labels.batch, &picks).map_err(failed)?,
        times: Int64Array::from(times.to_data()),
        keys: keys.map_err(failed)?,
    })
}

/// What the run's tables have to hold of these label rows.
fn tables(
    prepared: &Prepared,
    labels: &Labels,
    recovered: &Recovered,
    rows: &[u64],
    places: &[Option<u64>],
    found: &mut SampleVerified,
) -> Result<Vec<Expected>> {
    let failed = |e: datafusion::error::DataFusionError| Error::engine("compute the sample", e);
    let project = &prepared.opened.project;
    let config = &project.inputs.config.labels;
    let keys: Vec<Option<&ArrayRef>> = config.keys.iter().map(|k| labels.batch.column_by_name(k)).collect();
    let name = |row: usize| {
        let shown = |a: &&ArrayRef| {
            datafusion::arrow::util::display::array_value_to_string(a.as_ref(), row).unwrap_or_default()
        };
        let keys = config.keys.iter().zip(&keys).filter_map(|(k, a)| Some(format!("{k}={}", shown(&(*a)?))));
        format!("{} @ {}", keys.collect::<Vec<_>>().join(", "), rfc3339(labels.times.value(row)))
    };
    let mut at = Vec::new();
    let mut names = Vec::new();
    let mut misplaced = 0;
    for (i, row) in rows.iter().enumerate() {
        let place = usize::try_from(*row).ok().and_then(|row| places.get(row).copied().flatten());
        let stays = recovered.kept.as_ref().is_none_or(|kept| kept.value(i));
        match (place, stays) {
            (Some(place), true) => {
                at.push(place);
                names.push(name(i));
            }
            (None, false) => {}
            (place, _) => {
                misplaced += 1;
                let (new, old) = if place.is_some() { ("left out", "there") } else { ("there", "left out") };
                found.examples.push(format!("label row {}: computed anew {new}, written {old}", name(i)));
            }
        }
    }
    found.differences += misplaced;
    // Rows no longer pair up: those that do are not worth the confusion.
    if misplaced > 0 {
        return Ok(Vec::new());
    }
    let mut tables = Vec::new();
    if !recovered.refused {
        let batch = natural(labels, &project.features, &recovered.features).map_err(failed)?;
        let mut batch = kept(&batch, recovered).map_err(failed)?;
        if let Some(conform) = &prepared.opened.conform {
            batch = conform.apply(&batch).map_err(|e| {
                Error::input(
                    Finding::error(e.to_string())
                        .at(project.inputs.config.place("dataset.schema_of"))
                        .help("the run did not meet this value: the inputs or the config have changed"),
                )
            })?;
        }
        tables.push(Expected { folder: "dataset", batch, rows: at.clone(), names: names.clone() });
    }
    let provenance = Provenance::new(project, labels, recovered, false)?;
    let batch = provenance.batch(&provenance.rows).map_err(|e| failed(e.into()))?;
    tables.push(Expected { folder: "provenance", batch, rows: at, names });
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_and_has_first_and_last_row() {
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(3, 10), [0, 1, 2]);
        assert_eq!(spread(5, 1), [0]);
        assert!(spread(0, 5).is_empty());
    }
}
