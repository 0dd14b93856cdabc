//! One SMTP connection, step by step, each step with its own time limit.
//!
//! Takes: where the server is, and messages. Gives: the reply to each, or a failure with its phase. Does not: retry,
//! keep connections for later (that is `pool`), or know what a lease is.
//!
//! Where PIPELINING is offered, MAIL, RCPT and DATA leave together (RFC 2920), which makes two round trips of a
//! mail's four. Each reply still belongs to its command: the first refusal is the failure.

use super::{
    addresses, commands,
    offers::Offers,
    reached::Reached,
    replies::Received,
    reply::{Cause, Failure, Phase, Reply},
    sign_in,
    stream::Stream,
    tls,
    wire::Wire,
};
use lettre::address::Envelope;
use pipeline::document::{Smtp, SmtpTls};
use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

/// Name lookup and TCP handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Greeting, EHLO, TLS, AUTH, MAIL, RCPT, DATA: each one.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// The message and its final dot; servers filter content before they answer.
const DOT_LIMIT: Duration = Duration::from_secs(120);
/// RSET and QUIT: what is known of a mail does not wait for courtesies.
const COURTESY_LIMIT: Duration = Duration::from_secs(2);

/// An open connection, greeted, encrypted and signed in as the settings demand.
pub(super) struct Connection {
    wire: Wire,
    offers: Offers,
    /// Commands sent whose replies are not read yet.
    unanswered: VecDeque<Phase>,
    is_usable: bool,
}

impl Connection {
    /// Connects; credentials and CA are read from their files now, so rotated ones are used.
    pub(super) async fn open(settings: Smtp, reached: Arc<Reached>) -> Result<Self, Failure> {
        let hello = settings.hello_name.clone().unwrap_or_else(machine);
        let tcp = within(CONNECT_LIMIT, reached.at(Phase::Connect), connect(&settings.host, settings.port)).await?;
        let mut wire = Wire::new(Stream::Clear(tcp));
        if settings.tls == SmtpTls::Implicit {
            wire = within(COMMAND_LIMIT, reached.at(Phase::Tls), encrypt(wire, &settings)).await?;
        }
        let mut connection = Self { wire, offers: Offers::default(), unanswered: VecDeque::new(), is_usable: false };
        connection.answer(reached.at(Phase::Greeting), 220..=220).await?;
        connection.hello(&hello).await?;
        if settings.tls == SmtpTls::StartTLS {
            connection = connection.start_tls(&settings, &hello, reached.at(Phase::Tls)).await?;
        }
        if let Some(folder) = &settings.auth_dir {
            connection.sign_in(folder, reached.at(Phase::Auth)).await?;
        }
        connection.is_usable = true;
        Ok(connection)
    }

    /// Names sender and recipient and asks to hand over: MAIL, RCPT, DATA. Nothing is handed over yet.
    ///
    /// # Cancel safety
    ///
    /// None: after a dropped call the connection is in an unknown state; [`Connection::is_usable`] says so.
    pub(super) async fn prepare(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        reached: &Reached,
    ) -> Result<(), Failure> {
        let commands = commands::before(envelope, message, &self.offers)?;
        self.is_usable = false;
        let at_once = if self.offers.pipelining { commands.len() } else { 1 };
        for group in commands.chunks(at_once) {
            let lines: String = group.iter().map(|command| command.line.as_str()).collect();
            reached.at(group[0].phase);
            self.wire.send(lines.as_bytes(), Instant::now() + COMMAND_LIMIT).await;
            self.unanswered.extend(group.iter().map(|command| command.phase));
            while let Some(phase) = self.unanswered.pop_front() {
                let expected = if phase == Phase::Data { 354..=354 } else { 200..=299 };
                self.answer(reached.at(phase), expected).await?;
            }
        }
        Ok(())
    }

    /// Hands over the message and waits for the answer.
    ///
    /// # Cancel safety
    ///
    /// None: a dropped call leaves open whether the server has the message.
    pub(super) async fn hand_over(&mut self, message: &[u8]) -> Result<Reply, Failure> {
        let (start, message) = (Instant::now(), commands::with_final_dot(message));
        self.wire.send(&message, start + DOT_LIMIT).await;
        let received = measured(Phase::Dot, start, self.wire.reply(start + DOT_LIMIT).await);
        let Received { code, text } = received.map_err(|cause| Failure::new(Phase::Dot, cause))?;
        let reply = Reply::new(code, &text);
        // A refused message ends the transaction, so the connection is in order (RFC 5321 section 4.1.1.4).
        self.is_usable = !(300..400).contains(&code) && code != 421;
        if code < 300 { Ok(reply) } else { Err(Failure::new(Phase::Dot, Cause::Reply(reply))) }
    }

    /// Abandons a message that was not handed over, so that another may follow on this connection: the replies that are
    /// still to come are read, then RSET.
    ///
    /// When the server said 354 to DATA although it had refused the recipient, only closing the connection is sure to
    /// make no mail: a final dot would send an empty one to whoever was accepted.
    pub(super) async fn abandon(&mut self) {
        let deadline = Instant::now() + COURTESY_LIMIT;
        while let Some(phase) = self.unanswered.pop_front() {
            match self.wire.reply(deadline).await {
                Ok(received) if phase == Phase::Data && (300..400).contains(&received.code) => return,
                Ok(received) if received.code != 421 => {}
                Ok(_) | Err(_) => return,
            }
        }
        self.wire.send(b"RSET\r\n", deadline).await;
        self.is_usable = self.wire.reply(deadline).await.is_ok_and(|received| (200..300).contains(&received.code));
    }

