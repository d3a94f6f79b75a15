//! Where the database is and who asks: from a Secret's folder, or from a URI on the command line.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use secrecy::SecretString;

use super::demands::{ChannelBinding, ClientCertificate, Demands};
use super::error::PgError;
use super::uri::{Uri, parse_port};
use crate::api::Reason;
use crate::api::backup_policy::{DatabaseKeys, TlsMode};
use crate::manifest::Source;
use crate::task::DatabaseTask;

/// Port of PostgreSQL.
pub const DEFAULT_PORT: u16 = 5432;
/// Largest value of a key that is read, in bytes.
const MAX_VALUE: u64 = 1024 * 1024;

/// One database. Printing it shows no password.
#[derive(Debug, Clone)]
pub struct Target {
    /// Host name, address, or folder of a Unix socket (begins with `/`).
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Password, if one is needed.
    pub password: Option<SecretString>,
    /// Database.
    pub dbname: String,
    /// How much is asked of the server's certificate. Means nothing on a Unix socket.
    pub tls: TlsMode,
    /// The authority as PEM; without it the bundled public roots are trusted.
    pub ca_pem: Option<Vec<u8>>,
    /// Where the authority came from, for messages.
    pub ca_source: Option<String>,
    /// What else the connection must bring or have.
    pub demands: Demands,
}

/// Pieces of a target before they are complete.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<SecretString>,
    pub dbname: Option<String>,
    pub tls: Option<TlsMode>,
    pub channel_binding: Option<ChannelBinding>,
}

impl Target {
    /// Where the server is; a socket is nowhere else.
    #[must_use]
    pub fn address(&self) -> Option<Source> {
        (!self.host.starts_with('/')).then(|| Source {
            host: self.host.clone(),
            port: self.port,
        })
    }

    /// From a task: the Secret's folder, and what the spec says beside it. The spec wins (K37).
    /// Reads the folders of the Secret and of the authority.
    ///
    /// # Errors
    /// `SecretMissing`, `KeyMissing` or `SecretInvalid`, naming Secret and key.
    pub fn from_task(task: &DatabaseTask) -> Result<Self, PgError> {
        let name = &task.secret_name;
        let secret = SecretFolder::read(name, Path::new(&task.dir))?;
        let pieces = secret.pieces(&task.keys)?;
        let need = |what: &str, key: &str, field: &str| {
            PgError::never(
                Reason::KeyMissing,
                format!(
                    "Secret {name} has no {what}: add the key {key}, or a URI as key uri{field}"
                ),
            )
        };
        let host = task
            .host
            .clone()
            .or(pieces.host)
            .ok_or_else(|| need("host", "host", ", or set spec.database.host"))?;
        let dbname = task
            .name
            .clone()
            .or(pieces.dbname)
            .ok_or_else(|| need("database name", "dbname", ", or set spec.database.name"))?;
        let port = match task.port {
            Some(port) => u16::try_from(port).ok().filter(|p| *p > 0).ok_or_else(|| {
                PgError::never(
                    Reason::InvalidSpec,
                    "spec.database.port is not from 1 to 65535",
                )
            })?,
            None => pieces.port.unwrap_or(DEFAULT_PORT),
        };
        let ca = task.ca.as_ref();
        let client = secret.client()?;
        if pieces.password.is_none() && client.is_none() {
            return Err(need("password", "password", ""));
        }
        let user = task.user.clone().or(pieces.user);
        Ok(Target {
            host,
            port,
            user: user
                .ok_or_else(|| need("user", "user or username", ", or set spec.database.user"))?,
            password: pieces.password,
            dbname,
            tls: task.tls_mode.or(pieces.tls).unwrap_or_default(),
            ca_pem: ca
                .map(|ca| read_ca(&ca.source, &ca.dir, &ca.key))
                .transpose()?,
            ca_source: ca.map(|ca| format!("{}, key {}", ca.source, ca.key)),
            demands: Demands {
                client,
                channel_binding: pieces.channel_binding.unwrap_or_default(),
            },
        })
    }

