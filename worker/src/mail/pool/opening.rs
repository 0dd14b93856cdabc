//! Connections that are opened, and what their refusals teach.
//!
//! Takes: a permit for one connection. Gives: the connection, or the one that another mail gives back sooner; to the
//! capacity, what became of it. Does not: decide whether one may be opened.

use super::{
    super::{
        class::Class,
        connection::Connection,
        reached::Reached,
        reply::{Cause, Failure, Phase},
    },
    Lent, NoConnection, Permit, Pool,
    line::Turn,
};
use pipeline::document::Smtp;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// How long a server that serves other connections of ours may let a new one wait for its greeting. Some greet late
/// on purpose, against spam, but after 5 or 6 s.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a mail was accepted a limit is no reason to take the server for unusable: it may not have noticed
/// yet that the connection before ended.
const GETS_THROUGH: Duration = Duration::from_secs(10);
/// How long a server that speaks of a limit may serve others alone before that is a reason.
const OTHERS_TURN: Duration = Duration::from_secs(60);

impl Pool {
    /// Opens a connection, unless it is the mail's turn for another first; then the one that is being opened is for
    /// another mail. `None`: the server takes no more now.
    pub(super) async fn open(
        &self,
        turn: &mut Turn<'_>,
        reached: &Reached,
        permit: Permit,
    ) -> Option<Result<Lent, NoConnection>> {
        let settings = turn.settings;
        let step = Arc::new(Reached::default());
        reached.follow(Arc::clone(&step));
        let mut opening = Box::pin(Connection::open(settings.clone(), Arc::clone(&step)));
        loop {
            tokio::select! {
                opened = &mut opening => return self.conclude(opened, permit),
                lent = turn.come() => {
                    tokio::spawn(self.clone().open_for_others(opening, settings.clone(), permit));
                    return Some(Ok(lent));
                }
                () = sleep(GREETING_TIMEOUT) => {
                    let silent = Failure::new(step.step().unwrap_or(Phase::Connect), Cause::TimedOut);
                    if self.is_about_the_number(&silent) {
                        self.refused(permit, &silent);
                        return None;
                    }
                }
            }
        }
    }

    async fn open_for_others(
        self,
        opening: impl Future<Output = Result<Connection, Failure>>,
        settings: Smtp,
        permit: Permit,
    ) {
        if let Some(Ok(lent)) = self.conclude(opening.await, permit) {
            self.give_back(lent, &settings);
        }
    }

    fn conclude(&self, opened: Result<Connection, Failure>, mut permit: Permit) -> Option<Result<Lent, NoConnection>> {
        match opened {
            Ok(connection) => {
                let mut state = self.lock();
                state.open += 1;
                permit.is_open = true;
                let open = state.open;
                state.capacity.opened(open, Instant::now());
                drop(state);
                Some(Ok(Lent { connection, has_idled: false, permit }))
            }
            Err(failure) => {
                let is_learnt = self.is_about_the_number(&failure) && self.refused(permit, &failure);
                if is_learnt { None } else { Some(Err(NoConnection::Failed(failure))) }
            }
        }
    }

    /// True: the failure may say how many connections the server takes. One that says nothing does so only while it
    /// serves others of ours.
    pub(super) fn is_about_the_number(&self, failure: &Failure) -> bool {
        match &failure.cause {
            Cause::Reply(reply) => reply.code < 500 && failure.class() == Class::Limited,
            Cause::Lost | Cause::TimedOut => {
                matches!(failure.phase, Phase::Connect | Phase::Tls | Phase::Greeting) && self.is_open()
            }
            Cause::Unusable(_) => false,
        }
    }

    /// Learns that the server refused this connection. False: that says nothing about a number, for it takes none at
    /// all.
    pub(super) fn refused(&self, permit: Permit, failure: &Failure) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let others = state.permits - 1;
        let gets_through = others > 0 || state.accepted_at.is_some_and(|at| now - at < GETS_THROUGH);
        let is_others_turn = || state.capacity.refused_since().is_none_or(|since| now - since < OTHERS_TURN);
        let is_learnt = gets_through || failure.speaks_of_a_limit() && is_others_turn();
        if is_learnt {
            state.capacity.refused(others, now);
        } else {
            state.capacity.takes_nothing(now);
        }
        drop(state);
        // The end of a permit takes the lock.
        drop(permit);
        is_learnt
    }
}
