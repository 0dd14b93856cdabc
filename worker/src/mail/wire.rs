//! Commands out, replies in, over one connection.
//!
//! Takes: command bytes, and deadlines. Gives: the replies in their order. Does not: know which reply belongs to
//! which command (`connection` does), or go on once the server could not be understood.

use super::{
    replies::{Garbled, Received, Replies},
    reply::Cause,
    stream::Stream,
};
use futures::FutureExt as _;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::{io, sync::Arc};
use tokio::time::{Instant, timeout_at};

/// One connection.
pub(super) struct Wire {
    stream: Stream,
    replies: Replies,
    /// Something could not be written: whatever the server says, it says without having heard us.
    is_unheard: bool,
    /// Where one reply ends and the next begins cannot be told any more.
    is_garbled: bool,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, replies: Replies::default(), is_unheard: false, is_garbled: false }
    }

    /// False: nothing more can be asked here.
    pub(super) fn works(&self) -> bool {
        !self.is_unheard && !self.is_garbled
    }

    /// True: everything that arrived was given out.
    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// True: the server has said nothing since its last reply, not even goodbye.
    pub(super) fn is_silent(&mut self) -> bool {
        let mut buffer = [0; 256];
        self.is_empty() && self.stream.read(&mut buffer).now_or_never().is_none()
    }

    /// Sends. Whether that worked shows at the reply: a server that hangs up may have said why.
    pub(super) async fn send(&mut self, bytes: &[u8], deadline: Instant) {
        let sent = timeout_at(deadline, self.stream.write(bytes)).await;
        self.is_unheard |= !matches!(sent, Ok(Ok(())));
    }

    /// The next reply. One that is cut off counts as far as it came, and is the last.
    ///
    /// # Errors
    ///
    /// [`Cause::Lost`] or [`Cause::TimedOut`].
    pub(super) async fn reply(&mut self, deadline: Instant) -> Result<Received, Cause> {
        if self.is_garbled {
            return Err(Cause::Lost);
        }
        let (begun, cause) = match timeout_at(deadline, self.read()).await {
            Ok(Ok(received)) => (Some(received), Cause::Lost),
            Ok(Err(begun)) => (self.cut_off(begun), Cause::Lost),
            Err(_) => {
                let begun = self.replies.begun();
                (self.cut_off(begun), Cause::TimedOut)
            }
        };
        begun.filter(|received| !self.is_unheard || received.code >= 400).ok_or(cause)
    }

    /// Goes on over TLS, with nothing of what the server said before: only who holds the certificate is believed.
    ///
    /// # Errors
    ///
    /// The failure of the handshake.
    pub(super) async fn encrypt(self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        Ok(Self::new(self.stream.encrypt(config, name).await?))
    }

    /// The error holds what had arrived of a reply that will have no end.
    async fn read(&mut self) -> Result<Received, Option<Received>> {
        let mut buffer = [0; 4096];
        loop {
            match self.replies.next() {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => {}
                Err(Garbled { begun }) => return Err(begun),
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return Err(self.replies.begun()),
                Ok(length) => self.replies.arrived(&buffer[..length]),
            }
        }
    }

    fn cut_off(&mut self, begun: Option<Received>) -> Option<Received> {
        self.is_garbled = true;
        begun
    }
}
