//! Each command: config, work, output, exit code.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::cli::args::{
    Args, AuditArgs, Command, Common, ConfigArg, ExplainArgs, Format, GraphLanguage, InventoryArgs, RunArgs, TraceArgs,
};
use crate::cli::exit;
use crate::cli::progress::Progress;
use crate::config::{self, Config};
use crate::diagnostics;
use crate::error::{Error, Result};
use crate::finding::{Finding, Severity};
use crate::pipeline::{
    self, Asked, AuditOptions, ChunkPlan, Explained, Look, Outcome, Ran, ReadReport, RunOptions, ScanReport, Standing,
    Stop, Work,
};
use crate::replay::ReplayOptions;
use crate::report::{self, Report, Style};
use crate::trace::TraceOptions;

mod init;
mod verify;

/// Worker threads walk deep plans too.
const WORKER_STACK_BYTES: usize = 128 << 20;

/// Runs a command; its exit code.
pub(super) fn execute(args: Args) -> u8 {
    let progress = Progress::new(args.common.quiet || args.common.format == Format::Json);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(
            args.common.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)).max(1),
        )
        .thread_stack_size(WORKER_STACK_BYTES)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return told(&args.common, &Error::storage("start the runtime", e)),
    };
    let stop = Stop::new(interrupted());
    // These let go of their work by themselves, and tell of it.
    let tells = matches!(args.command, Command::Replay(_) | Command::Diff(_) | Command::Run(_));
    let result = runtime.block_on(async {
        tokio::select! {
            done = dispatch(&args, &progress, &stop) => done,
            () = stop.wished(), if !tells => Err(Error::Interrupted),
        }
    });
    progress.clear();
    // Work that was cut off in the middle must not hold the process up.
    runtime.shutdown_background();
    let code = result.unwrap_or_else(|e| told(&args.common, &e));
    // What could not be said was not done, as far as whoever waits for it is concerned.
    if OUTPUT_LOST.load(Ordering::Relaxed) && code == exit::DONE { exit::FAILURE } else { code }
}

/// Whether stdout could not be written to, other than by its reader going away.
static OUTPUT_LOST: AtomicBool = AtomicBool::new(false);

/// Ctrl-C, or a scheduler's SIGTERM.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

async fn dispatch(args: &Args, progress: &Progress, stop: &Stop) -> Result<u8> {
    let common = &args.common;
    match &args.command {
        Command::Init(at) => init::init(common, at),
        Command::Check(at) => check(common, at).await,
        Command::Explain(at) => explain(common, at).await,
        Command::Audit(at) => audit(common, at, progress).await,
        Command::Inventory(at) => inventory(common, at).await,
        Command::Replay(at) => work(common, at, Work::Replay, (progress, stop)).await,
        Command::Diff(at) => work(common, at, Work::Diff, (progress, stop)).await,
        Command::Run(at) => work(common, at, Work::Run, (progress, stop)).await,
        Command::Trace(at) => trace(common, at, progress).await,
        Command::Verify(at) => verify::verify(common, at, progress).await,
    }
}

/// The config with what the command line overrides.
fn load(common: &Common, path: &Path) -> std::result::Result<(Config, Vec<Finding>), Vec<Finding>> {
    let mut set = common.set.clone();
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    if let Some(out) = &common.out {
        if out.trim().is_empty() {
            return Err(vec![Finding::error("--out is empty").help("name a folder or an object store URI")]);
        }
        // A path that was typed is relative to where it was typed.
        let base = std::env::current_dir().unwrap_or_default();
        set.push(format!("output.uri={}", quoted(&config::resolve_uri(&base, out))));
    }
    if let Some(threads) = common.threads {
        set.push(format!("run.threads={threads}"));
    }
    if let Some(memory) = &common.memory {
        set.push(format!("run.memory={}", quoted(memory)));
    }
    config::load(path, &set)
}

fn sentence(errors: usize, warnings: usize) -> String {
    let some = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "no finding".to_string(),
        (0, w) => some(w, "warning"),
        (e, 0) => some(e, "error"),
        (e, w) => format!("{}, {}", some(e, "error"), some(w, "warning")),
    }
}

