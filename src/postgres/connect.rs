//! One connection, with a distinct reason for every way it can fail.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use secrecy::ExposeSecret;
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::at_once;
use super::connect_error::{io_error, pg_error};
use super::error::PgError;
use super::target::Target;
use super::tls;
use crate::api::Reason;

/// From the first packet to the answer of the server.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most notices that are kept, of each kind.
const MAX_NOTICES: usize = 20;
/// Most WARNINGs that are known again.
const MAX_HEARD: usize = 1_000;

/// Longest warning that is kept, in characters.
const MAX_WARNING: usize = 200;

/// What the server said without being asked. Each kind is bounded for itself: a file that makes many things IF NOT EXISTS says so
/// often, and its one warning must not be missed.
#[derive(Debug, Default)]
struct Notices {
    all: Vec<String>,
    /// The first that may mean that data is missing: no flood of others hides it.
    damage: Option<String>,
    /// First lines of WARNINGs that are no damage, to know them again.
    heard: BTreeSet<String>,
    warnings: Vec<String>,
    /// Bytes of the temporary files of which it was told.
    temporary: u64,
}

/// Bytes of a temporary file that is gone, as `log_temp_files` tells of it; the server speaks English where it is asked to.
fn temporary(notice: &DbError) -> Option<u64> {
    let told = notice.parsed_severity() == Some(Severity::Log);
    let message = notice.message().strip_prefix("temporary file: path ");
    let (_, bytes) = message.filter(|_| told)?.rsplit_once(", size ")?;
    bytes.parse().ok()
}

/// Whether data may be missing. NOTICE, INFO, LOG and DEBUG are somebody's remarks: auto_explain, pgaudit and extensions speak this
/// way. A WARNING of class 01 is one too, since nothing that went wrong has such a code, and so is one of class 53: who lacked
/// memory or room for the rows themselves would have ended the statement (pg_show_plans lacks it for what it writes down beside
/// them). One of another class names what went wrong: `zero_damaged_pages` and `ignore_checksum_failure` warn with XX001 (G3).
fn is_damage(warns: bool, sqlstate: &str) -> bool {
    let remark = ["01", "53"].iter().any(|class| sqlstate.starts_with(class));
    warns && !remark
}

/// The first line of a message: what a WARNING is known again by.
pub(super) fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim()
}

impl Notices {
    /// What is said at login is said of settings, passwords and collations: nothing has been read yet.
    fn keep_of_login(&mut self, notice: &DbError) {
        self.keep(notice);
        if self.damage.take().is_some() {
            self.heard.insert(first_line(notice.message()).to_owned());
            let text = super::sanitise(&format!("{}: {}", notice.severity(), notice.message()));
            self.all.push(text.chars().take(MAX_WARNING).collect());
        }
    }

    fn keep(&mut self, notice: &DbError) {
        if let Some(bytes) = temporary(notice) {
            self.temporary = self.temporary.saturating_add(bytes);
            return;
        }
        let (severity, message) = (notice.severity(), notice.message());
        let text = super::sanitise(&format!("{severity}: {message}"));
        let text: String = text.chars().take(MAX_WARNING).collect();
        let warns = notice.parsed_severity() == Some(Severity::Warning) || severity == "WARNING";
        if is_damage(warns, notice.code().code()) {
            self.damage.get_or_insert(text);
        } else {
            if warns && self.heard.len() < MAX_HEARD {
                self.heard.insert(first_line(message).to_owned());
            }
            if self.all.len() < MAX_NOTICES {
                self.all.push(text);
            }
        }
        if warns && self.warnings.len() < MAX_NOTICES {
            let text = super::sanitise(&format!("{}: {message}", notice.code().code()));
            self.warnings.push(text.chars().take(MAX_WARNING).collect());
        }
    }
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    /// Sends statements.
    pub client: Arc<Client>,
    notices: Arc<Mutex<Notices>>,
    ended: Arc<OnceLock<PgError>>,
    driver: tokio::task::JoinHandle<()>,
}

impl Connection {
    /// Why the server ended the session, if it did and said so: the statement that follows only learns that nobody answers.
    #[must_use]
    pub fn ended(&self) -> Option<&PgError> {
        self.ended.get()
    }

    /// Why a question was not answered: a standby's replay was in the way, or what `lost` makes of it.
    pub(super) fn explained(
        &self,
        error: &tokio_postgres::Error,
        lost: &dyn Fn(String) -> PgError,
    ) -> PgError {
        let said = PgError::query("ask for it", error);
        let replay = |e: &&PgError| e.reason() == Reason::RecoveryConflict;
        let mut known = [Some(&said), self.ended()].into_iter().flatten();
        known
            .find(replay)
            .cloned()
            .unwrap_or_else(|| lost(said.to_string()))
    }

    /// Fails if the server warned since the last call of what may mean that data is missing (G3). What else it said is logged.
    ///
    /// # Errors
    /// `QueryFailed` with the warning.
    pub(crate) fn quiet(&self) -> Result<(), PgError> {
        for said in self.take_notices() {
            tracing::info!("the server said: {said}");
        }
        match self.notices.lock().ok().and_then(|mut n| n.damage.take()) {
            None => Ok(()),
            Some(warning) => Err(PgError::later(
                Reason::QueryFailed,
                format!("the server warned while data was read: {warning}"),
            )),
        }
    }

