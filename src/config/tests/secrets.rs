//! Values of `[storage]` and credentials in URIs are nowhere to be seen.

use super::*;

const SECRET: &str = "hunter2-hunter2";

fn assert_hidden(result: &Result<(Config, Vec<Finding>), Vec<Finding>>) {
    let findings = match result {
        Ok((_, findings)) | Err(findings) => findings,
    };
    for text in
        [format!("{result:?}"), format!("{result:#?}"), shown(findings), serde_json::to_string(findings).unwrap()]
    {
        assert!(!text.contains("hunter2"), "{text}");
    }
    if let Ok((config, _)) = result {
        for key in config.storage.keys() {
            assert!(!format!("{:?}", config.place(&format!("storage.{key}"))).contains("hunter2"));
        }
    }
}

#[test]
fn storage_is_read_and_not_shown() {
    let result = Project::new(&minimal_and(&format!("[storage]\naws_secret_access_key = \"{SECRET}\""))).load(&[]);
    assert_hidden(&result);
    let (config, _) = result.unwrap();
    assert_eq!(config.storage["aws_secret_access_key"], SECRET);
    assert!(format!("{config:?}").contains("aws_secret_access_key"));
    assert!(format!("{:?}", config.places).contains("storage"));
}

#[test]
fn a_finding_in_storage_shows_no_line() {
    for storage in [
        format!("[storage]\naws_secret_access_key = [\"{SECRET}\"]"),
        format!("[storage]\naws_secret = \"{SECRET}\""),
        format!("[storage]\naws_secret_access_key = \"{SECRET}\""),
        format!("[storage]\naws_secret_access_key = {SECRET}"),
        format!("[storage]\naws_secret_access_key = \"{SECRET}"),
        format!("[storage]\naws_secret_access_key = \"\"\"\n{SECRET}"),
        format!("[storage]\nx = 1\nx = \"{SECRET}\""),
        format!("[storage]\na.b = {{ c = \"{SECRET}\" }}"),
        format!("[[storage]]\na = \"{SECRET}\""),
        format!("[storage.x]\na = \"{SECRET}\""),
    ] {
        assert_hidden(&Project::new(&minimal_and(&storage)).load(&[]));
    }
    let inline = format!("storage = {{ tokn = \"{SECRET}\" }}\nstorag = 1\n{MINIMAL}");
    assert_hidden(&Project::new(&inline).load(&[]));
}

#[test]
fn an_override_of_storage_is_not_shown() {
    for set in [
        format!("storage.aws_secret_access_key={SECRET}"),
        format!("storage.aws_secret_access_key=\"{SECRET}\""),
        format!("storage.aws_secret=\"{SECRET}\""),
        format!("storage.aws_secret_access_key=[\"{SECRET}\"]"),
        format!("storage.aws_secret_access_key=\"{SECRET}"),
        format!("storage={{ token = \"{SECRET}\" }}"),
        format!("storage={{ tokn = [\"{SECRET}\"] }}"),
        format!("storage {SECRET}"),
        format!("storage.a b={SECRET}"),
    ] {
        let result = Project::new(MINIMAL).load(&[&set]);
        assert_hidden(&result);
    }
    let (config, _) = Project::new(MINIMAL).load(&[&format!("storage.aws_secret_access_key={SECRET}")]).unwrap();
    assert_eq!(config.storage["aws_secret_access_key"], SECRET);
}

#[test]
fn credentials_in_a_uri_are_refused_and_not_shown() {
    for uri in [format!("s3://user:{SECRET}@lake/x"), format!("https://{SECRET}@host/x"), format!("s3:/u:{SECRET}@x/y")]
    {
        let result = Project::new(&MINIMAL.replace("events/", &uri)).load(&[]);
        assert!(result.is_err());
        assert_hidden(&result);
        let result = Project::new(MINIMAL).load(&[&format!("sources.events.uri={uri}")]);
        assert!(result.is_err());
        assert_hidden(&result);
    }
}

#[test]
fn a_signed_url_is_not_shown() {
    let url = format!("https://host/x.parquet?X-Amz-Signature={SECRET}");
    let config = MINIMAL.replace("uri = \"events/\"", &format!("uri = \"{url}\", tiem = 1"));
    assert_hidden(&Project::new(&config).load(&[]));
    let config =
        MINIMAL.replace("[sources.events]\nuri = \"events/\"", &format!("[sources]\nevents = {{ uri = \"{url}\" }}\n"));
    assert_hidden(&Project::new(&config).load(&[]));
    for set in [format!("sources.events.uri={url}"), format!("labels.keys={url}"), format!("labels.keys=[\"{url}\"")] {
        let result = Project::new(MINIMAL).load(&[&set]);
        let findings = result.as_ref().map_or_else(|f| f.as_slice(), |(_, f)| f.as_slice());
        assert!(!shown(findings).contains("hunter2"), "{}", shown(findings));
    }
    let config = Project::new(MINIMAL).load(&[&format!("sources.events.uri={url}")]).unwrap().0;
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.sources[0].uri, url);
}
