//! A real proxy between: what goes through it, what does not, and what is said where it does not let through.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lifeboat::task::{ProbeTask, TASK_ENV, TASK_VERSION, Task, TaskResult, Work};

use crate::minio::{self, Minio, PASSWORD, USER};

/// tinyproxy, ended with the test.
struct Proxy {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let log = folder.path().join("log");
        let settings = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Connect\nLogFile \"{}\"\n{more}\n",
            log.display()
        );
        let file = folder.path().join("tinyproxy.conf");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new("tinyproxy");
        let command = command.arg("-d").arg("-c").arg(&file);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("tinyproxy: {e}: install the Debian package tinyproxy"));
        let mut proxy = Self {
            child,
            port,
            folder,
        };
        let until = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "no proxy: {}", proxy.log());
            assert!(proxy.child.try_wait().unwrap().is_none(), "{}", proxy.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        proxy
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How often somebody asked to be let through to this port of `localhost`.
    fn asked(&self, port: u16) -> usize {
        let asked = format!("CONNECT localhost:{port}");
        self.log().matches(&asked).count()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A store over https, whose certificate is for `localhost`.
async fn store() -> Minio {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = authority.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap().pem();
    minio::start_with(Some([&certificate, &own.serialize_pem(), &pem])).await
}

fn lifeboat(env: &[(&str, &str)], args: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_lifeboat")).args(args), env)
}

pub fn run(command: &mut Command, env: &[(&str, &str)]) -> Output {
    command
        .env_remove("https_proxy")
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .env("AWS_ACCESS_KEY_ID", USER)
        .env("AWS_SECRET_ACCESS_KEY", PASSWORD)
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

/// The task of a probe.
pub fn probe(minio: &Minio) -> String {
    let task = Task {
        version: TASK_VERSION,
        deadline_seconds: 100,
        work: Work::Probe(Box::new(ProbeTask {
            store: minio.task(USER, PASSWORD),
        })),
    };
    task.to_env().unwrap()
}

fn list(minio: &Minio, env: &[(&str, &str)]) -> Output {
    let location = format!(
        "s3://shop?endpoint={}&ca={}",
        minio.endpoint,
        minio.ca().display()
    );
    lifeboat(env, &["list", "--from", &location])
}

pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_over_https_is_reached_through_the_proxy_unless_no_proxy_names_it() {
    let (minio, proxy) = (store().await, Proxy::start(""));
    let port = minio.port();
    let through = list(&minio, &[("HTTPS_PROXY", &proxy.url())]);
    assert!(through.status.success(), "{}", said(&through));
    assert!(said(&through).contains("0 backups"), "{}", said(&through));
    let asked = proxy.asked(port);
    assert!(asked > 0, "{}", proxy.log());
    let lower = list(&minio, &[("https_proxy", &proxy.url())]);
    assert!(lower.status.success(), "{}", said(&lower));
    assert!(proxy.asked(port) > asked, "{}", proxy.log());
    let asked = proxy.asked(port);
    for env in [
        vec![
            ("HTTPS_PROXY", proxy.url()),
            ("NO_PROXY", "localhost".to_owned()),
        ],
        vec![("HTTPS_PROXY", String::new())],
        vec![],
    ] {
        let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let direct = list(&minio, &env);
        assert!(direct.status.success(), "{}", said(&direct));
    }
    assert_eq!(proxy.asked(port), asked, "{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_through_the_proxy_of_its_pod() {
    let (minio, proxy) = (store().await, Proxy::start(""));
    let folder = tempfile::tempdir().unwrap();
    let result: PathBuf = folder.path().join("result");
    let task = probe(&minio);
    let url = proxy.url();
    let env = [
        (TASK_ENV, task.as_str()),
        ("POD_UID", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"),
        ("HTTPS_PROXY", &url),
    ];
    let out = lifeboat(&env, &["work", "--result", result.to_str().unwrap()]);
    assert!(out.status.success(), "{}", said(&out));
    let result = TaskResult::from_message(&std::fs::read_to_string(&result).unwrap()).unwrap();
    assert_eq!(result.probe.unwrap().writable, Some(true));
    assert!(proxy.asked(minio.port()) > 0, "{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_let_through_is_named_and_its_password_is_not() {
    let minio = store().await;
    let closed = Proxy::start("ConnectPort 1");
    let refused = list(&minio, &[("HTTPS_PROXY", &closed.url())]);
    let text = said(&refused);
    assert!(!refused.status.success());
    let words = format!(
        "the proxy {} (HTTPS_PROXY) does not let it through",
        closed.url()
    );
    assert!(text.contains(&words), "{text}");

    let asks = Proxy::start("BasicAuth somebody geheimnis");
    let refused = list(&minio, &[("HTTPS_PROXY", &asks.url())]);
    assert!(
        said(&refused).contains("asks for a user and a password"),
        "{}",
        said(&refused)
    );
    let with = |password: &str| format!("http://somebody:{password}@127.0.0.1:{}", asks.port);
    let let_in = list(&minio, &[("HTTPS_PROXY", &with("geheimnis"))]);
    assert!(let_in.status.success(), "{}", said(&let_in));
    let wrong = list(&minio, &[("HTTPS_PROXY", &with("falschgeheim"))]);
    let text = said(&wrong);
    assert!(
        !wrong.status.success() && !text.contains("falschgeheim"),
        "{text}"
    );
    assert!(text.contains("127.0.0.1"), "{text}");
    assert!(
        text.contains("does not take its user and password"),
        "{text}"
    );

    // Nobody is there: it is not the store that refuses.
    let nobody = list(
        &minio,
        &[("HTTPS_PROXY", "http://me:geheimnis@127.0.0.1:1")],
    );
    let text = said(&nobody);
    let words = "connection refused; stores over https are reached through http://127.0.0.1:1 (HTTPS_PROXY)";
    assert!(text.contains(words), "{text}");

    let bad = list(&minio, &[("HTTPS_PROXY", "socks5://falschgeheim:1")]);
    let text = said(&bad);
    assert!(
        text.contains("HTTPS_PROXY cannot be used") && !text.contains("falschgeheim"),
        "{text}"
    );
}
