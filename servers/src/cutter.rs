//! A way to a server that breaks at a chosen point.
//!
//! Takes: the URI of a server, and when to break. Gives: the URI of a place before it, which hands everything on until
//! then; from then on everything again. Does not: know the protocol: what a client sends at once is one message.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Where the connection breaks, counted over all clients from the moment it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// Before message n (from 0) of a client reaches the server.
    Before(usize),
    /// After message n has reached the server and was answered; the client never sees the answer.
    After(usize),
    /// As [`After`](Self::After), for the first message that holds these bytes.
    AfterText(&'static [u8]),
}

/// The place before the server.
pub struct Cutter {
    uri: String,
    next: Arc<Mutex<Next>>,
}

#[derive(Default)]
struct Next {
    cut: Option<Cut>,
    messages: usize,
}

impl Cutter {
    /// Before the server of `uri`, which has a user, a host and a port. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// No port is free, or the URI has no user.
    pub async fn before(uri: &str) -> io::Result<Self> {
        let parts = uri.split_once('@').and_then(|(user, place)| Some((user, place.split_once('/')?)));
        let (user, (server, database)) = parts.ok_or_else(|| io::Error::other("not user@host:port/database"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own = listener.local_addr()?;
        let next = Arc::new(Mutex::new(Next::default()));
        tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&next)));
        Ok(Self { uri: format!("{user}@{own}/{database}"), next })
    }

    /// Where clients connect.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Breaks the connection there, once.
    pub fn cut(&self, cut: Cut) {
        *locked(&self.next) = Next { cut: Some(cut), messages: 0 };
    }

    /// Messages of clients since the last cut was set.
    pub fn messages(&self) -> usize {
        locked(&self.next).messages
    }

    /// Whether the last cut that was set was made; a later one is not made any more.
    pub fn has_cut(&self) -> bool {
        locked(&self.next).cut.take().is_none()
    }
}

/// A panic of another test leaves nothing half written.
fn locked(next: &Mutex<Next>) -> std::sync::MutexGuard<'_, Next> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, server: String, next: Arc<Mutex<Next>>) {
    while let Ok((near, _)) = listener.accept().await {
        let (server, next) = (server.clone(), Arc::clone(&next));
        // However it ends, both sides are closed.
        tokio::spawn(async move { hand_on(near, TcpStream::connect(server).await?, &next).await });
    }
}

async fn hand_on(mut near: TcpStream, mut far: TcpStream, next: &Mutex<Next>) -> io::Result<()> {
    let (mut to_server, mut to_client) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        tokio::select! {
            read = near.read(&mut to_server) => {
                let message = &to_server[..read?];
                let cut = if message.is_empty() { return Ok(()) } else { falls_due(next, message) };
                match cut {
                    Some(Cut::Before(_)) => return Ok(()),
                    Some(_) => {
                        far.write_all(message).await?;
                        // The answer is there, and nobody gets it.
                        return far.read(&mut to_client).await.map(drop);
                    }
                    None => far.write_all(message).await?,
                }
            }
            read = far.read(&mut to_client) => match read? {
                0 => return Ok(()),
                length => near.write_all(&to_client[..length]).await?,
            }
        }
    }
}

/// The cut that is to be made at this message.
fn falls_due(next: &Mutex<Next>, message: &[u8]) -> Option<Cut> {
    let mut next = locked(next);
    let number = next.messages;
    next.messages += 1;
    let is_due = match next.cut.as_ref()? {
        Cut::Before(due) | Cut::After(due) => *due == number,
        Cut::AfterText(text) => message.windows(text.len()).any(|part| part == *text),
    };
    if is_due { next.cut.take() } else { None }
}
