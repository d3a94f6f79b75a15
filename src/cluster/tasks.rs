//! The tasks of a scope. Each runs as long as the process; one that ends or panics before leaves the operator half dead, deciding on a
//! picture that stands still, so the first of them ends the process and Kubernetes starts it anew.

use std::future::Future;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

/// Starts tasks and sees to them.
pub struct Tasks {
    stop: CancellationToken,
    ended: UnboundedSender<String>,
    running: Vec<(String, AbortHandle)>,
}

impl Tasks {
    /// Tasks that may end once `stop` is cancelled; what is received is which one ended before.
    #[must_use]
    pub fn new(stop: &CancellationToken) -> (Self, UnboundedReceiver<String>) {
        let (ended, receiver) = unbounded_channel();
        let tasks = Self {
            stop: stop.clone(),
            ended,
            running: Vec::new(),
        };
        (tasks, receiver)
    }

    /// Starts one; what is returned ends with it.
    pub fn start(
        &mut self,
        name: &str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let running = tokio::spawn(task);
        self.running.push((name.to_owned(), running.abort_handle()));
        let (name, stop, ended) = (name.to_owned(), self.stop.clone(), self.ended.clone());
        tokio::spawn(async move {
            let how = match running.await {
                Ok(()) => "ended",
                Err(error) if error.is_panic() => "panicked",
                Err(_) => "was ended",
            };
            if !stop.is_cancelled() {
                let _ = ended.send(format!("{name} {how}"));
            }
        })
    }

    /// Their names, and how to end each.
    #[must_use]
    pub fn running(self) -> Vec<(String, AbortHandle)> {
        self.running
    }
}
