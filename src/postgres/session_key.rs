//! What a client was told at login about its server process. The driver shows it only in the request to cancel a query: that is
//! written down here instead of being sent.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Length of the request: its own length, a code, the process, the secret.
const REQUEST: usize = 16;

/// The process that this client was told.
pub(super) async fn process(client: &Client) -> Option<i32> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let wire = Wire(Arc::clone(&written));
    client
        .cancel_token()
        .cancel_query_raw(wire, Same)
        .await
        .ok()?;
    let written = written.lock().ok()?;
    // Where TLS is demanded, the wish for it stands before.
    let request = written.get(written.len().checked_sub(REQUEST)?..)?;
    let process = request.get(8..12)?.try_into().ok()?;
    Some(i32::from_be_bytes(process))
}

/// Takes what is written, and says yes to TLS.
struct Wire(Arc<Mutex<Vec<u8>>>);

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0 {
            buffer.put_slice(b"S");
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Ok(mut written) = self.0.lock() {
            written.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for Wire {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// TLS that changes nothing.
struct Same;

impl TlsConnect<Wire> for Same {
    type Stream = Wire;
    type Error = Infallible;
    type Future = Ready<Result<Wire, Infallible>>;

    fn connect(self, wire: Wire) -> Self::Future {
        ready(Ok(wire))
    }
}
