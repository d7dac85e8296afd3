//! Files that the configuration names, and the configuration itself.

use std::path::Path;

use super::*;
use crate::config::resolve_uri;

#[test]
fn a_missing_sql_file_is_answered_with_the_nearest_name() {
    let findings = refused(&MINIMAL.replace("activity.sql", "activty.sql"));
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    assert_eq!(findings[0].message, "`queries/activty.sql` does not exist");
    assert_eq!(underlined(&findings[0]), "\"queries/activty.sql\"");
    assert!(findings[0].help.as_ref().unwrap().ends_with("did you mean `activity.sql`?"));
}

#[test]
fn a_missing_folder_is_answered_with_its_nearest_sibling() {
    for (old, new, near) in [
        ("uri = \"events/\"", "uri = \"evens/\"", "`events`"),
        ("uri = \"events/\"", "uri = \"evens/dt=*/x.parquet\"", "`events`"),
        ("uri = \"labels/*.parquet\"", "uri = \"labels/b.parquet\"", "`a.parquet`"),
        ("queries/activity.sql", "querys/activity.sql", "`queries`"),
    ] {
        let findings = refused(&MINIMAL.replace(old, new));
        assert_eq!(findings.len(), 1, "{}", shown(&findings));
        let help = findings[0].help.as_ref().unwrap();
        assert!(help.contains(near), "{new}: {help}");
    }
}

#[test]
fn a_query_in_place_of_its_file_is_told_apart() {
    let findings = refused(&MINIMAL.replace("\"queries/activity.sql\"", "\"SELECT 1\""));
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("holds a query"), "{}", findings[0]);
    let findings = refused(&MINIMAL.replace("queries/activity.sql", "queries"));
    assert!(findings[0].message.contains("is a folder"), "{}", findings[0]);
}

#[test]
fn remote_places_are_not_looked_at() {
    loaded(&MINIMAL.replace("\"events/\"", "\"s3://no-such-bucket/events/\""));
}

#[test]
fn a_folder_stands_for_the_file_in_it() {
    let project = Project::new(MINIMAL);
    let (config, _) = load(project.dir.path(), &[]).unwrap();
    assert_eq!(config.path, project.path());
    assert_eq!(config.base, project.dir.path());
    assert_eq!(config.views[0].sql_path, project.dir.path().join("queries/activity.sql"));
    assert_eq!(resolve_uri(&config.base, &config.sources[0].uri), format!("{}/events/", project.dir.path().display()));
}

#[test]
fn a_missing_configuration_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("x.toml"), dir.path().join("no/such/folder.toml"), "".into()]
    {
        let findings = load(&path, &[]).unwrap_err();
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.starts_with("there is no configuration"), "{}", findings[0]);
        assert!(findings[0].help.as_ref().unwrap().contains("last argument"), "{}", findings[0]);
    }
    fs::write(dir.path().join("backcast.toml"), MINIMAL).unwrap();
    let findings = load(&dir.path().join("bakcast.toml"), &[]).unwrap_err();
    assert!(findings[0].help.as_ref().unwrap().contains("backcast.toml"), "{}", findings[0]);
}

#[test]
fn a_file_that_is_not_utf8_is_one_clear_finding() {
    let mut bytes = MINIMAL.as_bytes().to_vec();
    bytes[20] = 0xff;
    let findings = Project::of_bytes(&bytes).load(&[]).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("not UTF-8"));
    let place = findings[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column), (2, 11));
}

#[test]
fn a_byte_order_mark_and_crlf_are_tolerated() {
    let config = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n").replace("time = \"ts\"", "time = 5"));
    let findings = refused(&config);
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    let place = findings[0].place.as_ref().unwrap();
    assert_eq!((place.line, place.column, place.text.as_str()), (9, 8, "time = 5"));
}

#[test]
fn a_relative_path_has_an_absolute_base() {
    let findings = load(Path::new("Cargo.toml"), &[]).unwrap_err();
    assert_eq!(findings[0].place.as_ref().unwrap().file, "Cargo.toml");
}
