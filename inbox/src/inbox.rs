//! A running inbox.
//!
//! Takes: [`Settings`]. Gives: addresses, mails, and the levers of a test: rules, holds, stop and start again. Does
//! not: depend on the caller's runtime; it has a thread of its own, so a test that blocks does not stop its mail
//! server.

use crate::{
    error::{NotInTime, StartError},
    holds::Holds,
    journal::Journal,
    mailbox::Mailbox,
    message::Message,
    page,
    rules::{InvalidRule, Rule, Rules},
    server::{Security, Server},
    settings::Settings,
    socket::{bind, listen},
    switch::Switch,
    thread::Thread,
};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::timeout;

/// A mail server in this process. Dropped, it stops and closes everything.
#[derive(Debug)]
pub struct Inbox {
    server: Arc<Server>,
    smtp_addr: SocketAddr,
    http_addr: SocketAddr,
    ca_pem: Option<String>,
    smtp: Switch,
    /// Last, so that all that runs on it is still there while the rest is dropped.
    _thread: Thread,
}

impl Inbox {
    /// Starts an inbox; it takes mail when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`], with the address or file that is in the way.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let journal = Journal::open(settings.log.as_deref())
            .map_err(|source| StartError::Journal { path: settings.log.clone().unwrap_or_default(), source })?;
        let server = Arc::new(Server {
            mailbox: Mailbox::new(settings.kept),
            journal,
            rules: Rules::default(),
            holds: Holds::default(),
            security: Security::new(&settings.tls)?,
            credentials: settings.credentials,
            connections: 0.into(),
        });
        let ca_pem = settings.tls.certificates().map(|certificates| certificates.ca_pem().to_owned());
        let thread = Thread::start().map_err(StartError::Thread)?;
        let handle = thread.runtime();
        let (smtp, smtp_addr) = bind(settings.smtp, "SMTP")?;
        let (http, http_addr) = bind(settings.http, "HTTP")?;
        let smtp = Switch::new(handle.clone(), Arc::clone(&server), smtp_addr, smtp)?;
        let http = {
            let _entered = handle.enter();
            listen(http, "HTTP")?
        };
        handle.spawn(page::serve(http, Arc::clone(&server)));
        Ok(Self { server, smtp_addr, http_addr, ca_pem, smtp, _thread: thread })
    }

    /// Where SMTP is spoken.
    pub fn smtp_addr(&self) -> SocketAddr {
        self.smtp_addr
    }

    /// Where the page is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The CA that signed the server certificate; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The mails kept, in order of arrival.
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.server.mailbox.after(0)
    }

    /// Forgets all mails; ids go on counting.
    pub fn clear(&self) {
        self.server.mailbox.clear();
    }

    /// SMTP connections taken since the start.
    pub fn connections(&self) -> u64 {
        self.server.connections.load(Ordering::Relaxed)
    }

    /// Waits for the first mail that is `wanted`, those already here included; each is shown to `wanted` once, in
    /// order.
    ///
    /// # Errors
    ///
    /// [`NotInTime`] after `deadline`.
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&Message) -> bool,
        deadline: Duration,
    ) -> Result<Arc<Message>, NotInTime> {
        let mut arrivals = self.server.mailbox.arrivals();
        let mut seen = 0;
        let search = async {
            loop {
                arrivals.mark_unchanged();
                for message in self.server.mailbox.after(seen) {
                    seen = message.id;
                    if wanted(&message) {
                        return message;
                    }
                }
                if arrivals.changed().await.is_err() {
                    // The mailbox, which we borrow, holds the sending side.
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(deadline, search).await.map_err(|_| self.not_in_time("the arrival of a mail", deadline))
    }

    /// Replaces all rules; an empty list ends the misbehaviour. Holds that were released hold again; sessions stopped
    /// at one wait on.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`]; the old rules stay.
    pub fn rules(&self, rules: impl IntoIterator<Item = Rule>) -> Result<(), InvalidRule> {
        self.server.set_rules(rules.into_iter().collect())
    }

    /// Waits until at least `sessions` wait at the hold `name` (see [`crate::Action::Hold`]).
    ///
    /// # Errors
    ///
    /// [`NotInTime`] after `deadline`.
    pub async fn wait_until_held(&self, name: &str, sessions: usize, deadline: Duration) -> Result<(), NotInTime> {
        let reached = timeout(deadline, self.server.holds.reached(name, sessions)).await;
        reached.map_err(|_| self.not_in_time(&format!("the hold `{name}`"), deadline))
    }

    /// Lets all sessions pass the hold `name`, now and until the rules are replaced.
    pub fn release(&self, name: &str) {
        self.server.holds.release(name);
    }

    /// Stops SMTP as a crash would: connections are cut, new ones refused. Mails, rules and the page stay. Blocks until
    /// done.
    pub fn stop(&self) {
        self.smtp.turn_off();
    }

    /// Speaks SMTP again on the same port after [`Self::stop`].
    ///
    /// # Errors
    ///
    /// [`StartError::Listen`] when the port was taken meanwhile.
    pub fn start_again(&self) -> Result<(), StartError> {
        self.smtp.turn_on()
    }

    fn not_in_time(&self, what: &str, within: Duration) -> NotInTime {
        let (kept, held) = (self.messages().len(), self.server.holds.waiting());
        NotInTime { what: what.to_owned(), within, kept, held }
    }
}
