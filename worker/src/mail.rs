//! One mail over SMTP.
//!
//! Takes: settings, an envelope, a message, and a clearance to ask right before the message is handed over. Gives:
//! [`Sent`]. Does not: render mails, know leases or databases, or try again (but for a connection that died while
//! idle, where nothing had been said about the mail yet).
//!
//! # Layout
//!
//! - `dialogue`: one mail, on whichever connection it gets; `reached`: how far it is
//! - `connection`: step by step; `addresses`: to the address that answers first
//! - `commands`, `sign_in`: what is said; `offers`: what the server can
//! - `wire`, `stream`, `replies`: over TCP or TLS, in bytes; `tls`: whom we trust
//! - [`reply`]: what the server said; [`class`]: what its end means
//! - `standing`: how we stand with the server; [`breaker`]: no tasks while it is down; `masked`: what may be shown
//! - `pace`: no more per second than allowed; `share`: of what all workers may do
//! - `pool`: connections kept and lent, no more than the server takes (`capacity`); `pools`: of which server

pub(crate) mod addresses;
pub mod breaker;
mod capacity;
pub mod class;
mod commands;
mod connection;
mod dialogue;
mod masked;
mod offers;
pub(crate) mod pace;
mod pool;
mod pools;
mod reached;
mod replies;
pub mod reply;
mod share;
mod sign_in;
mod standing;
mod stream;
mod tls;
mod wire;

use breaker::Breaker;
pub use class::Class;
use dialogue::Unprepared;
use lettre::address::Envelope;
use pipeline::document::Smtp;
use pools::Pools;
use reached::Reached;
use reply::{Cause, Reply};
pub use reply::{Failure, Phase};
use secrecy::ExposeSecret as _;
pub(crate) use share::Share;
pub use standing::Report;
use standing::Standing;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How one message ended.
#[derive(Debug)]
pub enum Sent {
    /// The server took responsibility: 250 to the final dot.
    Accepted(Reply),
    /// It did not, or nobody knows; see [`Failure::class`].
    Failed(Failure),
    /// Cancelled while the server was waited for at this step, before the message was handed over.
    Interrupted(Phase),
    /// Its clearance was refused, or it was cancelled before anything was asked of the server, which has no part in
    /// this.
    Withheld,
    /// The server takes no more connections than other mails use; it was asked nothing about this one.
    Crowded,
}

/// Asked right before the message is handed over: true lets it go.
pub type Clearance<'a> = &'a (dyn Fn() -> bool + Sync);

/// Sends mails; one per process.
pub struct Mailer {
    pools: Pools,
    standing: Standing,
    /// `None`: the workers were not counted yet.
    share: watch::Sender<Option<Share>>,
}

impl Mailer {
    /// Opens nothing yet.
    pub fn new(breaker: Breaker) -> Self {
        Self { pools: Pools::default(), standing: Standing::new(breaker), share: watch::Sender::new(None) }
    }

    /// Says whether the mail server is usable.
    pub fn breaker(&self) -> &Breaker {
        self.standing.breaker()
    }

    /// What the last dialogues found; `None` before the first one.
    pub fn report(&self) -> Option<Report> {
        let connections = self.pools.known();
        self.standing.report().map(|report| Report { connections, ..report })
    }

    /// Says whether the fleet takes permanent verdicts for the server's state.
    pub(crate) fn refuses_everybody(&self, everybody: bool) {
        self.standing.refuses_everybody(everybody);
    }

    /// Runs one dialogue. `cancelled` ends it as long as the message is not handed over; after that the answer is
    /// awaited.
    pub async fn send(
        &self,
        settings: &Smtp,
        envelope: &Envelope,
        message: &[u8],
        cancelled: &CancellationToken,
        clearance: Clearance<'_>,
    ) -> Sent {
        if cancelled.is_cancelled() {
            return Sent::Withheld;
        }
        let (reached, pool) = (Reached::default(), self.pools.of(settings));
        let prepared = tokio::select! {
            // What has arrived is looked at first, so that the step at which the server is silent is the right one.
            biased;
            prepared = dialogue::prepare(&pool, settings, envelope, message, &reached) => prepared,
            () = cancelled.cancelled() => return dialogue::interrupted(&pool, &reached),
        };
        let sent = match prepared {
            // After the 354 nothing but the message may be said: closing the connection discards it.
            Ok(_) if !clearance() => Sent::Withheld,
            Ok(lent) => dialogue::hand_over(&pool, settings, lent, message).await,
            Err(Unprepared::Crowded) => Sent::Crowded,
            // Here, where nothing interrupts it: what is known of the mail is not lost over a courtesy.
            Err(Unprepared::Refused(failure, lent)) => {
                dialogue::abandon(&pool, settings, lent, &failure).await;
                Sent::Failed(failure)
            }
            Err(Unprepared::Failed(failure)) => Sent::Failed(failure),
        };
        self.observe(&sent, settings, envelope, !pool.is_open());
        sent
    }

    /// True: for each connection to the server another mail waits. Nothing becomes slower when what comes before a
    /// dialogue, or after it, takes some milliseconds more.
    pub fn has_next_mails(&self) -> bool {
        self.pools.has_next_mails()
    }

    /// Bounds the connections of this process; `None`: no bound but the server's.
    pub fn set_max_connections(&self, max: Option<usize>) {
        self.pools.set_max(max);
    }

    /// Sets this worker's part of what all workers may do.
    pub(crate) fn set_share(&self, share: Option<Share>) {
        self.share.send_if_modified(|current| std::mem::replace(current, share) != share);
    }

    /// Follows this worker's part of what all workers may do; `None`: not known yet.
    pub(crate) fn share(&self) -> watch::Receiver<Option<Share>> {
        self.share.subscribe()
    }

    /// Follows how many connections the server takes at once, or may be given; `None`: no limit is known.
    pub fn connections_allowed(&self) -> watch::Receiver<Option<usize>> {
        self.pools.allowed()
    }

    /// Keeps the timers of pools and breaker going; runs until dropped.
    pub async fn run(&self) {
        tokio::join!(self.pools.run(), self.breaker().run());
    }

    /// Applies changed settings: idle connections are closed and an open breaker lets a probe go.
    pub async fn settings_changed(&self) {
        self.breaker().probe_now();
        self.pools.quit_all().await;
    }

    /// Closes idle connections politely.
    pub async fn shutdown(&self) {
        self.pools.quit_all().await;
    }

    /// The failure of a dialogue that was interrupted because its time was up: who says nothing is as good as not
    /// there.
    pub(crate) fn time_was_up(&self, step: Phase) -> Failure {
        let failure = Failure::new(step, Cause::TimedOut);
        self.standing.observe(&Sent::Failed(failure.clone()), "", false, ToString::to_string);
        failure
    }

    /// `is_alone`: the server serves no connection of ours now.
    fn observe(&self, sent: &Sent, settings: &Smtp, envelope: &Envelope, is_alone: bool) {
        let to = envelope.to().first();
        let domain = to.map(|to| to.domain().to_lowercase()).unwrap_or_default();
        self.standing.observe(sent, &domain, is_alone, |failure| {
            let user =
                settings.auth_dir.as_ref().and_then(|folder| pipeline::secret::read(&folder.join("username")).ok());
            let user = user.as_ref().map_or("", |user| user.expose_secret());
            let names = [user, to.map_or("", |to| to.user()), envelope.from().map_or("", |from| from.user())];
            failure.for_people(&names)
        });
    }
}
