//! The connection that a link has at the moment, and what it hears.
//!
//! Takes: what the server tells by itself, and where the sentinels say that the master is. Gives: the connection while
//! it stands. Does not: open one.

use super::{
    dial::Target,
    tracking::{Changes, Untracked},
};
use crate::uri::Host;
use parking_lot::RwLock;
use redis::{Client, PushInfo, PushKind, aio::MultiplexedConnection};
use std::sync::{Arc, Weak};

/// The connection that stands.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) live: RwLock<Option<Live>>,
    /// Of the last connection: its server, and what opens others to it.
    pub(super) opened: RwLock<Option<(Target, Client)>>,
    /// Hears what the server tells by itself, and of the connection's end.
    pub(super) changes: Option<Arc<Changes>>,
}

#[derive(Clone)]
pub(super) struct Live {
    pub(super) number: u64,
    pub(super) is_cluster: bool,
    /// Why changes are not heard of, where they were asked for.
    pub(super) untracked: Option<Untracked>,
    pub(super) connection: MultiplexedConnection,
}

impl Slot {
    pub(super) fn current(&self) -> Option<Live> {
        self.live.read().clone()
    }

    pub(super) fn forget(&self, number: u64) {
        let mut live = self.live.write();
        if live.as_ref().is_some_and(|live| live.number == number) {
            *live = None;
            self.tell_lost();
        }
    }

    /// Gives up a connection that leads elsewhere; the next use opens another.
    pub(super) fn leave_for(&self, master: &Host) {
        let leads_there = |(target, _): &(Target, Client)| matches!(target, Target::Tcp(host) if host == master);
        let mut live = self.live.write();
        if live.is_some() && !self.opened.read().as_ref().is_some_and(leads_there) {
            tracing::info!("the sentinels name another master, following it");
            *live = None;
            self.tell_lost();
        }
    }

    fn tell_lost(&self) {
        self.changes.iter().for_each(|changes| changes.lost());
    }
}

/// Forgets a connection as soon as it is lost, and not only at its next use; hands on what the server tells.
pub(super) fn on_push(slot: Weak<Slot>, number: u64) -> impl Fn(PushInfo) -> Result<(), redis::aio::SendError> {
    move |push| {
        let Some(slot) = slot.upgrade() else { return Ok(()) };
        match push.kind {
            PushKind::Disconnection => slot.forget(number),
            _ => slot.changes.iter().for_each(|changes| changes.hear(&push)),
        }
        Ok(())
    }
}