    /// Trusts this authority and no other. Who names one wants it asked, so `Require` becomes `VerifyCa`, as with libpq.
    pub fn trust(&mut self, pem: Vec<u8>, source: String) {
        if self.tls == TlsMode::Require {
            self.tls = TlsMode::VerifyCa;
        }
        self.ca_pem = Some(pem);
        self.ca_source = Some(source);
    }

    /// True if the host is the folder of a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// The mode that counts: a Unix socket has no TLS.
    #[must_use]
    pub fn tls_in_force(&self) -> TlsMode {
        if self.is_socket() {
            TlsMode::Disable
        } else {
            self.tls
        }
    }

    /// For messages: `db.shop:5432/shop as lifeboat`.
    #[must_use]
    pub fn display(&self) -> String {
        format!(
            "{}:{}/{} as {}",
            self.host, self.port, self.dbname, self.user
        )
    }
}

/// A Secret's keys, read once.
struct SecretFolder<'a> {
    name: &'a str,
    values: BTreeMap<String, SecretString>,
}

impl<'a> SecretFolder<'a> {
    /// The folder is absent or empty when the Secret is missing: the volume is optional (K6).
    fn read(name: &'a str, dir: &Path) -> Result<Self, PgError> {
        let missing = || {
            PgError::never(
                Reason::SecretMissing,
                format!("Secret {name} does not exist in this namespace, or is empty"),
            )
        };
        let broken = |error: &std::io::Error| {
            PgError::never(
                Reason::SecretInvalid,
                format!("failed to read Secret {name}: {error}"),
            )
        };
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(broken(&error)),
        };
        let mut values = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(|e| broken(&e))?;
            let Ok(key) = entry.file_name().into_string() else {
                continue;
            };
            // The kubelet's own `..data` and `..2026_…` stand beside the keys.
            if key.starts_with("..") {
                continue;
            }
            let path = entry.path();
            let meta = std::fs::metadata(&path).map_err(|e| broken(&e))?;
            if !meta.is_file() || meta.len() > MAX_VALUE {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(|e| broken(&e))?;
            // A key that is not text is none of ours: keystores lie beside the password.
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            values.insert(key, SecretString::from(text));
        }
        if values.is_empty() {
            return Err(missing());
        }
        Ok(Self { name, values })
    }

    /// The value without the newline that `echo` and editors leave. `None` if absent or empty.
    fn get(&self, key: &str) -> Option<&str> {
        use secrecy::ExposeSecret;
        let value = self.values.get(key)?.expose_secret();
        let value = value.strip_suffix('\n').unwrap_or(value);
        let value = value.strip_suffix('\r').unwrap_or(value);
        (!value.is_empty()).then_some(value)
    }

    /// The client's certificate, under the names that Kubernetes gives to such keys.
    fn client(&self) -> Result<Option<ClientCertificate>, PgError> {
        let [certificate, key] = ["tls.crt", "tls.key"].map(|key| self.get(key));
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                let source = format!("Secret {}", self.name);
                let key = SecretString::from(key);
                ClientCertificate::new(certificate.as_bytes(), key, &source).map(Some)
            }
            (certificate, _) => {
                let [has, lacks] = match certificate {
                    Some(_) => ["tls.crt", "tls.key"],
                    None => ["tls.key", "tls.crt"],
                };
                let text = format!("Secret {} has {has} and lacks {lacks}", self.name);
                Err(PgError::never(Reason::KeyMissing, text))
            }
        }
    }

    /// A key that the spec names must be there; one of the usual names may be.
    fn named(&self, named: Option<&String>, usual: &[&str]) -> Result<Option<&str>, PgError> {
        match named {
            Some(key) => self.get(key).map(Some).ok_or_else(|| {
                PgError::never(
                    Reason::KeyMissing,
                    format!(
                        "Secret {} lacks the key {key} that spec.database.keys names",
                        self.name
                    ),
                )
            }),
            None => Ok(usual.iter().find_map(|key| self.get(key))),
        }
    }

    /// Named keys first, then the URI, then keys of the usual names.
    fn pieces(&self, keys: &DatabaseKeys) -> Result<Pieces, PgError> {
        let invalid = |what: String| {
            PgError::never(
                Reason::SecretInvalid,
                format!("Secret {}: {what}", self.name),
            )
        };
        let uri_key = keys.uri.as_deref().unwrap_or("uri");
        let uri = match self.named(keys.uri.as_ref(), &["uri"])? {
            Some(text) => Uri::parse(text.trim())
                .map_err(|e| invalid(format!("the URI in key {uri_key} cannot be used: {e}")))?,
            None => Uri::default(),
        };
        if let Some(what) = names_a_file(&uri) {
            return Err(invalid(format!(
                "the URI in key {uri_key} cannot be used: its parameter {what}"
            )));
        }
        let pick = |named: Option<&String>, of_uri: Option<String>, usual: &[&str]| {
            let value = self.named(named, usual)?.map(|v| v.trim().to_owned());
            // CloudNativePG writes `*` where its superuser may use any database.
            let keep = |v: Option<String>| v.filter(|v| !v.is_empty() && v != "*");
            Ok::<_, PgError>(if named.is_some() {
                keep(value)
            } else {
                keep(of_uri).or(keep(value))
            })
        };
        let host = pick(keys.host.as_ref(), uri.host, &["host"])?;
        if host.as_deref().is_some_and(|h| h.contains(',')) {
            return Err(invalid("the host names several hosts; name one".to_owned()));
        }
        let port = pick(
            keys.port.as_ref(),
            uri.port.map(|p| p.to_string()),
            &["port"],
        )?
        .map(|p| {
            parse_port(&p)
                .map_err(|_| invalid("the port is not a number from 1 to 65535".to_owned()))
        })
        .transpose()?;
        let password = self
            .named(keys.password.as_ref(), &["password"])?
            .map(SecretString::from);
        let password = if keys.password.is_some() {
            password
        } else {
            uri.password.or(password)
        };
        use secrecy::ExposeSecret;
        if password
            .as_ref()
            .is_some_and(|p| p.expose_secret().contains(['\n', '\r', '\0']))
        {
            return Err(invalid("the password has more than one line".to_owned()));
        }
        Ok(Pieces {
            host,
            port,
            user: pick(keys.user.as_ref(), uri.user, &["user", "username"])?,
            password,
            dbname: pick(keys.dbname.as_ref(), uri.dbname, &["dbname"])?,
            tls: uri.tls,
            channel_binding: uri.channel_binding,
        })
    }
}

