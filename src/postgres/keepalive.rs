//! Our end of a connection notices that the other is gone (G10). What the server is told about its own end does not pass a pooler;
//! this does not need to.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Silence before the first question, between questions, and how many: in seconds, as libpq is told, too.
pub(super) const IDLE: u64 = 30;
/// Between questions.
pub(super) const INTERVAL: u64 = 10;
/// Questions without an answer.
pub(super) const COUNT: u32 = 3;
/// For what was sent to be acknowledged, in milliseconds.
pub(super) const SENT: u64 = 60_000;

/// Sets it. A system that does not know one of these goes on without.
pub(super) fn set(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(IDLE))
        .with_interval(Duration::from_secs(INTERVAL))
        .with_retries(COUNT);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(SENT)));
}
