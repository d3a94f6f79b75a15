//! What the command line takes from URI, environment and files.

use std::collections::HashMap;

use secrecy::ExposeSecret;

use super::*;
use crate::api::backup_policy::TlsMode;

fn read(uri: &str, env: &[(&str, String)]) -> Result<Target, PgError> {
    let env: HashMap<String, String> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.clone()))
        .collect();
    Target::from_uri(uri, &|key| env.get(key).cloned())
}

#[test]
fn a_uri_with_a_password_is_refused_and_says_where_it_belongs() {
    for uri in [
        "postgres://u:geheim@db/x",
        "postgres://u@db/x?password=geheim",
    ] {
        let error = read(uri, &[]).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidSpec);
        let text = error.to_string();
        assert!(
            text.contains("PGPASSFILE") && text.contains("PGSERVICE"),
            "{text}"
        );
        assert!(!text.contains("geheim"), "{text}");
    }
}

#[test]
fn the_password_comes_from_the_first_matching_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pass");
    std::fs::write(
        &path,
        "# x\nother:*:*:*:no\ndb:5432:x:u\\:1:p\\:w\\\\d\n*:*:*:*:any\n",
    )
    .unwrap();
    let env = [("PGPASSFILE", path.to_string_lossy().into_owned())];
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = read("postgres://u@db/x", &env).unwrap_err();
    assert!(error.to_string().contains("chmod 0600"), "{error}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (uri, password) in [
        ("postgres://u%3A1@db/x", "p:w\\d"),
        ("postgres://v@db/x", "any"),
    ] {
        let target = read(uri, &env).unwrap();
        assert_eq!(target.password.unwrap().expose_secret(), password);
    }
}

#[test]
fn a_service_fills_what_the_uri_leaves_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service");
    let text = "# mine\n[a]\nhost=wrong\n[shop]\nhost=db.shop\nport=6432\ndbname=my shop\nuser=u\npassword=p=1\nsslmode=require\n[b]\nuser=w\n";
    std::fs::write(&path, text).unwrap();
    let file = path.to_string_lossy().into_owned();
    let env = |service: &str| {
        [
            ("PGSERVICE", service.to_owned()),
            ("PGSERVICEFILE", file.clone()),
        ]
    };
    let target = read("postgres://", &env("shop")).unwrap();
    assert_eq!(target.display(), "db.shop:6432/my shop as u");
    assert_eq!(target.tls, TlsMode::Require);
    assert_eq!(target.password.unwrap().expose_secret(), "p=1");
    let target = read("postgres://w@other/z", &env("shop")).unwrap();
    assert_eq!(target.display(), "other:6432/z as w");
    let error = read("postgres://", &env("gone")).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

#[test]
fn what_is_left_open_comes_from_the_environment_and_a_socket_has_no_tls() {
    let env = [
        ("PGHOST", "/tmp/s".to_owned()),
        ("USER", "me".to_owned()),
        ("PGPORT", "5433".to_owned()),
    ];
    let target = read("postgres:///shop", &env).unwrap();
    assert_eq!(target.display(), "/tmp/s:5433/shop as me");
    assert_eq!(target.tls_in_force(), TlsMode::Disable);
    assert!(
        read("postgres://db/x", &[])
            .unwrap_err()
            .to_string()
            .contains("USER@HOST")
    );
    let target = read("postgres://u@db/x?sslmode=verify-ca", &env).unwrap();
    assert_eq!(target.tls, TlsMode::VerifyCa);
}
