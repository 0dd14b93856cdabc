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
    fn on(stream: TcpStream) -> Self {
        // Each byte leaves when it is written: on a paused clock there is no time for acknowledgements.
        stream.set_nodelay(true).expect("it is open");
        Self(stream)
    }

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

    /// The same as [`Session::hear`]; `None`: the client hung up.
    pub(crate) async fn line(&mut self, end: &str) -> Option<String> {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            if matches!(self.0.read_buf(&mut heard).await, Ok(0) | Err(_)) || heard == b"QUIT\r\n" {
                return None;
            }
        }
        String::from_utf8(heard).ok()
    }

    /// True: the client has hung up, a moment from now.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let heard = tokio::time::timeout(std::time::Duration::from_millis(5), self.0.peek(&mut byte)).await;
        matches!(heard, Ok(Ok(0) | Err(_)))
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
        session(Session::on(stream)).await
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
            tokio::spawn(session(Session::on(stream)));
        }
    });
    settings(port)
}

/// Nothing but where the server is.
pub(crate) fn settings(port: u16) -> Smtp {
    Smtp {
        host: "127.0.0.1".into(),
        port,
        tls: SmtpTls::None,
        hello_name: Some("client.example.com".into()),
        auth_dir: None,
        ca_file: None,
        max_per_second: None,
        max_connections: None,
    }
}
