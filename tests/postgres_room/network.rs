//! Ways to a server that fail, each with its own reason, and the poolers between.

use std::path::Path;
use std::time::Duration;

use lifeboat::api::Reason;
use lifeboat::api::backup_policy::TlsMode;
use lifeboat::postgres::pooler::Pooler;
use lifeboat::postgres::{
    Contention, Coordinator, Demands, DumpOrder, DumpProcess, LockPatience, Print, Programs,
    Silent, Target, connect, preflight,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use secrecy::SecretString;

use crate::pg::{Server, free_port, host_bin};
use crate::pgbouncer::PgBouncer;

fn tcp(server: &Server) -> Target {
    Target {
        host: "127.0.0.1".into(),
        ..server.target("postgres")
    }
}

pub async fn reason(target: &Target) -> Reason {
    let error = connect(target, "x").await.unwrap_err();
    assert!(!error.to_string().contains("geheim"), "{error}");
    error.reason()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_to_log_in_has_its_reason() {
    let server = Server::start(
        15,
        &[
            "listen_addresses=127.0.0.1",
            "max_connections=6",
            "superuser_reserved_connections=0",
            "max_wal_senders=0",
        ],
    );
    server
        .sql("postgres", "CREATE ROLE app LOGIN PASSWORD 'right'")
        .await;
    let hba = server.dir.path().join("data/pg_hba.conf");
    std::fs::write(
        &hba,
        "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    server.sql("postgres", "SELECT pg_reload_conf()").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut target = tcp(&server);
    target.user = "app".into();
    assert_eq!(
        reason(&target).await,
        Reason::AuthenticationFailed,
        "no password"
    );
    target.password = Some(SecretString::from("geheim"));
    assert_eq!(reason(&target).await, Reason::AuthenticationFailed);
    target.password = Some(SecretString::from("right"));
    drop(connect(&target, "x").await.unwrap());
    assert_eq!(
        reason(&Target {
            dbname: "gone".into(),
            ..target.clone()
        })
        .await,
        Reason::DatabaseNotFound
    );
    assert_eq!(
        reason(&Target {
            user: "gone".into(),
            ..target.clone()
        })
        .await,
        Reason::AuthenticationFailed
    );
    assert_eq!(
        reason(&Target {
            host: "gone.invalid".into(),
            ..target.clone()
        })
        .await,
        Reason::HostNotFound
    );
    assert_eq!(
        reason(&Target {
            port: free_port(),
            ..target.clone()
        })
        .await,
        Reason::ConnectionRefused
    );
    let mut many = vec![];
    let full = loop {
        match connect(&target, "x").await {
            Ok(connection) => many.push(connection),
            Err(error) => break error,
        }
    };
    assert_eq!(full.reason(), Reason::TooManyConnections, "{full}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_takes_the_connection_and_says_nothing_is_a_timeout_and_one_that_hangs_up_is_not()
 {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rude = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Target {
        host: "127.0.0.1".into(),
        port: silent.local_addr().unwrap().port(),
        user: "u".into(),
        password: None,
        dbname: "d".into(),
        tls: TlsMode::Disable,
        ca_pem: None,
        ca_source: None,
        demands: Demands::default(),
    };
    let hang_up = Target {
        port: rude.local_addr().unwrap().port(),
        ..server.clone()
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = rude.accept().await {
            drop(stream);
        }
    });
    assert_eq!(reason(&hang_up).await, Reason::ConnectionLost);
    assert_eq!(reason(&server).await, Reason::ConnectTimeout);
    drop(silent);
}

pub struct Authority {
    pub issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Test authority");
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    pub fn pem(&self) -> Vec<u8> {
        self.issuer.pem().into_bytes()
    }

    /// Makes the server show a certificate of ours for these names.
    pub async fn install(&self, server: &Server, names: &[&str], expired: bool) {
        let mut params =
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
                .unwrap();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let data = server.dir.path().join("data");
        write_key(&data.join("server.key"), &key.serialize_pem());
        std::fs::write(data.join("server.crt"), certificate.pem()).unwrap();
        reload(server).await;
    }
}

pub fn write_key(path: &Path, pem: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, pem).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Reloads and waits until new sessions see it.
pub async fn reload(server: &Server) {
    let asked = "SELECT extract(epoch FROM pg_conf_load_time())::float8";
    let before: f64 = server
        .session("postgres")
        .await
        .client
        .query_one(asked, &[])
        .await
        .unwrap()
        .get(0);
    server.sql("postgres", "SELECT pg_reload_conf()").await;
    for _ in 0..100 {
        let now: f64 = server
            .session("postgres")
            .await
            .client
            .query_one(asked, &[])
            .await
            .unwrap()
            .get(0);
        if now > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not reloaded: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn k37_each_way_that_tls_fails_has_its_reason_and_pg_dump_trusts_the_same() {
    let server = Server::start(17, &["listen_addresses=127.0.0.1"]);
    let (ours, other) = (Authority::new(), Authority::new());
    let mut target = Target {
        host: "localhost".into(),
        tls: TlsMode::VerifyFull,
        ca_pem: Some(ours.pem()),
        ca_source: Some("Secret/ca, key ca.crt".into()),
        demands: Demands::default(),
        ..server.target("postgres")
    };
    assert_eq!(reason(&target).await, Reason::ServerHasNoTls);
    ours.install(&server, &["localhost"], false).await;
    server.sql("postgres", "ALTER SYSTEM SET ssl = on").await;
    reload(&server).await;
    drop(connect(&target, "x").await.unwrap());
    dumps(&server, &target).await;
    drop(
        connect(
            &Target {
                tls: TlsMode::Require,
                ca_pem: None,
                ..target.clone()
            },
            "x",
        )
        .await
        .unwrap(),
    );
    dumps(
        &server,
        &Target {
            tls: TlsMode::Require,
            ca_pem: None,
            ..target.clone()
        },
    )
    .await;
    let public = Target {
        ca_pem: None,
        ca_source: None,
        demands: Demands::default(),
        ..target.clone()
    };
    assert_eq!(reason(&public).await, Reason::UntrustedIssuer);
    assert_eq!(
        reason(&Target {
            ca_pem: Some(other.pem()),
            ..target.clone()
        })
        .await,
        Reason::UntrustedIssuer
    );
    assert_eq!(
        reason(&Target {
            host: "127.0.0.1".into(),
            ..target.clone()
        })
        .await,
        Reason::HostnameMismatch
    );
    ours.install(&server, &["db.shop", "127.0.0.2"], false)
        .await;
    assert_eq!(reason(&target).await, Reason::HostnameMismatch);
    target.tls = TlsMode::VerifyCa;
    drop(connect(&target, "x").await.unwrap());
    dumps(&server, &target).await;
    assert_eq!(
        reason(&Target {
            ca_pem: Some(other.pem()),
            ..target.clone()
        })
        .await,
        Reason::UntrustedIssuer
    );
    ours.install(&server, &[], false).await;
    drop(connect(&target, "x").await.unwrap());
    target.tls = TlsMode::VerifyFull;
    assert_eq!(reason(&target).await, Reason::NoSubjectAltName);
    ours.install(&server, &["localhost"], true).await;
    assert_eq!(reason(&target).await, Reason::CertificateExpired);
    ours.install(&server, &["localhost", "127.0.0.1"], false)
        .await;
    drop(
        connect(
            &Target {
                host: "127.0.0.1".into(),
                ..target.clone()
            },
            "x",
        )
        .await
        .unwrap(),
    );
}

/// pg_dump reaches the target with the files that we write for it.
pub async fn dumps(server: &Server, target: &Target) {
    let tool = Programs::find(17, std::slice::from_ref(&server.bin))
        .await
        .unwrap();
    let coordinator = Coordinator::begin(
        target,
        "x",
        &mut Contention::new(LockPatience::default()),
        &Silent,
    )
    .await
    .unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let order = DumpOrder {
        target,
        tool: &tool,
        snapshot: coordinator.snapshot(),
        application_name: "x",
        pooled: false,
        heard: &[],
        print: &Print::plain("UTF8"),
        scratch: scratch.path(),
    };
    let mut dump = DumpProcess::spawn(&order).unwrap();
    tokio::io::copy(&mut dump.stdout, &mut tokio::io::sink())
        .await
        .unwrap();
    dump.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_a_pooler_in_transaction_mode_is_refused_and_one_in_session_mode_works() {
    let server = Server::start(15, &["listen_addresses=127.0.0.1"]);
    server
        .sql("postgres", "CREATE TABLE t AS SELECT 1 AS a")
        .await;
    for more in [
        "",
        "default_pool_size=1",
        "min_pool_size=5",
        "ignore_startup_parameters=options",
    ] {
        let bouncer = PgBouncer::start(&server, "transaction", more).await;
        let error = preflight(
            &Target {
                port: bouncer.port,
                ..tcp(&server)
            },
            "x",
        )
        .await
        .unwrap_err();
        assert_eq!(error.reason(), Reason::TransactionPooler, "{more}: {error}");
        assert!(error.to_string().contains("session mode"), "{error}");
    }
    for more in ["", "ignore_startup_parameters=options"] {
        let bouncer = PgBouncer::start(&server, "session", more).await;
        let target = Target {
            port: bouncer.port,
            ..tcp(&server)
        };
        let found = preflight(&target, "x").await.unwrap();
        assert_eq!(found.pooler, Pooler::Session);
        assert_eq!(found.facts.pooler.as_deref(), Some("Session"));
        let coordinator = Coordinator::begin(
            &target,
            "x",
            &mut Contention::new(LockPatience::default()),
            &Silent,
        )
        .await
        .unwrap();
        let tool = Programs::find(15, &[host_bin(15)]).await.unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let order = DumpOrder {
            target: &target,
            tool: &tool,
            snapshot: coordinator.snapshot(),
            application_name: "x",
            pooled: found.pooler == Pooler::Session,
            heard: &[],
            print: &Print::plain("UTF8"),
            scratch: scratch.path(),
        };
        let mut dump = DumpProcess::spawn(&order).unwrap();
        tokio::io::copy(&mut dump.stdout, &mut tokio::io::sink())
            .await
            .unwrap();
        dump.finish().await.unwrap();
        coordinator.prove().await.unwrap();
    }
}
