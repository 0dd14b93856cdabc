//! One SMTP dialogue (RFC 5321).
//!
//! Takes: a connection. Gives: mails to `delivery`, in the order and with the permissions the RFC demands, unless a
//! rule says otherwise. Does not: know bytes (`wire`), syntax (`command`) or AUTH's exchange (`login`).

use crate::{
    command::Command,
    login::{Login, login},
    rules::Phase,
    script::{Verdict, play},
    server::{Security, Server},
    wire::{MAX_MAIL_BYTES, Wire},
};
use std::{io, sync::Arc};
use tokio::net::TcpStream;

/// Recipients of one mail: the least that RFC 5321 section 4.5.3.1.8 allows as a limit.
const MAX_RECIPIENTS: usize = 100;

/// The state of a dialogue.
pub(crate) struct Session {
    pub(crate) server: Arc<Server>,
    pub(crate) wire: Wire,
    pub(crate) connection: u64,
    pub(crate) envelope: Option<Envelope>,
    is_greeted: bool,
    is_authenticated: bool,
}

/// Who a mail is from and for.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
}

/// What comes after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Command,
    Encrypt,
    End,
}

/// Runs a dialogue from connect to close.
///
/// # Errors
///
/// When the connection breaks.
pub(crate) async fn run(server: Arc<Server>, stream: TcpStream, connection: u64) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    if play(&server, &mut wire, Phase::Connect, &[]).await? != Verdict::Proceed {
        return Ok(());
    }
    if let Security::Implicit(config) = &server.security {
        wire = wire.encrypt(Arc::clone(config)).await?;
    }
    if play(&server, &mut wire, Phase::Greeting, &[]).await? != Verdict::Proceed {
        wire.close().await;
        return Ok(());
    }
    wire.reply(220, "inbox ESMTP");
    let mut session = Session { server, wire, connection, envelope: None, is_greeted: false, is_authenticated: false };
    while let Some(line) = session.wire.line().await? {
        match session.obey(Command::parse(&line)).await? {
            Next::Command => {}
            Next::Encrypt => session = session.encrypt().await?,
            Next::End => break,
        }
    }
    session.wire.close().await;
    Ok(())
}

impl Session {
    async fn obey(&mut self, command: Command) -> io::Result<Next> {
        match command {
            Command::Ehlo | Command::Helo => return self.ehlo(command == Command::Ehlo).await,
            Command::StartTls => return self.start_tls().await,
            Command::Auth { mechanism, initial } => return self.auth(&mechanism, initial).await,
            Command::MailFrom { sender, size } => return self.mail_from(sender, size).await,
            Command::RcptTo(recipient) => return self.rcpt_to(recipient).await,
            Command::Data => return self.data().await,
            Command::Rset => {
                self.envelope = None;
                self.wire.reply(250, "2.0.0 reset");
            }
            Command::Noop => self.wire.reply(250, "2.0.0 ok"),
            Command::Vrfy => self.wire.reply(252, "2.1.5 send and see"),
            Command::Quit => {
                self.wire.reply(221, "2.0.0 bye");
                return Ok(Next::End);
            }
            Command::Malformed => self.wire.reply(501, "5.5.4 arguments not understood"),
            Command::Unknown => self.wire.reply(500, "5.5.1 command not understood"),
        }
        Ok(Next::Command)
    }

    async fn ehlo(&mut self, extended: bool) -> io::Result<Next> {
        if let Some(next) = self.interfere(Phase::Ehlo, &[]).await? {
            return Ok(next);
        }
        (self.is_greeted, self.envelope) = (true, None);
        let mut lines = vec!["inbox".to_owned()];
        if extended {
            lines.extend(["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"].map(String::from));
            lines.push(format!("SIZE {MAX_MAIL_BYTES}"));
            if self.must_encrypt() {
                lines.push("STARTTLS".into());
            } else if self.server.credentials.is_some() {
                lines.push("AUTH PLAIN LOGIN".into());
            }
        }
        self.wire.reply_lines(250, &lines);
        Ok(Next::Command)
    }