/// What of a URI a pod cannot follow, because the file is not there; and what to do instead.
fn names_a_file(uri: &Uri) -> Option<&'static str> {
    match uri.sslrootcert.as_deref() {
        // The public roots, which are trusted anyway.
        Some("system") if matches!(uri.tls, None | Some(TlsMode::VerifyFull)) => {}
        Some("system") => return Some("sslrootcert=system asks for sslmode=verify-full"),
        Some(_) => return Some("sslrootcert names a file; set spec.database.tls.ca"),
        None => {}
    }
    (uri.sslcert.is_some() || uri.sslkey.is_some()).then_some(
        "sslcert or sslkey names a file; put certificate and key into the keys tls.crt and tls.key",
    )
}

fn read_ca(source: &str, dir: &str, key: &str) -> Result<Vec<u8>, PgError> {
    let path = Path::new(dir);
    let empty = std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Err(PgError::never(
            Reason::SecretMissing,
            format!(
                "{source}, which spec.database.tls.ca names, does not exist in this namespace, or is empty"
            ),
        ));
    }
    match std::fs::read(path.join(key)) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(PgError::never(
            Reason::KeyMissing,
            format!("{source} lacks the key {key} that spec.database.tls.ca names"),
        )),
        Err(error) => Err(PgError::never(
            Reason::SecretInvalid,
            format!("failed to read {source}, key {key}: {error}"),
        )),
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
