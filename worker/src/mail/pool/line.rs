//! The line of mails that wait for a connection that another mail gives back.
//!
//! Takes: mails, in their order. Gives: a connection to the first one whose settings it was opened with. Does not: let
//! a connection be lost with a mail that does not wait any more: it goes to the next.

use super::{Lent, Pool};
use pipeline::document::Smtp;
use std::collections::VecDeque;
use tokio::sync::oneshot::{self, Receiver, Sender};

/// Those who wait.
#[derive(Default)]
pub(super) struct Line {
    /// Some may have gone.
    places: VecDeque<(Smtp, Sender<Lent>)>,
    length: usize,
}

impl Line {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Gives a connection to the first mail that still waits for one like it, or back.
    pub(super) fn hand_on(&mut self, mut lent: Lent, settings: &Smtp) -> Option<Lent> {
        while let Some(place) = self.places.iter().position(|(wanted, _)| wanted == settings) {
            let (_, sender) = self.places.remove(place)?;
            match sender.send(lent) {
                Ok(()) => return None,
                Err(refused) => lent = refused,
            }
        }
        Some(lent)
    }

    pub(super) fn join(&mut self, settings: Smtp) -> Receiver<Lent> {
        let (sender, receiver) = oneshot::channel();
        self.places.push_back((settings, sender));
        self.length += 1;
        receiver
    }

    fn leave(&mut self) {
        self.length -= 1;
    }
}

/// A mail's place in the line.
pub(super) struct Turn<'a> {
    pub(super) receiver: Receiver<Lent>,
    pub(super) pool: &'a Pool,
    pub(super) settings: &'a Smtp,
}

impl Turn<'_> {
    /// Waits for a connection that another mail gives back.
    pub(super) async fn come(&mut self) -> Lent {
        match (&mut self.receiver).await {
            Ok(lent) => lent,
            // The sender went without a word, with a line that was given up as a whole.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pool.lock().line.leave();
        self.receiver.close();
        if let Ok(lent) = self.receiver.try_recv() {
            self.pool.give_back(lent, self.settings);
        }
    }
}
