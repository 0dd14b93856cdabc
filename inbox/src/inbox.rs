//! A running inbox.
//!
//! Takes: [`Settings`]. Gives: addresses, mails, and the levers of a test: rules, holds, stop and start again.
//! Does not: depend on the caller's runtime; it has a thread of its own, so a test that blocks does not stop its mail server.

use crate::{
    certificates::CertificateError,
    holds::Holds,
    journal::Journal,
    listener::{Security, Server},
    mailbox::Mailbox,
    message::Message,
    page,
    rules::{InvalidRule, Rule, Rules},
    settings::Settings,
};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{net::TcpSocket, runtime, task, time::timeout};
use tokio_util::sync::CancellationToken;

/// Waiting connections; more than any test opens at once.
const BACKLOG: u32 = 1024;

/// A mail server in this process. Dropped, it stops and closes everything.
#[derive(Debug)]
pub struct Inbox {
    server: Arc<Server>,
    smtp_addr: SocketAddr,
    http_addr: SocketAddr,
    ca_pem: Option<String>,
    smtp: Mutex<Smtp>,
    runtime: runtime::Handle,
    ended: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Smtp {
    Running(CancellationToken, task::JoinHandle<()>),
    /// Bound but not listening: clients are refused and nobody else can take the port.
    Stopped(TcpSocket),
    /// The port could not be kept at the last stop.
    Lost,
}

/// Why an inbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("failed to listen on {address} ({purpose})")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// `SMTP` or `HTTP`.
        purpose: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The journal cannot be opened.
    #[error("failed to open the journal {}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("failed to set up TLS")]
    Tls(#[from] CertificateError),
    /// No thread or event queue could be made.
    #[error("failed to start the thread of the inbox")]
    Thread(#[source] std::io::Error),
}

/// Something that did not happen before its deadline.
#[derive(Debug, thiserror::Error)]
#[error("{what} did not happen within {within:?}; {kept} mails are kept, {held:?} sessions are held")]
pub struct NotInTime {
    what: String,
    within: Duration,
    kept: usize,
    held: std::collections::BTreeMap<String, usize>,
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
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let (handle, ended) = (runtime.handle().clone(), CancellationToken::new());
        let (smtp, smtp_addr) = bind(settings.smtp, "SMTP")?;
        let (http, http_addr) = bind(settings.http, "HTTP")?;
        let smtp = serve_smtp(&handle, Arc::clone(&server), smtp).map_err(listen_error(smtp_addr, "SMTP"))?;
        let entered = handle.enter();
        let http = http.listen(BACKLOG).map_err(listen_error(http_addr, "HTTP"))?;
        drop(entered);
        handle.spawn(page::serve(http, Arc::clone(&server)));
        let end = ended.clone();
        let run = move || runtime.block_on(end.cancelled());
        let thread = std::thread::Builder::new().name("inbox".into()).spawn(run).map_err(StartError::Thread)?;
        let (smtp, thread) = (Mutex::new(smtp), Some(thread));
        Ok(Self { server, smtp_addr, http_addr, ca_pem, smtp, runtime: handle, ended, thread })
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

    /// Waits for the first mail that is `wanted`, those already here included; each is shown to `wanted` once, in order.
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

    /// Replaces all rules; an empty list ends the misbehaviour. Holds that were released hold again; sessions stopped at
    /// one wait on.
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

    /// Stops SMTP as a crash would: connections are cut, new ones refused. Mails, rules and the page stay. Blocks until done.
    pub fn stop(&self) {
        let mut smtp = self.lock();
        if let Smtp::Running(cancelled, listener) = std::mem::replace(&mut *smtp, Smtp::Lost) {
            cancelled.cancel();
            wait_for_end(&self.runtime, listener);
            *smtp = bind(self.smtp_addr, "SMTP").map_or(Smtp::Lost, |(socket, _)| Smtp::Stopped(socket));
        }
    }

    /// Speaks SMTP again on the same port after [`Self::stop`].
    ///
    /// # Errors
    ///
    /// [`StartError::Listen`] when the port was taken meanwhile.
    pub fn start_again(&self) -> Result<(), StartError> {
        let mut smtp = self.lock();
        let socket = match std::mem::replace(&mut *smtp, Smtp::Lost) {
            Smtp::Stopped(socket) => socket,
            Smtp::Lost => bind(self.smtp_addr, "SMTP")?.0,
            running @ Smtp::Running(..) => {
                *smtp = running;
                return Ok(());
            }
        };
        let running = serve_smtp(&self.runtime, Arc::clone(&self.server), socket);
        *smtp = running.map_err(listen_error(self.smtp_addr, "SMTP"))?;
        Ok(())
    }

    fn not_in_time(&self, what: &str, within: Duration) -> NotInTime {
        let (kept, held) = (self.messages().len(), self.server.holds.waiting());
        NotInTime { what: what.to_owned(), within, kept, held }
    }

    fn lock(&self) -> MutexGuard<'_, Smtp> {
        self.smtp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    pub(crate) fn set_rules(&self, rules: Vec<Rule>) -> Result<(), InvalidRule> {
        self.rules.set(rules)?;
        self.holds.reset();
        Ok(())
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // The runtime ends with its thread, and with it every socket.
        self.ended.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bind(address: SocketAddr, purpose: &'static str) -> Result<(TcpSocket, SocketAddr), StartError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let bound = socket.local_addr()?;
        Ok((socket, bound))
    };
    bound().map_err(listen_error(address, purpose))
}

fn serve_smtp(runtime: &runtime::Handle, server: Arc<Server>, socket: TcpSocket) -> std::io::Result<Smtp> {
    let _entered = runtime.enter();
    let (listener, cancelled) = (socket.listen(BACKLOG)?, CancellationToken::new());
    let task = runtime.spawn(server.serve(listener, cancelled.clone()));
    Ok(Smtp::Running(cancelled, task))
}

fn wait_for_end(runtime: &runtime::Handle, task: task::JoinHandle<()>) {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    runtime.spawn(async move {
        let _ = task.await;
        drop(done);
    });
    // Ends with an error, because nothing is ever sent: the dropped sender is the signal.
    let _ = wait.recv();
}

fn listen_error(address: SocketAddr, purpose: &'static str) -> impl FnOnce(std::io::Error) -> StartError {
    move |source| StartError::Listen { address, purpose, source }
}
