//! A TCP proxy in this process that cuts, stops or spoils lines, at a byte of a direction or at a message of the client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Most of what a client said that is remembered of a line.
const MEMORY: usize = 256 * 1024;
/// Of one message: its head. What follows is a body.
const HEAD: usize = 1024;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    Up,
    /// To the client.
    Down,
}

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Both ends are closed.
    Cut,
    /// That direction takes no more, and nothing is closed.
    Hang,
    /// No direction takes anything any more, and nobody is told when the other end goes.
    Lose,
    /// One bit of the next byte is another.
    Flip,
}

/// When a line is acted upon. Lines that it holds for are counted together, so that it also strikes
/// whoever connects again.
#[derive(Debug, Clone)]
pub struct Rule {
    /// It holds for lines whose client said this; empty: for all.
    pub said: String,
    /// Which bytes count.
    pub way: Way,
    /// So many of them pass from then on.
    pub after: u64,
    /// What happens then.
    pub act: Act,
    /// The rule is gone once it has struck.
    pub once: bool,
}

impl Rule {
    /// Cuts every line on which the client says this, before it arrives.
    pub fn cut_at(said: &str) -> Self {
        Self {
            said: said.to_owned(),
            way: Way::Up,
            after: 0,
            act: Act::Cut,
            once: false,
        }
    }

    /// Lets the client's words through and cuts the answer.
    pub fn cut_answer_to(said: &str) -> Self {
        Self {
            way: Way::Down,
            ..Self::cut_at(said)
        }
    }

    /// Once flips a bit of what the client says.
    pub fn flip_at(said: &str) -> Self {
        Self {
            act: Act::Flip,
            ..Self::cut_at(said).once()
        }
    }

    /// Only after so many bytes.
    pub fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }

    /// Only the first time.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Loses the line without a word instead of cutting it.
    pub fn lost(self) -> Self {
        Self {
            act: Act::Lose,
            ..self
        }
    }

    /// Stops the line instead of cutting it.
    pub fn hang(self) -> Self {
        Self {
            act: Act::Hang,
            ..self
        }
    }
}

/// A proxy on a port of its own.
pub struct Proxy {
    /// On 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    rule: Mutex<Option<(Rule, u64)>>,
    lines: Mutex<Vec<Arc<Line>>>,
    struck: watch::Sender<u64>,
}

#[derive(Default)]
struct Line {
    heard: Mutex<Heard>,
    cut: CancellationToken,
    lost: CancellationToken,
}

/// The heads of a client's messages. A message begins where the client speaks after an answer.
#[derive(Default)]
struct Heard {
    heads: String,
    of_this: usize,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        for line in locked(&self.shared.lines).iter() {
            line.cut.cancel();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Stands before a port of this machine.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            rule: Mutex::new(None),
            lines: Mutex::default(),
            struck: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, port, Arc::clone(&shared)));
        Self {
            port: own,
            shared,
            accepting,
        }
    }

    /// From now on this rule holds, and its count begins.
    pub fn set(&self, rule: Rule) {
        *locked(&self.shared.rule) = Some((rule, 0));
    }

    /// From now on everything passes.
    pub fn mend(&self) {
        *locked(&self.shared.rule) = None;
    }

    /// Cuts the lines whose client has said this; how many.
    pub fn cut(&self, said: &str) -> usize {
        let lines = locked(&self.shared.lines);
        let those = lines
            .iter()
            .filter(|line| !line.cut.is_cancelled() && line.said(said));
        those.map(|line| line.cut.cancel()).count()
    }

    /// How often a rule has struck.
    pub fn strikes(&self) -> u64 {
        *self.shared.struck.borrow()
    }

    /// Waits until a rule has struck.
    pub async fn struck(&self) {
        let mut struck = self.shared.struck.subscribe();
        let first = struck.wait_for(|n| *n > 0);
        tokio::time::timeout(Duration::from_secs(60), first)
            .await
            .expect("no rule struck within a minute")
            .unwrap();
    }
}

impl Line {
    fn hear(&self, bytes: &[u8]) {
        let mut heard = locked(&self.heard);
        let room = HEAD.saturating_sub(heard.of_this).min(bytes.len());
        if heard.heads.len() < MEMORY {
            heard
                .heads
                .push_str(&String::from_utf8_lossy(&bytes[..room]));
        }
        heard.of_this += room;
    }

    fn answered(&self) {
        locked(&self.heard).of_this = 0;
    }

    /// Never returns on a line that is lost.
    async fn unless_lost(&self) {
        if self.lost.is_cancelled() {
            std::future::pending().await
        }
    }

    fn said(&self, words: &str) -> bool {
        words.is_empty() || locked(&self.heard).heads.contains(words)
    }
}

impl Shared {
    /// How many of these bytes pass, and what happens after them.
    fn judge(&self, line: &Line, way: Way, bytes: usize) -> (usize, Option<Act>) {
        let mut rule = locked(&self.rule);
        let Some((standing, passed)) = rule.as_mut() else {
            return (bytes, None);
        };
        if standing.way != way || !line.said(&standing.said) {
            return (bytes, None);
        }
        let room = usize::try_from(standing.after - *passed).unwrap();
        let pass = room.min(bytes);
        *passed += u64::try_from(pass).unwrap();
        if bytes <= room {
            return (bytes, None);
        }
        let act = standing.act;
        if standing.once {
            *rule = None;
        }
        self.struck.send_modify(|n| *n += 1);
        (pass, Some(act))
    }
}

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let line = Arc::new(Line::default());
        locked(&shared.lines).push(Arc::clone(&line));
        tokio::spawn(serve(client, port, Arc::clone(&shared), line));
    }
}

async fn serve(client: TcpStream, port: u16, shared: Arc<Shared>, line: Arc<Line>) {
    // A server that is down is told by hanging up.
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let both = async {
        tokio::join!(
            pump(&shared, &line, Way::Up, from_client, to_server),
            pump(&shared, &line, Way::Down, from_server, to_client),
        )
    };
    tokio::select! {
        _ = both => {}
        () = line.cut.cancelled() => {}
    }
    // Later cuts shall not count it.
    line.cut.cancel();
}

async fn pump(
    shared: &Shared,
    line: &Line,
    way: Way,
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        match way {
            Way::Up => line.hear(&buffer[..read]),
            Way::Down => line.answered(),
        }
        line.unless_lost().await;
        let (mut pass, act) = shared.judge(line, way, read);
        if act == Some(Act::Flip) {
            buffer[pass] ^= 1;
            pass = read;
        }
        if to.write_all(&buffer[..pass]).await.is_err() {
            break;
        }
        match act {
            None | Some(Act::Flip) => {}
            Some(Act::Cut) => {
                line.cut.cancel();
                return;
            }
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Lose) => line.lost.cancel(),
        }
        line.unless_lost().await;
    }
    line.unless_lost().await;
    let _ = to.shutdown().await;
}
