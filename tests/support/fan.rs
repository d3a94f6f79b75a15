//! One address before several servers, as of a proxy that gives each connection to the next server; or before one that is slow.

use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends with the test.
pub struct Fan {
    /// On 127.0.0.1.
    pub port: u16,
    accepting: JoinHandle<()>,
}

impl Fan {
    /// Each connection, counted from 0, goes to this port after this time.
    pub async fn new(choose: impl Fn(usize) -> (u16, Duration) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            let mut lines = tokio::task::JoinSet::new();
            for at in 0.. {
                let Ok((mut client, _)) = listener.accept().await else {
                    return;
                };
                let (to, late) = choose(at);
                lines.spawn(async move {
                    tokio::time::sleep(late).await;
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { port, accepting }
    }
}

impl Drop for Fan {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