    /// First lines of all WARNINGs so far that are no damage.
    #[must_use]
    pub(crate) fn heard(&self) -> Vec<String> {
        let notices = self.notices.lock();
        notices.map_or_else(|_| Vec::new(), |n| n.heard.iter().cloned().collect())
    }

    /// What else was said since the last call, sanitised and cut.
    #[must_use]
    pub fn take_notices(&self) -> Vec<String> {
        self.notices
            .lock()
            .map(|mut n| std::mem::take(&mut n.all))
            .unwrap_or_default()
    }

    /// WARNINGs since the last call, with their SQLSTATE, sanitised and cut. They may quote a user's data: never for a log.
    #[must_use]
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.notices
            .lock()
            .map(|mut n| std::mem::take(&mut n.warnings))
            .unwrap_or_default()
    }

    /// Bytes of the temporary files that were told of since the last call: those of a session that asks for it.
    #[must_use]
    pub(crate) fn take_temporary(&self) -> u64 {
        self.notices
            .lock()
            .map(|mut n| std::mem::take(&mut n.temporary))
            .unwrap_or_default()
    }

    /// True once the server or the network ended it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connects, in at most [`CONNECT_TIMEOUT`]. No startup options are sent: a pooler would refuse
/// them, so every setting of ours is a SET LOCAL (G12).
///
/// # Errors
/// A distinct reason for each way it can fail.
pub async fn connect(target: &Target, application_name: &str) -> Result<Connection, PgError> {
    connect_with(target, application_name, None).await
}

/// Connects with startup options, for the one who asks whether they arrive.
pub(crate) async fn connect_with(
    target: &Target,
    application_name: &str,
    options: Option<&str>,
) -> Result<Connection, PgError> {
    let attempt = at_once::establish(target, application_name, options);
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(result) => result,
        Err(_) => Err(PgError::later(
            Reason::ConnectTimeout,
            format!("{}:{} did not answer within 10 s", target.host, target.port),
        )),
    }
}

/// One attempt, however long it takes.
pub(super) async fn attempt(
    target: &Target,
    name: &str,
    options: Option<&str>,
) -> Result<Connection, PgError> {
    let mut config = Config::new();
    config
        .user(target.user.as_str())
        .dbname(target.dbname.as_str())
        .application_name(name)
        .channel_binding(target.demands.channel_binding.into());
    if let Some(password) = &target.password {
        config.password(password.expose_secret());
    }
    if let Some(options) = options {
        config.options(options);
    }
    if target.is_socket() {
        config.ssl_mode(SslMode::Disable);
        let path = Path::new(&target.host).join(format!(".s.PGSQL.{}", target.port));
        let stream = UnixStream::connect(path)
            .await
            .map_err(|e| io_error(target, &e))?;
        let pair = config.connect_raw(stream, NoTls).await;
        let (client, connection) = pair.map_err(|e| pg_error(target, &e))?;
        return Ok(drive(client, connection));
    }
    let tls = tls::client_config(target)?;
    let stream = tcp(target).await?;
    match tls {
        None => {
            config.ssl_mode(SslMode::Disable);
            let pair = config.connect_raw(stream, NoTls).await;
            let (client, connection) = pair.map_err(|e| pg_error(target, &e))?;
            Ok(drive(client, connection))
        }
        Some(tls) => {
            config.ssl_mode(SslMode::Require);
            let mut maker = MakeRustlsConnect::new(tls);
            let Ok(tls) = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut maker, &target.host);
            let pair = config.connect_raw(stream, tls).await;
            let (client, connection) = pair.map_err(|e| pg_error(target, &e))?;
            Ok(drive(client, connection))
        }
    }
}

async fn tcp(target: &Target) -> Result<TcpStream, PgError> {
    let addresses = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await
        .map_err(|e| {
            PgError::later(
                Reason::HostNotFound,
                format!("the host {} does not resolve ({e})", target.host),
            )
        })?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Small questions and answers; ours to lose only latency, never data.
                let _ = stream.set_nodelay(true);
                super::keepalive::set(&stream);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || {
            PgError::later(
                Reason::HostNotFound,
                format!("the host {} has no address", target.host),
            )
        },
        |error| io_error(target, &error),
    ))
}

fn drive<S, T>(client: Client, mut connection: tokio_postgres::Connection<S, T>) -> Connection
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx)).boxed();
    let mut notices = Notices::default();
    // What came before the server was ready waits there; more cannot come before it is asked something.
    while let Some(Some(Ok(message))) = messages.next().now_or_never() {
        if let AsyncMessage::Notice(notice) = message {
            notices.keep_of_login(&notice);
        }
    }
    let notices = Arc::new(Mutex::new(notices));
    let ended = Arc::new(OnceLock::new());
    let (kept, why) = (Arc::clone(&notices), Arc::clone(&ended));
    let driver = tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => {
                    if let Ok(mut kept) = kept.lock() {
                        kept.keep(&notice);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    if let Some(said) = error.as_db_error() {
                        let _ = why.set(PgError::of_server("the server ended the session", said));
                    }
                    break;
                }
            }
        }
    });
    Connection {
        client: Arc::new(client),
        notices,
        ended,
        driver,
    }
}
