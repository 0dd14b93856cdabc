//! A way to a server that falls silent.
//!
//! Takes: the URI of a server. Gives: the URI of a place before it, which hands everything on until it is told not to.
//! Then what was connected stays so and hears nothing more, as when a machine loses its power; new connections are
//! handed on, as to the machine that takes its place. Does not: read what passes.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(crate) struct Proxy {
    uri: String,
    silences: watch::Sender<u32>,
}

impl Proxy {
    /// Before the server of `uri`, which has a user, a host and a port.
    pub(crate) async fn before(uri: &str) -> Self {
        let (user, place) = uri.split_once('@').expect("our servers have passwords");
        let (server, database) = place.split_once('/').expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("it is bound");
        let (silences, silence) = watch::channel(0);
        tokio::spawn(accept(listener, server.to_owned(), silence));
        Self { uri: format!("{user}@{own}/{database}"), silences }
    }

    pub(crate) fn uri(&self) -> String {
        self.uri.clone()
    }

    /// From now on what is connected hears nothing more.
    pub(crate) fn silence(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }
}

async fn accept(listener: TcpListener, server: String, silence: watch::Receiver<u32>) {
    let mut held = Vec::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let (server, mut silence) = (server.clone(), silence.clone());
        silence.mark_unchanged();
        held.push(tokio::spawn(async move {
            let mut far = TcpStream::connect(server).await?;
            tokio::select! {
                copied = copy_bidirectional(&mut near, &mut far) => copied.map(drop),
                // Neither side is closed.
                _ = silence.changed() => std::future::pending().await,
            }
        }));
    }
}
