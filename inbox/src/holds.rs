//! Holds: points where sessions wait until a test lets them go on.
//!
//! Takes: a name, from a rule. Gives: the session a wait, the test a way to see that one waits and to release it.
//! Does not: time out; a held session ends when it is released, its client goes or the inbox stops.

use std::collections::BTreeMap;
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, Default)]
struct Hold {
    waiting: usize,
    open: bool,
    releases: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Holds(watch::Sender<BTreeMap<String, Hold>>);

impl Holds {
    /// Waits until the hold is released; returns at once when it was released before.
    pub(crate) async fn pass(&self, name: &str) {
        let mut changes = self.0.subscribe();
        let before = self.0.borrow().get(name).copied().unwrap_or_default();
        if before.open {
            return;
        }
        let _counted = Waiting::enter(self, name);
        // Counted, not seen: a hold may be closed again before we look. Fails only when the sender, which we borrow, is
        // gone.
        let _ = changes.wait_for(|holds| holds.get(name).is_some_and(|hold| hold.releases > before.releases)).await;
    }

    /// Waits until at least `sessions` wait at the hold.
    pub(crate) async fn reached(&self, name: &str, sessions: usize) {
        let mut changes = self.0.subscribe();
        let _ = changes.wait_for(|holds| holds.get(name).is_some_and(|hold| hold.waiting >= sessions)).await;
    }

    /// Lets everybody pass, now and later.
    pub(crate) fn release(&self, name: &str) {
        self.0.send_modify(|holds| {
            let hold = holds.entry(name.to_owned()).or_default();
            (hold.open, hold.releases) = (true, hold.releases + 1);
        });
    }

    /// Closes all holds again that were released; those who have passed have passed.
    pub(crate) fn reset(&self) {
        self.0.send_modify(|holds| holds.values_mut().for_each(|hold| hold.open = false));
    }

    /// How many sessions wait, by name.
    pub(crate) fn waiting(&self) -> BTreeMap<String, usize> {
        self.0.borrow().iter().map(|(name, hold)| (name.clone(), hold.waiting)).collect()
    }
}

/// Counts one session as waiting for as long as it lives: also when the wait is dropped because the client went.
struct Waiting<'a> {
    holds: &'a Holds,
    name: &'a str,
}

impl<'a> Waiting<'a> {
    fn enter(holds: &'a Holds, name: &'a str) -> Self {
        holds.0.send_modify(|holds| holds.entry(name.to_owned()).or_default().waiting += 1);
        Self { holds, name }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.holds.0.send_modify(|holds| holds.entry(self.name.to_owned()).or_default().waiting -= 1);
    }
}
