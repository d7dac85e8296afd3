//! One mistake at a time: what is said, what is underlined, what helps.

use super::*;

/// Loads the minimal configuration with one line replaced, and expects one finding.
fn one_mistake(old: &str, new: &str, message: &str, caret: &str, help: &str) {
    let config = if old.is_empty() { minimal_and(new) } else { MINIMAL.replace(old, new) };
    assert_ne!(config, MINIMAL, "`{old}` is not a line of the minimal configuration");
    let findings = refused(&config);
    let all = shown(&findings);
    assert_eq!(findings.len(), 1, "{config}\n{all}");
    let finding = &findings[0];
    assert!(finding.message.contains(message), "wanted `{message}`:\n{all}");
    assert_eq!(underlined(finding), caret, "{all}");
    assert!(finding.help.as_deref().unwrap_or("").contains(help), "wanted `{help}`:\n{all}");
    assert!(finding.message.starts_with(|c: char| !c.is_uppercase()), "{all}");
}

#[test]
fn the_minimal_configuration_is_valid() {
    let (config, warnings) = Project::new(MINIMAL).load(&[]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.output.uri, "out/");
    assert_eq!(config.diff.agreement, 0.995);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_known_one() {
    one_mistake(
        "time = \"label_ts\"",
        "time = \"x\"\ntiem = \"y\"",
        "unknown key `tiem` in `[labels]`",
        "tiem",
        "`time`",
    );
    one_mistake("", "[outputs]\nuri = \"x\"", "unknown table `[outputs]`", "outputs", "`output`");
    one_mistake("[project]", "colour = 1\n[project]", "unknown key `colour`", "colour", "known here: `project`");
    one_mistake(
        "time = \"label_ts\"",
        "time = \"x\"\nthreads = 8",
        "`threads` in `[labels]`",
        "threads",
        "key of `[run]`",
    );
    one_mistake("", "[views.activity.features.f]\nwhen_nul = 0", "`when_nul`", "when_nul", "`when_null`");
    one_mistake("", "[diff]\ntolerance = { absolute = 1 }", "in `[diff.tolerance]`", "absolute", "`abs`");
    one_mistake(
        "time = \"label_ts\"",
        "time = \"x\"\ntie = \"exclusive\"",
        "is `exclusive`",
        "\"exclusive\"",
        "`exclude`",
    );
    one_mistake(
        "time = \"ts\"",
        "time = \"x\"\nkind = \"changelogs\"",
        "is `changelogs`",
        "\"changelogs\"",
        "`changelog`",
    );
    one_mistake("", "[run]\nchunk = \"atuo\"", "is `atuo`", "\"atuo\"", "`auto`");
    one_mistake(
        "",
        "[diff]\ncauses = [\"timezones\"]",
        "`diff.causes.0` is `timezones`",
        "\"timezones\"",
        "`timezone`",
    );
    one_mistake("", "[storage]\naws_regio = \"x\"", "`aws_regio`", "", "`aws_region`");
}

#[test]
fn a_wrong_type_says_what_was_found_and_what_is_wanted() {
    one_mistake(
        "keys = [\"user_id\"]",
        "keys = \"user_id\"",
        "is a string, and must be a list of strings",
        "\"user_id\"",
        "[\"user_id\"]",
    );
    one_mistake(
        "keys = [\"user_id\"]",
        "keys = [1]",
        "`labels.keys.0` is an integer, and must be a string",
        "1",
        "[\"user_id\"]",
    );
    one_mistake("time = \"ts\"", "time = 2025-01-01", "is a date or time", "2025-01-01", "time = ");
    one_mistake("name = \"p\"", "name = true", "is a boolean, and must be a string", "true", "name = ");
    one_mistake("sql = \"queries/activity.sql\"", "sql = [\"x\"]", "is a list", "[\"x\"]", "sql = ");
    one_mistake("", "[run]\nmemory = 8", "is an integer, and must be a size", "8", "\"8 GiB\"");
    one_mistake("", "[run]\nchunk = 7", "must be `\"auto\"` or a duration", "7", "7 days");
    one_mistake(
        "[project]\nname = \"p\"",
        "project = \"p\"",
        "`project` is a string, and must be a table",
        "\"p\"",
        "[project]",
    );
    one_mistake(
        "[views.activity]\n",
        "[views]\n",
        "`views.sql` is a string, and must be a table",
        "\"queries/activity.sql\"",
        "[views.sql]",
    );
    one_mistake(
        "",
        "[[snapshots]]\nuri = \"legacy/train.parquet\"",
        "`snapshots` is a list",
        "[[snapshots]]",
        "[snapshots.NAME]",
    );
    one_mistake(
        "",
        "[views.activity.features]\nf = 0",
        "`views.activity.features.f` is an integer",
        "0",
        "[views.activity.features.f]",
    );
    one_mistake("", "[views.activity.features.f]\nwhen_null = []", "is a list", "[]", "when_null = 0");
}

#[test]
fn what_is_missing_is_told_at_the_header() {
    one_mistake("name = \"p\"\n", "", "missing key `name` in `[project]`", "[project]", "name = ");
    one_mistake("time = \"label_ts\"\n", "", "missing key `time` in `[labels]`", "[labels]", "time = ");
    one_mistake("time = \"ts\"\n", "", "missing key `time` in `[sources.events]`", "[sources.events]", "time = ");
    one_mistake("sql = \"queries/activity.sql\"\n", "", "missing key `sql`", "[views.activity]", "sql = ");
    one_mistake("[project]\nname = \"p\"\n", "", "missing table `[project]`", "", "`name`");
    one_mistake(
        "[sources.events]\nuri = \"events/\"\ntime = \"ts\"\n",
        "",
        "missing table `[sources.NAME]`",
        "",
        "`uri`, `time`",
    );
    one_mistake(
        "[views.activity]\nsql = \"queries/activity.sql\"",
        "[views]",
        "missing table `[views.NAME]`",
        "[views]",
        "`sql`",
    );
}

#[test]
fn a_mistake_in_a_required_name_is_told_once() {
    one_mistake("time = \"ts\"", "tme = \"ts\"", "unknown key `tme`", "tme", "`time`");
    one_mistake("[labels]", "[label]", "unknown table `[label]`", "label", "`labels`");
}

#[test]
fn values_out_of_range_are_refused() {
    one_mistake("keys = [\"user_id\"]", "keys = []", "`labels.keys` is empty", "[]", "[\"user_id\"]");
    one_mistake("keys = [\"user_id\"]", "keys = [\"a\", \"a\"]", "names `a` twice", "\"a\"", "");
    one_mistake("keys = [\"user_id\"]", "keys = [\"\"]", "is empty", "\"\"", "");
    one_mistake("", "[diff]\nagreement = 1.5", "is 1.5, and must be from 0 to 1", "1.5", "");
    one_mistake("", "[diff]\nagreement = nan", "must be finite", "nan", "");
    one_mistake("", "[diff]\ntolerance = { abs = -1 }", "`diff.tolerance.abs` is -1, and must be at least 0", "-1", "");
    one_mistake("", "[diff]\nsample = 0", "must be at least 1", "0", "");
    one_mistake("", "[run]\nthreads = 0", "`run.threads` is 0, and must be at least 1", "0", "");
    one_mistake("", "[run]\nmemory = \"8 gibs\"", "is not a size", "\"8 gibs\"", "`8 GiB`");
    one_mistake("", "[run]\nchunk = \"0s\"", "is zero", "\"0s\"", "");
    one_mistake("time = \"ts\"", "time = \"ts\"\ndelay = \"-5s\"", "is negative", "\"-5s\"", "0 or longer");
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\nretention = \"1 year\"",
        "no fixed length",
        "\"1 year\"",
        "write days",
    );
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\ntimezone = \"Europe/Berlim\"",
        "time zone",
        "\"Europe/Berlim\"",
        "`Europe/Berlin`",
    );
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\nsince = \"2025-01-01\"",
        "not a timestamp",
        "\"2025-01-01\"",
        "T00:00:00Z",
    );
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\nsince = \"begining\"",
        "is `begining`, and must be `\"beginning\"` or a timestamp",
        "\"begining\"",
        "`beginning`",
    );
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\nsince = 2025-01-01T00:00:00",
        "not a timestamp",
        "2025-01-01T00:00:00",
        "offset",
    );
    one_mistake("uri = \"events/\"", "uri = \"s3:///events\"", "names no bucket", "\"s3:///events\"", "BUCKET");
    one_mistake("uri = \"events/\"", "uri = \"s4://lake/events\"", "scheme", "\"s4://lake/events\"", "`s3://`");
    one_mistake("[views.activity]", "[views.\"a b\"]", "has a space in its name", "\"a b\"", "letters, digits");
    one_mistake("", "[output]\nuri = \"out/*\"", "is a glob", "\"out/*\"", "one folder");
    one_mistake(
        "",
        "[output]\nuri = \"events/out\"",
        "lies in the folder of source `events`",
        "\"events/out\"",
        "elsewhere",
    );
}

