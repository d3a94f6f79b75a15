//! What PostgreSQL's own programs are told, and how: nothing secret in arguments or environment (K9).

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use secrecy::ExposeSecret;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command};

use super::demands::ChannelBinding;
use super::error::PgError;
use super::keepalive;
use super::target::Target;
use super::tls::trust_pem;
use super::tools::MINIMAL_PATH;
use crate::api::Reason;
use crate::api::backup_policy::TlsMode;

/// Most bytes of a program's words that are kept; the rest is read and dropped.
const MAX_WORDS: usize = 1024 * 1024;
/// Name of the service in the file that we write.
const SERVICE: &str = "lifeboat";

/// Service, password and trust file; removed on drop.
#[derive(Debug)]
pub(super) struct Files {
    scratch: PathBuf,
    service: PathBuf,
    pass: PathBuf,
    trust: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Drop for Files {
    fn drop(&mut self) {
        let all = [&self.service, &self.pass, &self.trust];
        for path in all.into_iter().chain([&self.certificate, &self.key]) {
            // The folder is memory of this pod and ends with it.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Files {
    /// Writes them into a folder of ours.
    ///
    /// # Errors
    /// `InvalidSpec` for a name that libpq cannot be told, `InternalError` if nothing can be written.
    pub(super) fn write(target: &Target, scratch: &Path) -> Result<Self, PgError> {
        let io = |e: std::io::Error| {
            PgError::later(
                Reason::InternalError,
                format!("failed to write the files for PostgreSQL's programs: {e}"),
            )
        };
        let files = Self {
            scratch: scratch.to_owned(),
            service: scratch.join("service.conf"),
            pass: scratch.join("pass"),
            trust: scratch.join("trust.pem"),
            certificate: scratch.join("client.crt"),
            key: scratch.join("client.key"),
        };
        let mode = match target.tls_in_force() {
            TlsMode::Disable => "disable",
            TlsMode::Require => "require",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyFull => "verify-full",
        };
        let port = target.port.to_string();
        let [idle, interval] = [keepalive::IDLE, keepalive::INTERVAL].map(|n| n.to_string());
        let (count, sent) = (keepalive::COUNT.to_string(), keepalive::SENT.to_string());
        let trust_text = files.trust.to_string_lossy().into_owned();
        let mut lines = vec![
            ("host", target.host.as_str()),
            ("port", &port),
            ("user", &target.user),
            ("dbname", &target.dbname),
            ("sslmode", mode),
            ("gssencmode", "disable"),
            ("connect_timeout", "10"),
            ("keepalives_idle", &idle),
            ("keepalives_interval", &interval),
            ("keepalives_count", &count),
            ("tcp_user_timeout", &sent),
        ];
        let binding = target.demands.channel_binding;
        if binding != ChannelBinding::Prefer {
            lines.push(("channel_binding", binding.as_str()));
        }
        let [certificate_text, key_text] =
            [&files.certificate, &files.key].map(|path| path.to_string_lossy().into_owned());
        if let Some(client) = &target.demands.client {
            let (certificate, key) = client.pem();
            write_private(&files.certificate, certificate).map_err(io)?;
            write_private(&files.key, key).map_err(io)?;
            lines.push(("sslcert", &certificate_text));
            lines.push(("sslkey", &key_text));
        }
        if matches!(
            target.tls_in_force(),
            TlsMode::VerifyCa | TlsMode::VerifyFull
        ) {
            write_private(&files.trust, &trust_pem(target)).map_err(io)?;
            lines.push(("sslrootcert", &trust_text));
        }
        write_private(&files.service, service_text(&lines)?.as_bytes()).map_err(io)?;
        let password = target
            .password
            .as_ref()
            .map(|p| pass_line(p.expose_secret()))
            .unwrap_or_default();
        write_private(&files.pass, password.as_bytes()).map_err(io)?;
        Ok(files)
    }

    /// What a program is told to connect to.
    pub(super) fn connection() -> String {
        format!("service={SERVICE}")
    }

    /// Tells a program where to go; it knows nothing else of our environment.
    pub(super) fn lend_to(&self, command: &mut Command, application_name: &str) {
        command.arg(format!("--dbname=service={SERVICE}"));
        self.lend_environment_to(command, application_name);
    }

    /// The same for a program that is told where to go in its own way: [`Files::connection`].
    pub(super) fn lend_environment_to(&self, command: &mut Command, application_name: &str) {
        command
            .env_clear()
            .env("PGSERVICEFILE", &self.service)
            .env("PGPASSFILE", &self.pass)
            .env("PGAPPNAME", application_name)
            .env("HOME", &self.scratch)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("PATH", MINIMAL_PATH)
            .current_dir(&self.scratch)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
    }
}

/// Hears what a program says to its end, and keeps the beginning.
pub(super) async fn listen(mut stderr: ChildStderr) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0u8; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let room = MAX_WORDS.saturating_sub(kept.len()).min(length);
        kept.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
    kept
}

/// A service file takes the rest of the line as it stands, but drops white space at its end and
/// lines beyond 1,023 bytes.
fn service_text(lines: &[(&str, &str)]) -> Result<String, PgError> {
    let mut text = format!("[{SERVICE}]\n");
    for (key, value) in lines {
        if value.contains(['\n', '\r', '\0']) || value.trim_end() != *value || value.len() > 960 {
            return Err(PgError::never(
                Reason::InvalidSpec,
                format!(
                    "the {key} of the database ends in white space, has several lines or is too long: pg_dump cannot be told it"
                ),
            ));
        }
        text.push_str(key);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    Ok(text)
}

fn pass_line(password: &str) -> String {
    let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
    format!("*:*:*:*:{escaped}\n")
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Never through what somebody left there.
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_a_service_file_would_change_is_refused() {
        assert_eq!(
            service_text(&[("dbname", "weird \"name\" a=b #1")]).unwrap(),
            "[lifeboat]\ndbname=weird \"name\" a=b #1\n"
        );
        for value in ["ends in space ", "two\nlines", &"x".repeat(1000)] {
            let error = service_text(&[("dbname", value)]).unwrap_err();
            assert_eq!(error.reason(), Reason::InvalidSpec);
        }
        assert_eq!(pass_line("a:b\\c"), "*:*:*:*:a\\:b\\\\c\n");
    }
}
