//! The shapes of Secrets that operators and people write.

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::task::CaTask;

fn folder(values: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (key, value) in values {
        std::fs::write(dir.path().join(key), value).unwrap();
    }
    // As the kubelet lays it out.
    std::fs::create_dir(dir.path().join("..2026_01_01")).unwrap();
    dir
}

fn task(dir: &TempDir) -> DatabaseTask {
    DatabaseTask {
        secret_name: "shop-db".into(),
        dir: dir.path().to_string_lossy().into_owned(),
        keys: DatabaseKeys::default(),
        host: None,
        port: None,
        name: None,
        user: None,
        tls_mode: None,
        ca: None,
    }
}

fn shown(target: &Target) -> (String, String) {
    let password = target
        .password
        .as_ref()
        .map(|p| p.expose_secret().to_owned());
    (target.display(), password.unwrap_or_default())
}

const CLOUDNATIVE_PG: &[(&str, &str)] = &[
    ("dbname", "app"),
    (
        "fqdn-jdbc-uri",
        "jdbc:postgresql://shop-rw.ns.svc.cluster.local:5432/app?password=x&user=app",
    ),
    (
        "fqdn-uri",
        "postgresql://app:s3c%25ret@shop-rw.ns.svc.cluster.local:5432/app",
    ),
    ("host", "shop-rw"),
    (
        "jdbc-uri",
        "jdbc:postgresql://shop-rw.ns:5432/app?password=x&user=app",
    ),
    ("password", "s3c%ret"),
    ("pgpass", "shop-rw:5432:app:app:s3c%ret\n"),
    ("port", "5432"),
    ("uri", "postgresql://app:s3c%25ret@shop-rw.ns:5432/app"),
    ("user", "app"),
    ("username", "app"),
];

const CRUNCHY: &[(&str, &str)] = &[
    ("dbname", "hippo"),
    ("host", "hippo-primary.ns.svc"),
    (
        "jdbc-uri",
        "jdbc:postgresql://hippo-primary.ns.svc:5432/hippo",
    ),
    ("password", "datalake:?"),
    ("pgbouncer-host", "hippo-pgbouncer.ns.svc"),
    ("pgbouncer-port", "5432"),
    (
        "pgbouncer-uri",
        "postgresql://hippo:x@hippo-pgbouncer.ns.svc:5432/hippo",
    ),
    ("port", "5432"),
    (
        "uri",
        "postgresql://hippo:datalake%3A%3F@hippo-primary.ns.svc:5432/hippo",
    ),
    ("user", "hippo"),
    ("verifier", "SCRAM-SHA-256$4096:x$y:z"),
];

#[test]
fn the_secrets_of_the_usual_operators_work_as_they_are() {
    for (values, want, password) in [
        (CLOUDNATIVE_PG, "shop-rw.ns:5432/app as app", "s3c%ret"),
        (
            CRUNCHY,
            "hippo-primary.ns.svc:5432/hippo as hippo",
            "datalake:?",
        ),
        (
            // CloudNativePG's superuser may use any database; by hand, with newlines of `echo`.
            &[
                ("host", "db\n"),
                ("user", "u\n"),
                ("password", "p w \n"),
                ("dbname", "shop\n"),
            ][..],
            "db:5432/shop as u",
            "p w ",
        ),
    ] {
        let dir = folder(values);
        let target = Target::from_task(&task(&dir)).unwrap();
        assert_eq!(shown(&target), (want.to_owned(), password.to_owned()));
        assert_eq!(target.tls, TlsMode::VerifyFull);
        let debug = format!("{target:?}");
        assert!(!debug.contains(password), "{debug}");
    }
}

#[test]
fn zalandos_secret_takes_host_and_name_from_the_spec() {
    let dir = folder(&[("username", "zalando"), ("password", "z")]);
    let mut task = task(&dir);
    let error = Target::from_task(&task).unwrap_err();
    assert_eq!(error.reason(), Reason::KeyMissing);
    assert!(error.to_string().contains("spec.database.host"), "{error}");
    task.host = Some("acid-shop".into());
    let error = Target::from_task(&task).unwrap_err();
    assert!(error.to_string().contains("spec.database.name"), "{error}");
    task.name = Some("shop".into());
    assert_eq!(
        shown(&Target::from_task(&task).unwrap()).0,
        "acid-shop:5432/shop as zalando"
    );
}