#[test]
fn gaps_run_forward() {
    let gap = |gap: &str| format!("time = \"ts\"\ngaps = [{gap}]");
    let (from, to) = ("\"2025-03-02T10:00:00Z\"", "\"2025-03-02T16:00:00Z\"");
    let backward = format!("[{to}, {from}]");
    one_mistake("time = \"ts\"", &gap(&backward), "ends at or before its start", &backward, "from (inclusive)");
    let empty = format!("[{from}, {from}]");
    one_mistake("time = \"ts\"", &gap(&empty), "ends at or before its start", &empty, "");
    let single = format!("[{from}]");
    one_mistake("time = \"ts\"", &gap(&single), "has 1 items", &single, "write `[\"");
    one_mistake("time = \"ts\"", &gap(from), "must be a list of two timestamps", from, "gaps = [[");
    one_mistake(
        "time = \"ts\"",
        &gap(&format!("[{from}, 5]")),
        "is an integer, and must be a timestamp",
        "5",
        "RFC 3339",
    );
}

#[test]
fn settings_that_exclude_each_other_are_refused() {
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\nkind = \"changelog\"",
        "is a changelog, and has no `id`",
        "[sources.events]",
        "id = ",
    );
    one_mistake("time = \"ts\"", "time = \"ts\"\nkind = \"changelog\"\nid = []", "has no `id`", "[]", "id = ");
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\ndeleted = \"op = 'D'\"",
        "is a log, and has `deleted`",
        "\"op = 'D'\"",
        "changelog",
    );
    one_mistake(
        "time = \"ts\"",
        "time = \"ts\"\navailable_at = \"a\"\ndelay = \"0s\"",
        "both `available_at` and `delay`",
        "\"0s\"",
        "keep one",
    );
}

