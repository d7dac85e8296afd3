//! Locations: local paths and globs, and URIs of object stores and web servers.

use std::path::{Component, Path, PathBuf};

use super::Wrong;
use crate::finding::nearest;

const SCHEMES: &[&str] = &["s3", "gs", "az", "abfs", "abfss", "http", "https", "file"];

/// A location against the folder `base`: local paths become absolute, with `.` and `..` resolved by their letters
/// alone (symbolic links are not followed), a trailing slash and globs kept. `file://` becomes such a path.
/// Other schemes stay as they are.
pub fn resolve_uri(base: &Path, uri: &str) -> String {
    match split_scheme(uri) {
        Some((scheme, _)) if !scheme.eq_ignore_ascii_case("file") => uri.to_string(),
        Some((_, rest)) => {
            let path = rest.strip_prefix("localhost/").map_or(rest, |_| &rest["localhost".len()..]);
            normalised(base, &percent_decoded(path))
        }
        None => normalised(base, uri),
    }
}

/// Whether the location is on this machine.
pub(in crate::config) fn is_local(uri: &str) -> bool {
    split_scheme(uri).is_none_or(|(scheme, _)| scheme.eq_ignore_ascii_case("file"))
}

/// Whether this is a location that Backcast can open, judged by its letters alone.
pub(in crate::config) fn check_uri(uri: &str) -> Result<(), Wrong> {
    if uri.trim().is_empty() {
        return Err(
            Wrong::new("is empty").help("write a path such as `events/` or a URI such as `s3://bucket/events/`")
        );
    }
    if uri.contains('\0') {
        return Err(Wrong::new("holds a NUL character"));
    }
    let Some((scheme, rest)) = split_scheme(uri) else {
        return check_local(uri);
    };
    let lower = scheme.to_lowercase();
    if !SCHEMES.contains(&lower.as_str()) {
        return Err(Wrong::new(format!("has a scheme that is not known: `{scheme}://`")).help(scheme_help(&lower)));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if lower == "file" {
        return match authority {
            "" | "localhost" => Ok(()),
            host => Err(Wrong::new(format!("names a host: `{host}`"))
                .help("a `file://` URI starts with three slashes; or write a plain path")),
        };
    }
    let container_at = lower.starts_with("abfs") || lower == "az";
    if authority.contains('@') && (!container_at || authority.contains(':')) {
        return Err(
            Wrong::new("holds credentials").help("put them into the environment or `[storage]`, and not into a URI")
        );
    }
    if authority.is_empty() {
        let what = match lower.as_str() {
            "http" | "https" => "host",
            "s3" | "gs" => "bucket",
            _ => "container",
        };
        return Err(Wrong::new(format!("names no {what}: `{}`", without_secrets(uri)))
            .help(format!("write `{lower}://{}/folder/`", what.to_uppercase())));
    }
    if matches!(lower.as_str(), "http" | "https") && url::Url::parse(uri).is_err() {
        return Err(Wrong::new(format!("is not a URL: `{}`", without_secrets(uri))));
    }
    if matches!(lower.as_str(), "s3" | "gs")
        && !authority.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c))
    {
        return Err(Wrong::new(format!("names a bucket that cannot exist: `{authority}`"))
            .help("buckets have letters, digits, `-`, `.` and `_`; globs belong behind the bucket"));
    }
    Ok(())
}

fn check_local(uri: &str) -> Result<(), Wrong> {
    let scheme = uri.split(':').next().unwrap_or("").to_lowercase();
    let missing_slashes = uri.contains(':') && (SCHEMES.contains(&scheme.as_str()) || scheme == "s3a");
    if missing_slashes {
        return Err(Wrong::new(format!("is neither a path nor a URI: `{}`", without_secrets(uri)))
            .help(format!("write `{scheme}://` with two slashes")));
    }
    if uri.starts_with("~/") || uri == "~" {
        return Err(
            Wrong::new(format!("starts with `~`, which is not expanded: `{uri}`")).help("write the folder in full")
        );
    }
    Ok(())
}

fn scheme_help(scheme: &str) -> String {
    let known = "`s3://`, `gs://`, `az://`, `abfss://`, `http(s)://` or a local path";
    match scheme {
        "s3a" | "s3n" => "did you mean `s3://`?".to_string(),
        "gcs" => "did you mean `gs://`?".to_string(),
        "wasb" | "wasbs" | "adl" | "azure" | "adls" => "did you mean `az://` or `abfss://`?".to_string(),
        "hdfs" | "ftp" | "sftp" => format!("write {known}"),
        _ => match nearest(scheme, SCHEMES.iter().copied()) {
            Some(near) => format!("did you mean `{near}://`?"),
            None => format!("write {known}"),
        },
    }
}

