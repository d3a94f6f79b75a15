//! A real etcd and kube-apiserver of the test's own: no node, no controllers, nobody else's objects.
//!
//! What a controller or a kubelet would do, a test does by hand. Both processes end with the test's.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};

/// What `make test` found and built, by name.
pub fn environment() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cluster.env");
    let Ok(text) = std::fs::read_to_string(&path) else {
        panic!("{} is missing: run `make test`", path.display());
    };
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A tool of `make test`.
pub fn tool(name: &str) -> String {
    environment()
        .remove(name)
        .unwrap_or_else(|| panic!("{name} is not in target/cluster.env: run `make test`"))
}

pub struct ApiServer {
    dir: PathBuf,
    url: String,
    kubectl: String,
    children: Vec<Child>,
}

/// The one that the tests of a file share.
pub fn shared() -> &'static ApiServer {
    static SHARED: OnceLock<ApiServer> = OnceLock::new();
    SHARED.get_or_init(|| {
        let server = ApiServer::start();
        server.install_chart();
        server
    })
}

impl ApiServer {
    /// Starts both and waits until they answer.
    pub fn start() -> Self {
        let kubectl = tool("KUBECTL");
        let apiserver = Path::new(&kubectl).with_file_name("kube-apiserver");
        let dir = tempfile::tempdir().unwrap().keep();
        let key = rcgen::KeyPair::generate().unwrap();
        write(&dir, "sa.key", &key.serialize_pem());
        // Out of a PKCS 8 private key it reads no public one.
        write(&dir, "sa.pub", &key.public_key_pem());
        write(&dir, "tokens.csv", "admin,admin,admin,\"system:masters\"\n");
        let [client, peer, secure] = free_ports();
        let etcd = format!("http://127.0.0.1:{client}");
        let peers = format!("http://127.0.0.1:{peer}");
        let at = |name: &str| dir.join(name).display().to_string();
        let mut etcd_command = Command::new(tool("ETCD"));
        etcd_command.args([
            "--name",
            "test",
            "--unsafe-no-fsync",
            "--log-level",
            "error",
        ]);
        etcd_command.args(["--data-dir", &at("etcd")]);
        etcd_command.args([
            "--listen-client-urls",
            &etcd,
            "--advertise-client-urls",
            &etcd,
        ]);
        etcd_command.args(["--listen-peer-urls", &peers]);
        etcd_command.args(["--initial-advertise-peer-urls", &peers]);
        etcd_command.args(["--initial-cluster", &format!("test={peers}")]);
        let mut server_command = Command::new(apiserver);
        server_command.args(["--etcd-servers", &etcd, "--bind-address", "127.0.0.1"]);
        server_command.args([
            "--secure-port",
            &secure.to_string(),
            "--cert-dir",
            &at("certs"),
        ]);
        server_command.args(["--token-auth-file", &at("tokens.csv")]);
        server_command.args(["--service-account-key-file", &at("sa.pub")]);
        server_command.args(["--service-account-signing-key-file", &at("sa.key")]);
        server_command.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
        server_command.args(["--service-cluster-ip-range", "10.0.0.0/24"]);
        server_command.args(["--authorization-mode", "RBAC"]);
        // Nobody here makes the ServiceAccount `default` of a new namespace.
        server_command.args(["--disable-admission-plugins", "ServiceAccount"]);
        let children = vec![
            tied_to_this_process(etcd_command, &dir.join("etcd.log")),
            tied_to_this_process(server_command, &dir.join("apiserver.log")),
        ];
        let mut server = Self {
            url: format!("https://127.0.0.1:{secure}"),
            kubectl,
            children,
            dir,
        };
        server.write_kubeconfig();
        server.wait_until_ready();
        server
    }

