//! The mails kept.
//!
//! Takes: accepted mails. Gives: them in order of arrival, and a signal at each arrival. Does not: grow without bound.

use crate::message::Message;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::watch;

/// Most bytes kept; with the 2 to 4 KiB of a verification mail the limit on the number comes first.
const MAX_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Mailbox {
    kept: usize,
    inner: Mutex<Inner>,
    last_id: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    last_id: u64,
}

/// A mail before it has an id.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) raw: Vec<u8>,
    pub(crate) received_at: Timestamp,
}

impl Mailbox {
    pub(crate) fn new(kept: usize) -> Self {
        Self { kept, inner: Mutex::default(), last_id: watch::Sender::new(0) }
    }

    /// Parses a mail, has `record` write it down and keeps it; the oldest ones make room. Nobody sees it here before it
    /// is written down.
    ///
    /// # Errors
    ///
    /// That of `record`; the mail is not kept then.
    pub(crate) fn add<E>(
        &self,
        mail: Incoming,
        record: impl FnOnce(&Message) -> Result<(), E>,
    ) -> Result<Arc<Message>, E> {
        let mut inner = self.lock();
        let id = inner.last_id + 1;
        let message = Arc::new(Message::parse(id, &mail.sender, mail.recipients, mail.raw, mail.received_at));
        record(&message)?;
        inner.last_id = id;
        inner.bytes += message.size();
        inner.messages.push_back(Arc::clone(&message));
        while inner.messages.len() > self.kept || (inner.bytes > MAX_BYTES && inner.messages.len() > 1) {
            inner.bytes -= inner.messages.pop_front().map_or(0, |oldest| oldest.size());
        }
        self.last_id.send_replace(inner.last_id);
        Ok(message)
    }

    /// Mails with an id above `id`, in order of arrival.
    pub(crate) fn after(&self, id: u64) -> Vec<Arc<Message>> {
        let inner = self.lock();
        let start = inner.messages.partition_point(|message| message.id <= id);
        inner.messages.range(start..).cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        *inner = Inner { last_id: inner.last_id, ..Inner::default() };
    }

    /// Changes at each arrival, to the id of the newest mail.
    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.last_id.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(mailbox: &Mailbox, raw: Vec<u8>) -> u64 {
        let mail = Incoming { sender: String::new(), recipients: vec![], raw, received_at: Timestamp::UNIX_EPOCH };
        mailbox.add(mail, |_| Ok::<(), ()>(())).expect("recorded").id
    }

    fn ids(messages: &[Arc<Message>]) -> Vec<u64> {
        messages.iter().map(|message| message.id).collect()
    }

    #[test]
    fn the_oldest_go_first_and_ids_are_never_used_twice() {
        let mailbox = Mailbox::new(3);
        for id in 1..=5 {
            assert_eq!(add(&mailbox, b"Subject: x\r\n\r\n".to_vec()), id);
        }
        assert_eq!(ids(&mailbox.after(0)), [3, 4, 5]);
        assert_eq!(ids(&mailbox.after(4)), [5]);
        mailbox.clear();
        assert!(mailbox.after(0).is_empty());
        assert_eq!(add(&mailbox, vec![]), 6);
    }

    #[test]
    fn the_bytes_are_bounded_too() {
        let mailbox = Mailbox::new(1000);
        for _ in 0..20 {
            add(&mailbox, vec![b'x'; 8 << 20]);
        }
        let kept = ids(&mailbox.after(0));
        assert!(kept.len() < 9 && kept.last() == Some(&20), "{kept:?}");
    }

    #[test]
    fn a_mail_that_cannot_be_written_down_is_not_kept() {
        let mailbox = Mailbox::new(3);
        let mail =
            Incoming { sender: String::new(), recipients: vec![], raw: vec![], received_at: Timestamp::UNIX_EPOCH };
        assert!(mailbox.add(mail, |_| Err("disk full")).is_err());
        assert!(mailbox.after(0).is_empty());
    }
}