async fn check(common: &Common, at: &ConfigArg) -> Result<u8> {
    let (findings, opened) = match load(common, &at.config) {
        Err(findings) => (findings, None),
        Ok((config, mut findings)) => match pipeline::open(config).await {
            Ok(opened) => {
                findings.extend(pipeline::check(&opened).await);
                (findings, Some(opened))
            }
            Err(Error::Input(found)) => {
                findings.extend(found);
                (findings, None)
            }
            Err(other) => return Err(other),
        },
    };
    let errors = findings.iter().filter(|f| f.is_error()).count();
    let warnings = findings.iter().filter(|f| f.severity == Severity::Warning).count();
    if common.format == Format::Json {
        print_json(&json!({ "passed": errors == 0, "errors": errors, "warnings": warnings, "findings": findings }));
    } else {
        for text in grouped(findings.iter().filter(|f| !common.quiet || f.is_error())) {
            print(&format!("{text}\n\n"));
        }
        let what = opened.map_or_else(String::new, |o| {
            let project = &o.project;
            format!(
                ": {} sources, {} views, {} features, {} snapshots",
                project.inputs.logs.len(),
                project.views.len(),
                project.features.len(),
                project.snapshots.len()
            )
        });
        print(&format!("{}{what}\n", sentence(errors, warnings)));
    }
    Ok(if errors == 0 { exit::DONE } else { exit::BAD_INPUT })
}

/// `explain`, `explain VIEW`, `explain CONFIG`, `explain VIEW CONFIG`.
fn explained_config(at: &ExplainArgs) -> (Option<String>, PathBuf) {
    let default = || at.config_file.clone().unwrap_or_else(|| PathBuf::from("backcast.toml"));
    match (&at.view, &at.config) {
        (Some(view), Some(config)) => (Some(view.clone()), config.clone()),
        (Some(one), None) if Path::new(one).exists() || one.ends_with(".toml") => (None, PathBuf::from(one)),
        (Some(view), None) => (Some(view.clone()), default()),
        (None, config) => (None, config.clone().unwrap_or_else(default)),
    }
}

/// The page of a number, such as `B204`: no config is needed.
fn explain_number(common: &Common, number: &str) -> Result<u8> {
    let Some(diagnostic) = diagnostics::find(number) else {
        let finding = Finding::error(format!("there is no refusal or lint `{number}`"));
        return Err(Error::input(match diagnostics::nearest(number) {
            Some(near) => finding.help(format!("the nearest is `{near}`: `backcast explain {near}`")),
            None => finding,
        }));
    };
    if common.format == Format::Json {
        print_json(&json!({
            "code": diagnostic.number,
            "severity": diagnostic.severity,
            "title": diagnostic.title,
            "page": diagnostic.page,
        }));
    } else {
        print(diagnostic.page);
    }
    Ok(exit::DONE)
}

async fn explain(common: &Common, at: &ExplainArgs) -> Result<u8> {
    if let (Some(number), None, None) = (&at.view, &at.config, &at.config_file)
        && diagnostics::is_number(number)
        && !Path::new(number).exists()
    {
        return explain_number(common, number);
    }
    let (view, path) = explained_config(at);
    let (config, _) = load(common, &path)?;
    let opened = pipeline::open(config).await?;
    let mut explained = pipeline::explain(&opened, view.as_deref(), common.engine.into())?;
    pipeline::explain_lints(&opened, &mut explained).await;
    if common.format == Format::Json {
        print_json(&json!({ "views": explained, "choices": opened.project.choices() }));
    } else {
        for view in &explained {
            print(&explained_text(view));
        }
        // Of one view, people ask for its plan.
        if view.is_none() {
            print(&plain(&report::choices_text(&opened.project.choices())));
        }
    }
    Ok(exit::DONE)
}

fn explained_text(view: &Explained) -> String {
    let bold = anstyle::Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}  ({})\n", view.view.view, view.file);
    let or_none = |text: String| if text.is_empty() { "none".to_string() } else { text };
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<9} {value}\n"));
    line("keys", or_none(view.view.keys.join(", ")));
    line("reads", or_none(view.reads.join(", ")));
    for source in &view.view.sources {
        let back = source.lookback.as_deref().unwrap_or("not known");
        line("lookback", format!("{}: {back}", source.source));
    }
    line("engine", format!("{} ({})", view.view.engine, view.view.reason));
    if view.helper {
        line("features", "none: a helper, read by other views".to_string());
    }
    for feature in &view.features {
        line("feature", format!("{} {}{}", feature.column, feature.data_type, reads_text(feature)));
    }
    for read in &view.bindings {
        line("bound", format!("{}: {}", read.source, bound_text(read)));
    }
    for scan in &view.scans {
        line("scan", format!("{}: {}", scan.source, scan_text(scan)));
    }
    if let Some(chunks) = &view.chunks {
        line("chunks", chunks_text(chunks));
    }
    for finding in &view.findings {
        coloured(finding).lines().for_each(|l| text.push_str(&format!("  {l}\n")));
    }
    if let Some(plan) = &view.plan {
        text.push_str("  plan\n");
        plan.lines().for_each(|l| text.push_str(&format!("    {l}\n")));
    }
    text.push('\n');
    text
}