    /// The CRDs, and the roles and admission policy of the chart, as Helm renders them.
    pub fn install_chart(&self) {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        self.kubectl(&["create", "namespace", "lifeboat-system"]);
        let rendered = Command::new(tool("HELM"))
            .args([
                "template",
                "lifeboat",
                "charts/lifeboat",
                "-n",
                "lifeboat-system",
            ])
            .current_dir(top)
            .output()
            .unwrap();
        assert!(
            rendered.status.success(),
            "{}",
            String::from_utf8_lossy(&rendered.stderr)
        );
        write(
            &self.dir,
            "chart.yaml",
            &String::from_utf8_lossy(&rendered.stdout),
        );
        let chart = self.dir.join("chart.yaml").display().to_string();
        self.kubectl(&["apply", "--server-side", "-f", &chart]);
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd/backupstores.lifeboat.dev",
            "crd/backuppolicies.lifeboat.dev",
            "crd/backups.lifeboat.dev",
            "crd/restoredrills.lifeboat.dev",
            "crd/migrationruns.lifeboat.dev",
            "crd/migrationapprovals.lifeboat.dev",
        ]);
    }

    /// Runs kubectl as an administrator; a failure fails the test.
    pub fn kubectl(&self, args: &[&str]) -> String {
        match self.try_kubectl(args, "") {
            Ok(text) => text,
            Err(text) => panic!("kubectl {args:?}: {text}"),
        }
    }

    /// Runs kubectl with something on its standard input.
    pub fn try_kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        use std::io::Write;
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(self.dir.join("kubeconfig"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// A namespace of the test's own.
    pub fn namespace(&self, name: &str) -> String {
        self.kubectl(&["create", "namespace", name]);
        name.to_owned()
    }

    /// How an administrator connects.
    pub async fn config(&self) -> kube::Config {
        let kubeconfig = Kubeconfig::read_from(self.dir.join("kubeconfig")).unwrap();
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .unwrap();
        config.default_retry = false;
        config
    }

    /// How the operator connects: with the rights that the chart gives it, and no others (K36).
    pub async fn operator_config(&self) -> kube::Config {
        let mut config = self.config().await;
        let user = "system:serviceaccount:lifeboat-system:lifeboat";
        for (name, value) in [
            ("impersonate-user", user),
            ("impersonate-group", "system:serviceaccounts"),
            ("impersonate-group", "system:authenticated"),
        ] {
            config
                .headers
                .push((name.parse().unwrap(), value.parse().unwrap()));
        }
        config
    }

    fn write_kubeconfig(&self) {
        self.kubeconfig("kubeconfig", "");
    }

    /// The kubeconfig of somebody who is no administrator.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        let name = format!("kubeconfig-{user}");
        self.kubeconfig(
            &name,
            &format!(", as: {user}, as-groups: ['system:authenticated']"),
        );
        self.dir.join(name)
    }

    fn kubeconfig(&self, name: &str, who: &str) {
        let text = format!(
            "apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: '{}', insecure-skip-tls-verify: true}}}}]
users: [{{name: admin, user: {{token: admin{who}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]
",
            self.url
        );
        write(&self.dir, name, &text);
    }

    fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        loop {
            match self.try_kubectl(&["get", "--raw", "/readyz"], "") {
                Ok(_) => return,
                Err(why) if begun.elapsed() > Duration::from_secs(120) || self.has_ended() => {
                    let log = std::fs::read_to_string(self.dir.join("apiserver.log"));
                    panic!(
                        "the API server is not ready: {why}\n{}",
                        log.unwrap_or_default()
                    );
                }
                Err(_) => std::thread::sleep(Duration::from_millis(500)),
            }
        }
    }

    fn has_ended(&mut self) -> bool {
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        self.children.iter_mut().any(ended)
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [std::net::TcpListener; N] =
        std::array::from_fn(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|l| l.local_addr().unwrap().port())
}

/// Starts a process that ends when this one does, whatever ends it: its shell reads our pipe. The shell ends with it.
fn tied_to_this_process(command: Command, log: &Path) -> Child {
    let script =
        r#"exec 3<&0; "$@" 3<&- & pid=$!; { cat <&3 >/dev/null; kill "$pid"; } & wait "$pid""#;
    let log = std::fs::File::create(log).unwrap();
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
