//! The command line's way to a database: a URI without a password, and what libpq's users have
//! beside it: PGPASSFILE, PGSERVICE and the other PG variables.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::demands::{ChannelBinding, ClientCertificate, Demands};
use super::error::PgError;
use super::names::shell_word;
use super::target::{DEFAULT_PORT, Target};
use super::uri::{Uri, parse_port, parse_sslmode};
use crate::api::Reason;
use crate::api::backup_policy::TlsMode;

/// Looks up one environment variable; read at the door and handed in.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where Debian's and most other libpq look for the socket.
const SOCKET_DIR: &str = "/var/run/postgresql";

impl Target {
    /// From a URI on the command line. Never with a password in it: that would stand in the
    /// process list and the shell's history. What the URI leaves open comes from the service that
    /// `PGSERVICE` names, then from `PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, `PGSSLMODE`,
    /// `PGSSLROOTCERT`; the password from the service, `PGPASSWORD` or `PGPASSFILE` (`~/.pgpass`).
    ///
    /// # Errors
    /// `InvalidSpec`, saying what to do.
    pub fn from_uri(text: &str, env: Env<'_>) -> Result<Self, PgError> {
        let invalid = |what: String| PgError::never(Reason::InvalidSpec, what);
        let uri = Uri::parse(text)
            .map_err(|e| invalid(format!("the database URI cannot be used: {e}")))?;
        if uri.password.is_some() {
            return Err(invalid(
                "the database URI holds a password, which the process list and the shell's history would show: \
                 put it into a file that PGPASSFILE names (a line host:port:database:user:password, mode 0600; \
                 default ~/.pgpass), or name a service in PGSERVICE"
                    .to_owned(),
            ));
        }
        let uri = match env("PGSERVICE") {
            Some(service) => uri.or(of_service(&service, env)?),
            None => uri,
        };
        let tls = match uri.tls {
            Some(tls) => Some(tls),
            None => env("PGSSLMODE")
                .map(|m| {
                    parse_sslmode(&m).map_err(|e| invalid(format!("PGSSLMODE cannot be used: {e}")))
                })
                .transpose()?,
        };
        let user = uri
            .user
            .clone()
            .or_else(|| env("PGUSER"))
            .or_else(|| env("USER"))
            .or_else(|| env("LOGNAME"))
            .ok_or_else(|| {
                invalid(
                    "the database URI names no user: write postgresql://USER@HOST/DATABASE"
                        .to_owned(),
                )
            })?;
        let dbname = uri
            .dbname
            .clone()
            .or_else(|| env("PGDATABASE"))
            .unwrap_or_else(|| user.clone());
        let host = uri
            .host
            .clone()
            .or_else(|| env("PGHOST"))
            .unwrap_or_else(|| SOCKET_DIR.to_owned());
        if host.contains(',') {
            return Err(invalid("PGHOST names several hosts; name one".to_owned()));
        }
        let port = port(&uri, env)?;
        let password = match uri
            .password
            .clone()
            .or_else(|| env("PGPASSWORD").map(SecretString::from))
        {
            Some(password) => Some(password),
            None => password_from_file(&host, port, &dbname, &user, env)?,
        };
        let mut target = Target {
            host,
            port,
            user,
            password,
            dbname,
            tls: tls.unwrap_or_default(),
            ca_pem: None,
            ca_source: None,
            demands: Demands {
                client: None,
                channel_binding: channel_binding(&uri, env)?,
            },
        };
        if target.tls_in_force() != TlsMode::Disable {
            trust(&mut target, tls, &uri, env)?;
            target.demands.client = client_certificate(&uri, env)?;
        }
        Ok(target)
    }
}

fn port(uri: &Uri, env: Env<'_>) -> Result<u16, PgError> {
    match (uri.port, env("PGPORT")) {
        (Some(port), _) => Ok(port),
        (None, None) => Ok(DEFAULT_PORT),
        (None, Some(text)) => parse_port(&text).map_err(|_| {
            let what = "PGPORT is not a number from 1 to 65535";
            PgError::never(Reason::InvalidSpec, what)
        }),
    }
}

/// A file that is named in the URI or by a variable, or lies where libpq looks for it.
fn named_file(
    named: Option<&String>,
    variable: &str,
    usual: &str,
    env: Env<'_>,
) -> Option<(String, PathBuf)> {
    if let Some(path) = named.cloned().or_else(|| env(variable)) {
        return Some((path.clone(), PathBuf::from(path)));
    }
    let usual = home(env)?.join(".postgresql").join(usual);
    let name = usual.display().to_string();
    usual.is_file().then_some((name, usual))
}

/// The authority that is named, or lies where libpq looks for it. With one, `require` verifies as `verify-ca` does; libpq does so too.
fn trust(
    target: &mut Target,
    asked: Option<TlsMode>,
    uri: &Uri,
    env: Env<'_>,
) -> Result<(), PgError> {
    let invalid = |what: String| PgError::never(Reason::InvalidSpec, what);
    let named = uri.sslrootcert.as_ref();
    let Some((name, path)) = named_file(named, "PGSSLROOTCERT", "root.crt", env) else {
        return Ok(());
    };
    if name == "system" {
        return match asked {
            None | Some(TlsMode::VerifyFull) => Ok(()),
            Some(_) => Err(invalid(
                "sslrootcert=system asks for sslmode=verify-full".to_owned(),
            )),
        };
    }
    let pem = std::fs::read(path)
        .map_err(|e| invalid(format!("failed to read sslrootcert {name}: {e}")))?;
    target.trust(pem, name);
    Ok(())
}