#[test]
fn references_name_what_exists() {
    let snapshot = "[snapshots.march]\nuri = \"legacy/train.parquet\"\n";
    one_mistake("", &format!("{snapshot}[dataset]\nschema_of = \"mach\""), "no snapshot `mach`", "\"mach\"", "`march`");
    one_mistake("", "[dataset]\nschema_of = \"march\"", "no snapshot `march`", "\"march\"", "[snapshots.march]");
    one_mistake("", "[models.m]\nfeatures = [\"activty.*\"]", "no view `activty`", "\"activty.*\"", "`activity.*`");
    one_mistake(
        "",
        "[models.m]\nfeatures = [\"activity\"]",
        "not a feature",
        "\"activity\"",
        "`view.column` or `view.*`",
    );
    one_mistake("", "[models.m]\nfeatures = [\"activity.*\"]\nsnapshot = \"x\"", "no snapshot `x`", "\"x\"", "");
    one_mistake(
        "",
        &format!("{snapshot}columns = {{ a = \"zzz.b\" }}"),
        "no view `zzz`",
        "\"zzz.b\"",
        "the views are `activity`",
    );
    one_mistake(
        "",
        &format!("{snapshot}columns = {{ a = \"activity.*\" }}"),
        "not a feature",
        "\"activity.*\"",
        "write `view.column`",
    );
    one_mistake(
        "",
        &format!("{snapshot}keys = [\"a\", \"b\"]"),
        "has 2 keys, and the labels have 1",
        "[\"a\", \"b\"]",
        "`user_id`",
    );
    one_mistake(
        "sql = ",
        "keys = { usr_id = \"u\" }\nsql = ",
        "`usr_id` is not one of the labels' keys",
        "usr_id",
        "`user_id`",
    );
}

#[test]
fn a_source_and_a_view_have_different_names() {
    one_mistake("[views.activity]", "[views.events]", "both a source and a view", "[views.events]", "another name");
}

#[test]
fn names_that_differ_only_by_case_are_a_warning() {
    let (_, warnings) = Project::new(&MINIMAL.replace("[views.activity]", "[views.Events]")).load(&[]).unwrap();
    assert_eq!(warnings.len(), 1, "{}", shown(&warnings));
    assert!(!warnings[0].is_error());
    assert_eq!(warnings[0].message, "`Events` and `events` differ only by case");
}

#[test]
fn a_syntax_error_stands_where_it_is() {
    one_mistake("time = \"label_ts\"", "time = label_ts", "invalid TOML", "label_ts", "");
    one_mistake("time = \"label_ts\"", "time = \"a\"\ntime = \"b\"", "invalid TOML: duplicate key", "time", "");
    for config in ["[labels", "=", "a = [1,", "\"\"\"", "[a]\n[a]"] {
        let findings = refused(config);
        assert!(findings[0].message.starts_with("invalid TOML"), "{}", shown(&findings));
        assert!(findings[0].place.is_some());
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_in_order() {
    let config = MINIMAL
        .replace("time = \"label_ts\"", "tiem = 5\ntie = \"both\"\ntimezone = \"Mars\"")
        .replace("uri = \"events/\"", "uri = \"evnts/\"\ndelay = \"soon\"")
        .replace("activity.sql", "activty.sql")
        + "[run]\nthreads = 0\n[diff]\nagreement = 2\n[dataset]\nschema_of = \"x\"\n";
    let findings = refused(&config);
    let lines: Vec<usize> = findings.iter().map(|f| f.place.as_ref().unwrap().line).collect();
    assert_eq!(lines, [6, 7, 8, 10, 11, 14, 16, 18, 20], "{}", shown(&findings));
}
