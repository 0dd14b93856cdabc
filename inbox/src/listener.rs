//! Takes SMTP connections.
//!
//! Takes: a listening socket and what all sessions share. Gives: one session per connection. Does not: let the number
//! of sessions grow without bound, or leave any behind when it is cancelled.

use crate::{server::Server, session};
use std::sync::{Arc, atomic::Ordering};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Far above what any test opens, far below the usual limit of 1024 open files with the rest of the process in mind.
const MAX_SESSIONS: usize = 800;

impl Server {
    /// Runs sessions until cancelled; then all of them are cut off, as if the machine had lost its power.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, cancelled: CancellationToken) {
        let mut sessions = JoinSet::new();
        loop {
            let stream = tokio::select! {
                () = cancelled.cancelled() => break,
                accepted = listener.accept() => accepted,
                Some(_) = sessions.join_next() => continue,
            };
            match stream {
                Ok((stream, _)) if sessions.len() < MAX_SESSIONS => {
                    sessions.spawn(Arc::clone(&self).welcome(stream));
                }
                // Out of sessions: the client sees a closed connection. Out of files: wait for a session to end.
                Ok(_) => {}
                Err(_) => tokio::task::yield_now().await,
            }
        }
        drop(listener);
        sessions.shutdown().await;
    }

    async fn welcome(self: Arc<Self>, stream: TcpStream) {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        // Without it every reply may wait 40 ms for the client's delayed ACK.
        if stream.set_nodelay(true).is_ok() {
            // A session ends with an error when its client breaks off; that is the client's affair.
            let _ = session::run(self, stream, connection).await;
        }
    }
}
