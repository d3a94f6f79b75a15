//! The command line's way to a database: a URI without a password, and what libpq's users have
//! beside it: PGPASSFILE, PGSERVICE and the other PG variables.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::error::PgError;
use super::target::{DEFAULT_PORT, Pieces, Target};
use super::uri::{Uri, parse_port, parse_sslmode};
use crate::api::Reason;

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
        let mut root = uri.sslrootcert.clone();
        let mut pieces = Pieces {
            host: uri.host,
            port: uri.port,
            user: uri.user,
            password: None,
            dbname: uri.dbname,
            tls: uri.tls,
        };
        if let Some(service) = env("PGSERVICE") {
            fill_from_service(&mut pieces, &mut root, &service, env)?;
        }
        let tls = match pieces.tls {
            Some(tls) => tls,
            None => env("PGSSLMODE")
                .map(|m| {
                    parse_sslmode(&m).map_err(|e| invalid(format!("PGSSLMODE cannot be used: {e}")))
                })
                .transpose()?
                .unwrap_or_default(),
        };
        let user = pieces
            .user
            .or_else(|| env("PGUSER"))
            .or_else(|| env("USER"))
            .or_else(|| env("LOGNAME"))
            .ok_or_else(|| {
                invalid(
                    "the database URI names no user: write postgresql://USER@HOST/DATABASE"
                        .to_owned(),
                )
            })?;
        let dbname = pieces
            .dbname
            .or_else(|| env("PGDATABASE"))
            .unwrap_or_else(|| user.clone());
        let host = pieces
            .host
            .or_else(|| env("PGHOST"))
            .unwrap_or_else(|| SOCKET_DIR.to_owned());
        if host.contains(',') {
            return Err(invalid("PGHOST names several hosts; name one".to_owned()));
        }
        let port = match pieces.port {
            Some(port) => port,
            None => env("PGPORT")
                .map(|p| {
                    parse_port(&p)
                        .map_err(|_| invalid("PGPORT is not a number from 1 to 65535".to_owned()))
                })
                .transpose()?
                .unwrap_or(DEFAULT_PORT),
        };
        let root = root
            .or_else(|| env("PGSSLROOTCERT"))
            .filter(|r| r != "system");
        let ca_pem = root
            .as_ref()
            .map(|path| {
                std::fs::read(path)
                    .map_err(|e| invalid(format!("failed to read sslrootcert {path}: {e}")))
            })
            .transpose()?;
        let password = match pieces
            .password
            .or_else(|| env("PGPASSWORD").map(SecretString::from))
        {
            Some(password) => Some(password),
            None => password_from_file(&host, port, &dbname, &user, env)?,
        };
        Ok(Target {
            host,
            port,
            user,
            password,
            dbname,
            tls,
            ca_pem,
            ca_source: root,
        })
    }
}

fn home(env: Env<'_>) -> Option<PathBuf> {
    env("HOME").filter(|h| !h.is_empty()).map(PathBuf::from)
}

fn fill_from_service(
    pieces: &mut Pieces,
    root: &mut Option<String>,
    service: &str,
    env: Env<'_>,
) -> Result<(), PgError> {
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
        for (key, value) in values {
            match key.as_str() {
                "host" => pieces.host = pieces.host.take().or(Some(value)),
                "port" => {
                    let port = parse_port(&value)
                        .map_err(|e| invalid(format!("service {service}: {e}")))?;
                    pieces.port = pieces.port.or(Some(port));
                }
                "user" => pieces.user = pieces.user.take().or(Some(value)),
                "dbname" => pieces.dbname = pieces.dbname.take().or(Some(value)),
                "password" => pieces.password = Some(SecretString::from(value)),
                "sslmode" => {
                    let tls = parse_sslmode(&value)
                        .map_err(|e| invalid(format!("service {service}: {e}")))?;
                    pieces.tls = pieces.tls.or(Some(tls));
                }
                "sslrootcert" => *root = root.take().or(Some(value)),
                "application_name" | "connect_timeout" => {}
                key => {
                    return Err(invalid(format!(
                        "service {service} in {} sets {key}, which Lifeboat does not follow; remove it",
                        file.display()
                    )));
                }
            }
        }
        return Ok(());
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
                "the password file {0} may be read by others: chmod 0600 {0}",
                path.display()
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