/// How far back a feature reads, by source.
fn reads_text(feature: &pipeline::ExplainedFeature) -> String {
    let told = |all: &[crate::retention::SourceReach]| {
        all.iter().map(|r| format!("{} {}", r.source, r.lookback)).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::new();
    if !feature.lookback.is_empty() {
        text.push_str(&format!(", reads {}", told(&feature.lookback)));
    }
    if !feature.presence.is_empty() {
        text.push_str(&format!("; whether there is a row: {}", told(&feature.presence)));
    }
    text
}

fn bound_text(read: &ReadReport) -> String {
    let by = read.by.join(", ");
    match read.bound {
        "keys" => format!("label keys = {by}"),
        "asked" => format!("keys asked for by the other side of a join = {by}"),
        "looked_up" => "looked up by the other side of a join".to_string(),
        _ => "all rows at every label time".to_string(),
    }
}

fn chunks_text(plan: &ChunkPlan) -> String {
    let length = match plan.hours {
        hours if hours >= 48.0 && hours % 24.0 == 0.0 => format!("{} days", hours / 24.0),
        hours => format!("{} hours", (hours * 100.0).round() / 100.0),
    };
    let mut text = format!("about {} of {length} of label time", plan.chunks);
    for read in plan.rereads.iter().filter(|r| r.times > 1.05) {
        let from = if read.from_the_beginning { ", from the beginning for each chunk" } else { "" };
        text.push_str(&format!("; reads {} {:.1} times over{from}", read.source, read.times));
    }
    text
}

fn scan_text(scan: &ScanReport) -> String {
    let of = |n: u64, all: u64, what: &str| {
        if n == all { format!("{all} {what}") } else { format!("{n} of {all} {what}") }
    };
    [
        of(scan.files, scan.files_of, "files"),
        of(scan.row_groups, scan.row_groups_of, "row groups"),
        of(scan.rows, scan.rows_of, "rows"),
    ]
    .join(", ")
}

async fn work(common: &Common, args: &RunArgs, work: Work, (progress, stop): (&Progress, &Stop)) -> Result<u8> {
    let (config, warnings) = load(common, &args.at.config)?;
    let text = std::fs::read_to_string(&config.path).unwrap_or_default() + &common.set.join("\n");
    let options = RunOptions { work, replay: ReplayOptions { engine: common.engine.into() }, fresh: args.fresh };
    let ran = Box::pin(pipeline::run_told(config, &text, options, stop, progress)).await?;
    progress.clear();
    Ok(match ran {
        Ran::Done(outcome) => finished(common, &warnings, &outcome),
        Ran::Stands(standing) => stands(common, &standing),
    })
}

/// Tells of a run that would be made of the same as the one that stands, as that run told of itself; its exit code is that run's.
fn stands(common: &Common, standing: &Standing) -> u8 {
    if !common.quiet {
        anstream::eprintln!(
            "nothing to do: the run of {} in {} is of the same inputs, configuration, SQL and version (--fresh makes it anew)\n",
            standing.generated_at,
            plain(&standing.uri)
        );
    }
    match common.format {
        Format::Json => print_json(&standing.report),
        Format::Human => print(&plain(&standing.summary)),
    }
    if standing.passed { exit::DONE } else { exit::GATE }
}

async fn audit(common: &Common, args: &AuditArgs, progress: &Progress) -> Result<u8> {
    let (config, warnings) = load(common, &args.at.config)?;
    let text = std::fs::read_to_string(&config.path).unwrap_or_default() + &common.set.join("\n");
    let look = if args.footers_only { Look::Footers } else { Look::Closely };
    let today = args.today.as_deref().map(pipeline::day).transpose()?;
    let outcome = pipeline::audit(config, &text, AuditOptions { look, today }, progress).await?;
    progress.clear();
    Ok(finished(common, &warnings, &outcome))
}

async fn inventory(common: &Common, args: &InventoryArgs) -> Result<u8> {
    let (config, _) = load(common, &args.at.config)?;
    let opened = pipeline::open(config).await?;
    let inventory = pipeline::inventory(&opened);
    match (args.graph, common.format) {
        (Some(GraphLanguage::Dot), _) => print(&inventory.dot()),
        (Some(GraphLanguage::Mermaid), _) => print(&inventory.mermaid()),
        (None, Format::Json) => print_json(&json!(inventory)),
        (None, Format::Human) => print(&plain(&inventory.text())),
    }
    Ok(exit::DONE)
}

/// Tells what a command found; its exit code.
fn finished(common: &Common, warnings: &[Finding], outcome: &Outcome) -> u8 {
    if !common.quiet && common.format == Format::Human {
        let warnings = warnings.iter().chain(&outcome.warnings).filter(|f| f.severity == Severity::Warning);
        for text in grouped(warnings) {
            anstream::eprintln!("{text}\n");
        }
    }
    show(common, &outcome.report);
    if outcome.report.passed() { exit::DONE } else { exit::GATE }
}

async fn trace(common: &Common, at: &TraceArgs, progress: &Progress) -> Result<u8> {
    let (config, _) = load(common, &at.config)?;
    let asked = Asked { feature: at.feature.clone(), keys: at.key.clone(), at: at.at.clone() };
    let options = TraceOptions { engine: common.engine.into(), all: at.all, ..TraceOptions::default() };
    let traced = pipeline::trace(config, &asked, options, progress).await?;
    progress.clear();
    match common.format {
        Format::Json => print_json(&json!(traced)),
        Format::Human => print(&report::trace_text(&traced, at.all, style())),
    }
    Ok(exit::DONE)
}

/// How text on stdout may look.
fn style() -> Style {
    let stdout = std::io::stdout();
    let color = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let width = if stdout.is_terminal() { usize::from(console_width()) } else { 100 };
    Style { color, width }
}

fn show(common: &Common, report: &Report) {
    match common.format {
        Format::Json => match report::json(report) {
            Ok(text) => print(&text),
            Err(e) => anstream::eprintln!("error: failed to print the report: {e}"),
        },
        Format::Human => print(&report::summary(report, style())),
    }
}

fn console_width() -> u16 {
    terminal_size::terminal_size().map_or(100, |(width, _)| width.0)
}

/// Prints an error and gives its exit code.
fn told(common: &Common, error: &Error) -> u8 {
    let code = match error {
        Error::Input(_) => exit::BAD_INPUT,
        Error::Interrupted => exit::INTERRUPTED,
        Error::Storage { .. } | Error::Engine { .. } | Error::Memory { .. } => exit::FAILURE,
    };
    match error {
        Error::Input(findings) => {
            let shown: Vec<String> = findings.iter().map(coloured).collect();
            anstream::eprintln!("{}", shown.join("\n\n"));
        }
        other => anstream::eprintln!("error: {other}"),
    }
    if common.format == Format::Json {
        let findings = if let Error::Input(findings) = error { json!(findings) } else { json!([]) };
        print_json(&json!({ "error": plain(&error.to_string()), "exit": code, "findings": findings }));
    }
    code
}

/// Findings of one number that are shown whole; the rest are counted.
const SHOWN_OF_A_KIND: usize = 3;

/// Findings as texts: errors first, then warnings and notes, those of one number together, and of these the first few.
fn grouped<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<String> {
    let mut findings: Vec<&Finding> = findings.collect();
    findings.sort_by_key(|f| (f.severity, if f.is_error() { None } else { f.code }));
    let alike =
        |a: &&Finding, b: &&Finding| !a.is_error() && a.code.is_some() && a.severity == b.severity && a.code == b.code;
    let mut texts = Vec::new();
    for kind in findings.chunk_by(alike) {
        let shown = if kind.len() == SHOWN_OF_A_KIND + 1 { kind.len() } else { SHOWN_OF_A_KIND };
        texts.extend(kind.iter().take(shown).map(|f| coloured(f)));
        if let (Some(first), rest @ 1..) = (kind.first(), kind.len().saturating_sub(shown)) {
            let mut files: Vec<&str> =
                kind[shown..].iter().filter_map(|f| Some(f.place.as_ref()?.file.as_str())).collect();
            files.dedup();
            let more = Finding { place: None, help: Some("`--format json` lists all".to_string()), ..(*first).clone() };
            let message = format!("and {rest} more like it, in {}", files.join(", "));
            texts.push(coloured(&Finding { message, ..more }));
        }
    }
    texts
}

/// The finding with its first word in colour; what comes from data can't colour anything.
fn coloured(finding: &Finding) -> String {
    use anstyle::{AnsiColor, Style as Colour};
    let text = plain(&finding.to_string());
    let colour = match finding.severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    let style = Colour::new().fg_color(Some(colour.into())).bold();
    match text.split_once(':') {
        Some((word, rest)) => format!("{style}{word}{style:#}:{rest}"),
        None => text,
    }
}

/// Without control characters, which could steer the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The one JSON document of a command that failed before it began.
pub(super) fn print_error_json(message: &str, code: u8) {
    print_json(&json!({ "error": plain(message), "exit": code, "findings": [] }));
}

fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}

/// Prints to stdout; a reader that has gone away is no error.
fn print(text: &str) {
    let mut stdout = anstream::stdout();
    if let Err(e) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        && e.kind() != std::io::ErrorKind::BrokenPipe
    {
        anstream::eprintln!("error: failed to write to stdout: {e}");
        OUTPUT_LOST.store(true, Ordering::Relaxed);
    }
}