#[test]
fn the_spec_wins_over_named_keys_over_the_uri_over_usual_keys() {
    let dir = folder(CRUNCHY);
    let mut task = task(&dir);
    task.keys.host = Some("pgbouncer-host".into());
    let target = Target::from_task(&task).unwrap();
    assert_eq!(target.host, "hippo-pgbouncer.ns.svc");
    task.keys.uri = Some("pgbouncer-uri".into());
    assert_eq!(shown(&Target::from_task(&task).unwrap()).1, "x");
    (task.host, task.port, task.name) = (Some("h".into()), Some(6432), Some("n".into()));
    assert_eq!(
        shown(&Target::from_task(&task).unwrap()).0,
        "h:6432/n as hippo"
    );
}

#[test]
fn the_uris_sslmode_counts_only_without_tls_in_the_spec() {
    let dir = folder(&[("uri", "postgres://u:p@db/x?sslmode=require")]);
    let mut task = task(&dir);
    assert_eq!(Target::from_task(&task).unwrap().tls, TlsMode::Require);
    task.tls_mode = Some(TlsMode::VerifyFull);
    assert_eq!(Target::from_task(&task).unwrap().tls, TlsMode::VerifyFull);
}

#[test]
fn a_missing_secret_a_missing_key_and_a_useless_value_have_reasons_apart() {
    let gone = tempfile::tempdir().unwrap();
    let mut absent = task(&gone);
    absent.dir.push_str("/nowhere");
    let mut named = task(&gone);
    named.keys.password = Some("pw".into());
    for (values, task_of, reason, text) in [
        (&[][..], None, Reason::SecretMissing, "shop-db"),
        (&[], Some(absent), Reason::SecretMissing, "shop-db"),
        (
            &[("host", "h"), ("user", "u"), ("dbname", "d")],
            None,
            Reason::KeyMissing,
            "password",
        ),
        (
            &[("host", "h"), ("password", "u"), ("dbname", "d")],
            None,
            Reason::KeyMissing,
            "username",
        ),
        (
            &[("host", "h"), ("user", "u"), ("password", "geheim")],
            Some(named),
            Reason::KeyMissing,
            "pw",
        ),
        (
            &[("uri", "mysql://u:geheim@h/d")],
            None,
            Reason::SecretInvalid,
            "key uri",
        ),
        (
            &[("uri", "postgres://u:geheim@h/d?sslcert=/x")],
            None,
            Reason::SecretInvalid,
            "sslcert",
        ),
        (
            &[("uri", "postgres://u:geheim@h/d?sslrootcert=/x")],
            None,
            Reason::SecretInvalid,
            "tls.ca",
        ),
        (
            &[("uri", "postgres://u:geheim@h,i/d")],
            None,
            Reason::SecretInvalid,
            "several hosts",
        ),
        (
            &[
                ("host", "h,i"),
                ("user", "u"),
                ("password", "geheim"),
                ("dbname", "d"),
            ],
            None,
            Reason::SecretInvalid,
            "several",
        ),
        (
            &[
                ("host", "h"),
                ("port", "x"),
                ("user", "u"),
                ("password", "p"),
                ("dbname", "d"),
            ],
            None,
            Reason::SecretInvalid,
            "port",
        ),
        (
            &[
                ("host", "h"),
                ("user", "u"),
                ("password", "geheim\nb"),
                ("dbname", "d"),
            ],
            None,
            Reason::SecretInvalid,
            "password",
        ),
    ] {
        let dir = folder(values);
        let mut asked = task_of.unwrap_or_else(|| task(&dir));
        if !asked.dir.ends_with("nowhere") {
            asked.dir = dir.path().to_string_lossy().into_owned();
        }
        let error = Target::from_task(&asked).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}

#[test]
fn a_missing_authority_is_named() {
    let dir = folder(CRUNCHY);
    let ca = folder(&[("other.crt", "x")]);
    let mut task = task(&dir);
    task.ca = Some(CaTask {
        source: "ConfigMap/shop-ca".into(),
        dir: ca.path().to_string_lossy().into_owned(),
        key: "ca.crt".into(),
    });
    let error = Target::from_task(&task).unwrap_err();
    assert_eq!(error.reason(), Reason::KeyMissing);
    assert!(error.to_string().contains("ConfigMap/shop-ca"), "{error}");
    std::fs::write(ca.path().join("ca.crt"), "not pem").unwrap();
    let target = Target::from_task(&task).unwrap();
    let error = super::super::tls::client_config(&target).unwrap_err();
    assert_eq!(error.reason(), Reason::SecretInvalid);
}