/// Whether a text looks like a URI with a password, or with a query that may be signed.
pub(in crate::config) fn may_hold_secret(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let Some((scheme, rest)) = text.split_once(":/") else { return false };
    let rest = rest.trim_start_matches('/');
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let http = scheme.to_lowercase().starts_with("http");
    (authority.contains('@') && (authority.contains(':') || !scheme.starts_with('a'))) || (http && rest.contains('?'))
}

/// A URI without user and password, and without the query of a web address (which may be signed): what can be shown.
pub fn without_secrets(uri: &str) -> String {
    if !may_hold_secret(uri) {
        return uri.to_string();
    }
    let Some((scheme, rest)) = split_scheme(uri) else { return "…".to_string() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or("");
    format!("{scheme}://{host}{path}")
}

fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let mut chars = scheme.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    plain.then_some((scheme, rest))
}

fn normalised(base: &Path, path: &str) -> String {
    let joined = base.join(path);
    let joined = std::path::absolute(&joined).unwrap_or(joined);
    let mut out = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::CurDir => {}
            // `..` above the root is the root itself.
            Component::ParentDir => _ = out.pop(),
            other => out.push(other),
        }
    }
    let mut out = out.to_string_lossy().into_owned();
    let folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") || path == "." || path == "..";
    if folder && !out.ends_with('/') {
        out.push('/');
    }
    out
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        let hex = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_paths_become_absolute_and_plain() {
        let base = Path::new("/work/project");
        for (uri, want) in [
            ("events/", "/work/project/events/"),
            ("./labels/*.parquet", "/work/project/labels/*.parquet"),
            ("../lake/a/../b", "/work/lake/b"),
            ("/lake/./x", "/lake/x"),
            ("../../../../x", "/x"),
            (".", "/work/project/"),
            ("..", "/work/"),
            ("file:///lake/my%20events/", "/lake/my events/"),
            ("file://localhost/lake/x", "/lake/x"),
            ("FILE:///lake/%zz", "/lake/%zz"),
            ("s3://lake/../events/", "s3://lake/../events/"),
            ("https://host/a?b=c", "https://host/a?b=c"),
        ] {
            assert_eq!(resolve_uri(base, uri), want, "{uri}");
        }
    }

    #[test]
    fn known_schemes_pass() {
        for uri in [
            "events/",
            "events/dt=2025-*/x?.parquet",
            "/a:b/c",
            "s3://lake/user_events/",
            "s3://lake",
            "gs://lake/*.parquet",
            "az://container/x",
            "abfs://container@account.dfs.core.windows.net/x",
            "abfss://container@account.dfs.core.windows.net/x",
            "http://localhost:9000/x.parquet",
            "https://host/x.parquet",
            "file:///x",
        ] {
            assert_eq!(check_uri(uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn a_uri_that_cannot_be_opened_is_refused_with_its_reason() {
        for (uri, message, help) in [
            ("", "is empty", "path"),
            ("s4://lake/x", "`s4://`", "`s3://`"),
            ("s3a://lake/x", "`s3a://`", "`s3://`"),
            ("hdfs://x/y", "`hdfs://`", "local path"),
            ("s3://", "names no bucket", "BUCKET"),
            ("s3:///events", "names no bucket", "BUCKET"),
            ("az:///x", "names no container", "CONTAINER"),
            ("https:///x", "names no host", "HOST"),
            ("file://events/x", "names a host", "three slashes"),
            ("s3:/lake/x", "neither a path nor a URI", "two slashes"),
            ("s3://user:hunter2@lake/x", "credentials", "environment"),
            ("https://user:hunter2@host/x", "credentials", "environment"),
            ("s3://*/x", "cannot exist", "behind the bucket"),
            ("~/events", "not expanded", "in full"),
        ] {
            let wrong = check_uri(uri).expect_err(uri);
            assert!(wrong.message.contains(message), "{uri}: {}", wrong.message);
            assert!(wrong.help.as_deref().unwrap_or("").contains(help), "{uri}: {:?}", wrong.help);
            assert!(!wrong.message.contains("hunter2"));
        }
    }
}
