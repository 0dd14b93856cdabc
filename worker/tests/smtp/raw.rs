//! Mail servers in bytes, for what the inbox never says.
//!
//! Takes: what one session does. Gives: settings to reach it, and its end. Does not: know SMTP.

use pipeline::document::{Smtp, SmtpTls};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The server's side of one connection.
pub(crate) struct Session(pub(crate) TcpStream);

impl Session {
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the client listens");
    }

    /// Reads until the client has said something that ends so.
    pub(crate) async fn hear(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let length = self.0.read_buf(&mut heard).await.expect("the client speaks");
            assert!(length > 0, "the client hung up after {:?}", String::from_utf8_lossy(&heard));
        }
        String::from_utf8(heard).expect("ASCII")
    }

    /// What the client still says before it hangs up.
    pub(crate) async fn rest(mut self) -> String {
        let mut heard = Vec::new();
        // A client that closes with something unread resets the connection.
        let _ = self.0.read_to_end(&mut heard).await;
        String::from_utf8(heard).expect("ASCII")
    }

    /// Greets, and answers EHLO.
    pub(crate) async fn greet(&mut self, offers: &str) {
        self.say("220 raw\r\n").await;
        self.hear("\r\n").await;
        self.say(format!("250-raw\r\n{offers}250 HELP\r\n")).await;
    }
}

/// Serves one connection; the handle gives what `session` came to.
pub(crate) async fn serve<F, T>(session: impl FnOnce(Session) -> F + Send + 'static) -> (Smtp, JoinHandle<T>)
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        session(Session(stream)).await
    });
    (settings(port), served)
}

/// Serves every connection in the same way.
pub(crate) async fn serve_all<F>(session: impl Fn(Session) -> F + Send + 'static) -> Smtp
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(Session(stream)));
        }
    });
    settings(port)
}

fn settings(port: u16) -> Smtp {
    let host = "127.0.0.1".into();
    Smtp { host, port, tls: SmtpTls::None, auth_dir: None, ca_file: None, max_per_second: None }
}
