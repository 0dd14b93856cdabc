//! The journal: which mails were accepted, when, and whether their sender was told.
//!
//! Takes: a file. Gives: one JSON line per mail accepted, handed to the operating system before the 250 is sent, and a
//! second one after the 250 was sent. Does not: write subjects or bodies (they hold secrets), only a fingerprint of
//! them.
//!
//! A test that kills a sender reads from it what a real mail server would have delivered.

use crate::message::Message;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use std::{fs::File, io::Write, path::Path};

#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Mutex<File>>);

/// One line: the mail was accepted, or its sender was told so.
#[derive(Debug, Serialize)]
struct Line<'a> {
    phase: &'static str,
    at_unix_ns: i128,
    received_at_unix_ns: i128,
    connection: u64,
    mail: u64,
    message_id: &'a str,
    to: &'a [String],
    fingerprint: &'a str,
}

impl Journal {
    pub(crate) fn open(path: Option<&Path>) -> std::io::Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path);
        Ok(Self(path.map(open).transpose()?.map(Mutex::new)))
    }

    /// The mail is kept; its sender does not know yet.
    pub(crate) fn accepted(&self, connection: u64, mail: &Message) -> std::io::Result<()> {
        self.write("accepted", connection, mail)
    }

    /// The 250 was handed to the operating system.
    pub(crate) fn answered(&self, connection: u64, mail: &Message) -> std::io::Result<()> {
        self.write("answered", connection, mail)
    }

    fn write(&self, phase: &'static str, connection: u64, mail: &Message) -> std::io::Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        let line = Line {
            phase,
            at_unix_ns: Timestamp::now().as_nanosecond(),
            received_at_unix_ns: mail.received_at.as_nanosecond(),
            connection,
            mail: mail.id,
            message_id: &mail.message_id,
            to: &mail.to,
            fingerprint: &mail.fingerprint(),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        // One write per line: a reader never sees half of one, and no buffer of ours can be lost with us.
        file.lock().write_all(&bytes)
    }
}
