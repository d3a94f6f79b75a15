//! URIs as people write them, and as they go wrong.

use super::*;
use secrecy::ExposeSecret;

#[test]
fn a_uri_is_read_as_libpq_reads_it() {
    let uri = Uri::parse(
        "postgresql://ap%40p:p%3Aw%2F@db.shop:6432/weird%20%22name%22?sslmode=verify-ca",
    )
    .unwrap();
    assert_eq!(uri.user.as_deref(), Some("ap@p"));
    assert_eq!(uri.password.unwrap().expose_secret(), "p:w/");
    assert_eq!(uri.host.as_deref(), Some("db.shop"));
    assert_eq!(uri.port, Some(6432));
    assert_eq!(uri.dbname.as_deref(), Some("weird \"name\""));
    assert_eq!(uri.tls, Some(TlsMode::VerifyCa));
    let uri = Uri::parse("postgres:///db?host=/tmp/s&port=5433").unwrap();
    assert_eq!(uri.host.as_deref(), Some("/tmp/s"));
    assert_eq!(uri.port, Some(5433));
    let uri = Uri::parse("postgres://u@[::1]:5/db").unwrap();
    assert_eq!(uri.host.as_deref(), Some("::1"));
    let uri = Uri::parse("postgres://%2Fvar%2Frun/db?channel_binding=require").unwrap();
    assert_eq!(uri.host.as_deref(), Some("/var/run"));
    assert!(Uri::parse("postgresql://").unwrap().host.is_none());
}

#[test]
fn p8_nothing_of_a_password_that_was_not_encoded_is_repeated() {
    for given in [
        "postgres://u:12/geheim@db/x",
        "postgres://u:pa/geheim@db/x",
        "postgres://u:12?geheim@db/x",
        "postgres://u:12?geheim=1@db/x",
        "postgres://u:12?a&geheim@db/x",
        "postgres://u:g@eheim/geheim@db/x",
        "postgres://u:g@eheim?geheim@db/x",
        "postgres://u:geheim@geheim:geheim@/x",
        "postgres://u:geheim/12?geheim@db/x",
        "postgres://u:[geheim@db/x",
        "postgres://u:%geheim@db/x",
        "postgres://u:geheim,geheim@db,db/x",
        "postgres://u:geheim#geheim@db:geheim/x",
        "postgres://db/x?user=u&password=ab&geheim",
        "postgres://db/x?password=ab&geheim=1&user=u",
        "postgres://db/x?password=ab&sslmode=geheim",
        "postgres://db/x?password=ab&c%20&geheim%20=",
    ] {
        match Uri::parse(given) {
            Err(error) => assert!(!error.to_string().contains("geheim"), "{given}: {error}"),
            Ok(uri) => {
                let shown = format!("{:?} {:?} {:?}", uri.host, uri.user, uri.dbname);
                assert!(!shown.contains("geheim"), "{given}: {shown}");
            }
        }
    }
    let uri = Uri::parse("postgres://db/x?user=me@tenant&password=p@ss").unwrap();
    assert_eq!(uri.user.as_deref(), Some("me@tenant"));
    assert_eq!(uri.password.unwrap().expose_secret(), "p@ss");
}

#[test]
fn what_cannot_be_followed_is_refused_by_name() {
    for (given, want) in [
        ("mysql://db", "postgresql://"),
        ("postgres://a,b/db", "several hosts"),
        ("postgres:///db?host=a,b", "several hosts"),
        ("postgres://a:1,b:2/db", "several hosts"),
        ("postgres://db:0/x", "port"),
        ("postgres://db:99999/x", "port"),
        ("postgres://u:%zz@db/x", "percent-encoding"),
        ("postgres://db/x%00", "percent-encoding"),
        ("postgres://[::1/x", "]"),
        ("postgres://db/x?service=a", "PGSERVICE"),
        ("postgres://db/x?passfile=/a", "PGPASSFILE"),
        ("postgres://db/x?sslcrl=/a", "sslcrl"),
        ("postgres://db/x?sslpassword=a", "passphrase"),
        ("postgres://db/x?channel_binding=maybe", "channel_binding"),
        ("postgres://db/x?options=-c", "options"),
        ("postgres://db/x?pgbouncer=true", "pgbouncer"),
        ("postgres://db/x?sslmode=maybe", "sslmode"),
    ] {
        let error = Uri::parse(given).unwrap_err().to_string();
        assert!(error.contains(want), "{given}: {error}");
    }
}