/// What the server is shown where it asks who we are.
fn client_certificate(uri: &Uri, env: Env<'_>) -> Result<Option<ClientCertificate>, PgError> {
    let invalid = |what: String| PgError::never(Reason::InvalidSpec, what);
    let named = uri.sslcert.as_ref();
    let Some((name, path)) = named_file(named, "PGSSLCERT", "postgresql.crt", env) else {
        return Ok(None);
    };
    let named = uri.sslkey.as_ref();
    let key = named_file(named, "PGSSLKEY", "postgresql.key", env);
    let (key_name, key) = key.ok_or_else(|| {
        let text = format!("sslcert {name} has no sslkey: name the file with its key");
        invalid(text)
    })?;
    let certificate =
        std::fs::read(&path).map_err(|e| invalid(format!("failed to read sslcert {name}: {e}")))?;
    let failed = |e| invalid(format!("failed to read sslkey {key_name}: {e}"));
    let mode = std::fs::metadata(&key).map_err(failed)?;
    // As libpq has it: root's may be read by a group.
    let others = if mode.uid() == 0 { 0o027 } else { 0o077 };
    if mode.permissions().mode() & others != 0 {
        return Err(invalid(format!(
            "the sslkey {key_name} may be read by others: chmod 0600 {}",
            shell_word(&key_name)
        )));
    }
    let key = std::fs::read_to_string(&key).map_err(failed)?;
    ClientCertificate::new(&certificate, SecretString::from(key), &name).map(Some)
}

fn channel_binding(uri: &Uri, env: Env<'_>) -> Result<ChannelBinding, PgError> {
    match (uri.channel_binding, env("PGCHANNELBINDING")) {
        (Some(binding), _) => Ok(binding),
        (None, Some(text)) => ChannelBinding::parse(&text).ok_or_else(|| {
            let what = "PGCHANNELBINDING is none of disable, prefer, require";
            PgError::never(Reason::InvalidSpec, what)
        }),
        (None, None) => Ok(ChannelBinding::default()),
    }
}

fn home(env: Env<'_>) -> Option<PathBuf> {
    env("HOME").filter(|h| !h.is_empty()).map(PathBuf::from)
}

/// What a service says.
fn of_service(service: &str, env: Env<'_>) -> Result<Uri, PgError> {
    let invalid = |what: String| PgError::never(Reason::InvalidSpec, what);
    let files = [
        env("PGSERVICEFILE").map(PathBuf::from),
        home(env).map(|h| h.join(".pg_service.conf")),
        env("PGSYSCONFDIR").map(|d| Path::new(&d).join("pg_service.conf")),
    ];
    for file in files.into_iter().flatten() {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let Some(values) = service_section(&text, service) else {
            continue;
        };
        let mut said = Uri::default();
        for (key, value) in values {
            said.take_parameter(&key, value).map_err(|e| {
                let file = file.display();
                invalid(format!("service {service} in {file} cannot be used: {e}"))
            })?;
        }
        return Ok(said);
    }
    Err(invalid(format!(
        "PGSERVICE names the service {service}, which stands neither in PGSERVICEFILE nor in ~/.pg_service.conf"
    )))
}

/// The section `[name]` of a service file, as libpq reads it: `#` lines are comments, the value is
/// the rest of the line as it stands.
fn service_section(text: &str, name: &str) -> Option<Vec<(String, String)>> {
    let mut found = None;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            if section == name {
                found = Some(Vec::new());
            }
        } else if let (Some(values), Some((key, value))) = (found.as_mut(), line.split_once('=')) {
            values.push((key.to_owned(), value.to_owned()));
        }
    }
    found
}

/// The password of the first matching line of PGPASSFILE, or of `~/.pgpass`.
fn password_from_file(
    host: &str,
    port: u16,
    dbname: &str,
    user: &str,
    env: Env<'_>,
) -> Result<Option<SecretString>, PgError> {
    let Some(path) = env("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(|| home(env).map(|h| h.join(".pgpass")))
    else {
        return Ok(None);
    };
    let Ok(meta) = std::fs::metadata(&path) else {
        return Ok(None);
    };
    if !meta.is_file() {
        return Ok(None);
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(PgError::never(
            Reason::InvalidSpec,
            format!(
                "the password file {} may be read by others: chmod 0600 {}",
                path.display(),
                shell_word(&path.to_string_lossy())
            ),
        ));
    }
    let text = std::fs::read_to_string(&path).map_err(|e| {
        PgError::never(
            Reason::InvalidSpec,
            format!("failed to read the password file {}: {e}", path.display()),
        )
    })?;
    // libpq: a connection over the default socket matches `localhost`.
    let host = if host == SOCKET_DIR {
        "localhost"
    } else {
        host
    };
    Ok(password_of(&text, &[host, &port.to_string(), dbname, user]).map(SecretString::from))
}

fn password_of(text: &str, want: &[&str; 4]) -> Option<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut fields = split_escaped(line);
            let matches = fields.len() >= 5
                && want.iter().zip(&fields).all(|(want, field)| match field {
                    Field { text, bare: true } if text == "*" => true,
                    Field { text, .. } => text == want,
                });
            matches
                .then(|| fields.swap_remove(4).text)
                .filter(|p| !p.is_empty())
        })
}

struct Field {
    text: String,
    /// Nothing in it was escaped.
    bare: bool,
}

/// Fields between colons; a backslash takes the next character as it is. The fifth is the rest.
fn split_escaped(line: &str) -> Vec<Field> {
    let mut fields = vec![];
    let mut field = Field {
        text: String::new(),
        bare: true,
    };
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                field.bare = false;
                field.text.extend(chars.next());
            }
            ':' => {
                fields.push(std::mem::replace(
                    &mut field,
                    Field {
                        text: String::new(),
                        bare: true,
                    },
                ));
            }
            c => field.text.push(c),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