    async fn start_tls(&mut self) -> io::Result<Next> {
        if !self.must_encrypt() {
            self.wire.reply(503, "5.5.1 not offered");
            return Ok(Next::Command);
        }
        if let Some(next) = self.interfere(Phase::StartTls, &[]).await? {
            return Ok(next);
        }
        self.wire.reply(220, "2.0.0 go ahead");
        self.wire.flush().await?;
        Ok(Next::Encrypt)
    }

    async fn encrypt(self) -> io::Result<Self> {
        let Security::StartTls(config) = &self.server.security else { return Ok(self) };
        let wire = self.wire.encrypt(Arc::clone(config)).await?;
        Ok(Self { wire, is_greeted: false, envelope: None, ..self })
    }

    async fn auth(&mut self, mechanism: &str, initial: Option<String>) -> io::Result<Next> {
        let server = Arc::clone(&self.server);
        let Some(credentials) = server.credentials.as_ref().filter(|_| self.is_greeted && !self.must_encrypt()) else {
            self.wire.reply(503, "5.5.1 not offered");
            return Ok(Next::Command);
        };
        if let Some(next) = self.interfere(Phase::Auth, &[]).await? {
            return Ok(next);
        }
        match login(&mut self.wire, credentials, mechanism, initial).await? {
            Login::Accepted => {
                self.is_authenticated = true;
                self.wire.reply(235, "2.7.0 welcome");
            }
            Login::Refused => self.wire.reply(535, "5.7.8 credentials refused"),
            Login::UnknownMechanism => self.wire.reply(504, "5.5.4 mechanism not offered"),
            Login::Malformed => self.wire.reply(501, "5.5.2 not Base64"),
            Login::Gone => return Ok(Next::End),
        }
        Ok(Next::Command)
    }

    async fn mail_from(&mut self, sender: String, size: usize) -> io::Result<Next> {
        let refusal = match () {
            () if !self.is_greeted => Some((503, "5.5.1 EHLO first")),
            () if self.must_encrypt() => Some((530, "5.7.0 STARTTLS first")),
            () if self.server.credentials.is_some() && !self.is_authenticated => Some((530, "5.7.0 AUTH first")),
            () if self.envelope.is_some() => Some((503, "5.5.1 one mail at a time")),
            () if size > MAX_MAIL_BYTES => Some((552, "5.3.4 too large")),
            () => None,
        };
        if let Some((code, text)) = refusal {
            self.wire.reply(code, text);
            return Ok(Next::Command);
        }
        if let Some(next) = self.interfere(Phase::MailFrom, &[]).await? {
            return Ok(next);
        }
        self.envelope = Some(Envelope { sender, recipients: Vec::new() });
        self.wire.reply(250, "2.1.0 sender ok");
        Ok(Next::Command)
    }

    async fn rcpt_to(&mut self, recipient: String) -> io::Result<Next> {
        if self.envelope.is_none() {
            self.wire.reply(503, "5.5.1 MAIL first");
            return Ok(Next::Command);
        }
        if let Some(next) = self.interfere(Phase::Rcpt, std::slice::from_ref(&recipient)).await? {
            return Ok(next);
        }
        match &mut self.envelope {
            Some(envelope) if envelope.recipients.len() < MAX_RECIPIENTS => {
                envelope.recipients.push(recipient);
                self.wire.reply(250, "2.1.5 recipient ok");
            }
            _ => self.wire.reply(452, "4.5.3 too many recipients"),
        }
        Ok(Next::Command)
    }

    /// Plays the rules of a point; `None` when they let the command through.
    pub(crate) async fn interfere(&mut self, at: Phase, recipients: &[String]) -> io::Result<Option<Next>> {
        Ok(match play(&self.server, &mut self.wire, at, recipients).await? {
            Verdict::Proceed => None,
            Verdict::Refused => Some(Next::Command),
            Verdict::Over => Some(Next::End),
        })
    }

    fn must_encrypt(&self) -> bool {
        matches!(self.server.security, Security::StartTls(_)) && !self.wire.is_encrypted()
    }
}