    /// True: another message may follow on this connection.
    pub(super) fn is_usable(&self) -> bool {
        self.is_usable && self.wire.works()
    }

    /// True: the server has not hung up or said goodbye while nothing was asked of it.
    pub(super) fn is_silent(&mut self) -> bool {
        self.wire.is_silent()
    }

    /// Says goodbye; failures do not matter any more.
    pub(super) async fn quit(mut self) {
        let deadline = Instant::now() + COURTESY_LIMIT;
        self.wire.send(b"QUIT\r\n", deadline).await;
        let _ = self.wire.reply(deadline).await;
    }

    /// EHLO, or HELO for a server that does not know it (RFC 5321 section 3.2).
    async fn hello(&mut self, name: &str) -> Result<(), Failure> {
        self.say(&format!("EHLO {name}")).await;
        match self.answer(Phase::Greeting, 200..=299).await {
            Ok(received) => self.offers = Offers::read(&received.text),
            Err(failure) if failure.code().is_some_and(|code| code >= 500) => {
                self.say(&format!("HELO {name}")).await;
                self.answer(Phase::Greeting, 200..=299).await?;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// A server that does not offer STARTTLS gets neither credentials nor mail: somebody on the way may have taken it
    /// out.
    async fn start_tls(mut self, settings: &Smtp, hello: &str, phase: Phase) -> Result<Self, Failure> {
        if !self.offers.starttls {
            return Err(Failure::new(phase, Cause::Unusable("it does not offer STARTTLS".into())));
        }
        self.say("STARTTLS").await;
        self.answer(phase, 220..=220).await?;
        if !self.wire.is_empty() {
            // Anybody on the way can write into a clear connection, hoping that it is believed later (CVE-2011-0411).
            return Err(Failure::new(phase, Cause::Unusable("it said more than STARTTLS asks for".into())));
        }
        let wire = within(COMMAND_LIMIT, phase, encrypt(self.wire, settings)).await?;
        let mut encrypted = Self { wire, offers: Offers::default(), ..self };
        encrypted.hello(hello).await.map_err(|failure| Failure { phase, ..failure })?;
        Ok(encrypted)
    }

    async fn sign_in(&mut self, folder: &Path, phase: Phase) -> Result<(), Failure> {
        let mut sign_in = sign_in::with_credentials(folder, &self.offers)?;
        let mut line = sign_in.command;
        loop {
            self.say(&line).await;
            let received = self.answer(phase, 200..=399).await?;
            match sign_in.answers.pop_front() {
                _ if received.code < 300 => return Ok(()),
                Some(answer) => line = answer,
                None => return Err(Failure::new(phase, Cause::Reply(Reply::new(received.code, &received.text)))),
            }
        }
    }

    async fn say(&mut self, line: &str) {
        self.wire.send(format!("{line}\r\n").as_bytes(), Instant::now() + COMMAND_LIMIT).await;
    }

    /// The answer to a command, which must have one of these codes.
    async fn answer(&mut self, phase: Phase, expected: std::ops::RangeInclusive<u16>) -> Result<Received, Failure> {
        let start = Instant::now();
        let answer = measured(phase, start, self.wire.reply(start + COMMAND_LIMIT).await);
        let received = answer.map_err(|cause| Failure::new(phase, cause))?;
        if !expected.contains(&received.code) {
            return Err(Failure::new(phase, Cause::Reply(Reply::new(received.code, &received.text))));
        }
        // A consent without an end is none yet: nothing can be asked after it.
        if self.wire.works() { Ok(received) } else { Err(Failure::new(phase, Cause::Lost)) }
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let lost = |_| Failure::new(Phase::Connect, Cause::Lost);
    let stream = addresses::connect(host, port).await.map_err(lost)?;
    // Without it the last part of a message waits for the server's acknowledgement of the one before.
    stream.set_nodelay(true).map_err(lost)?;
    Ok(stream)
}

async fn encrypt(wire: Wire, settings: &Smtp) -> Result<Wire, Failure> {
    let trust = tls::client(&settings.host, settings.ca_file.as_deref());
    let (config, name) = trust.map_err(|error| Failure::new(Phase::Tls, Cause::Unusable(error.to_string())))?;
    let encrypted = wire.encrypt(config, name).await;
    encrypted.map_err(|error| {
        let cause = tls::distrust(&error).map_or(Cause::Lost, Cause::Unusable);
        Failure::new(Phase::Tls, cause)
    })
}

/// The name of this machine, for EHLO when no other is given.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

async fn within<T>(
    limit: Duration,
    phase: Phase,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let result = measured(phase, start, timeout(limit, work).await);
    result.unwrap_or_else(|_| Err(Failure::new(phase, Cause::TimedOut)))
}

fn measured<T>(phase: Phase, start: Instant, result: T) -> T {
    metrics::histogram!("signup_smtp_phase_duration_seconds", "phase" => phase.label())
        .record(start.elapsed().as_secs_f64());
    result
}
