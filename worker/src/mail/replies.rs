//! From bytes to replies.
//!
//! Takes: bytes as they come, cut anywhere. Gives: one [`Received`] after the other; of two that came together the
//! second one later. Does not: read them from anywhere, or know what they answer.
//!
//! smtp-proto finds where a reply ends, whatever its text is encoded in: a bare code, a line that ends in LF alone
//! and many lines are all fine (RFC 5321 section 4.2.1: be liberal). The first three digits decide. The text is for
//! people, so bytes that are not UTF-8 are replaced; it is kept by us, because smtp-proto takes enhanced codes out of
//! it and keeps them in numbers below 256, where Office 365 has a `5.7.606`.

use smtp_proto::{Error, response::parser::ResponseReceiver};

/// Most bytes of one reply, its codes and line ends included. smtp-proto ends one whose text is longer than 4 096,
/// but not one of empty lines.
const MAX_REPLY: usize = 16 << 10;

/// A reply as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    /// 200 to 599.
    pub(super) code: u16,
    /// Without the codes; lines end in LF.
    pub(super) text: String,
}

/// What the server says is no reply of SMTP, or has no end. Nothing after it can be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Garbled {
    /// The part that arrived, when its code did.
    pub(super) begun: Option<Received>,
}

/// Reads the replies of one connection.
#[derive(Default)]
pub(super) struct Replies {
    /// Arrived and not looked at: at most one read.
    ahead: Vec<u8>,
    /// The bytes of the reply that is arriving.
    current: Vec<u8>,
    receiver: ResponseReceiver,
}

impl Replies {
    /// Adds what arrived.
    pub(super) fn arrived(&mut self, bytes: &[u8]) {
        self.ahead.extend_from_slice(bytes);
    }

    /// True: everything that arrived was given out.
    pub(super) fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.current.is_empty()
    }

    /// The next reply; `None` until all of it is there.
    ///
    /// # Errors
    ///
    /// [`Garbled`]; nothing useful comes after it.
    pub(super) fn next(&mut self) -> Result<Option<Received>, Garbled> {
        let mut bytes = self.ahead.iter();
        let parsed = self.receiver.parse(&mut bytes);
        let consumed = self.ahead.len() - bytes.len();
        self.current.extend(self.ahead.drain(..consumed));
        match parsed {
            Ok(_) => {
                self.receiver.reset();
                let received = received(&std::mem::take(&mut self.current));
                received.map(Some).ok_or(Garbled { begun: None })
            }
            Err(Error::NeedsMoreData { .. }) if self.current.len() <= MAX_REPLY => Ok(None),
            Err(Error::NeedsMoreData { .. } | Error::ResponseTooLong) => Err(Garbled { begun: self.begun() }),
            Err(_) => Err(Garbled { begun: None }),
        }
    }

    /// The reply that has begun to arrive and whose end does not come: what it says is known as soon as its code is,
    /// because all its lines have the same one.
    pub(super) fn begun(&mut self) -> Option<Received> {
        let current = std::mem::take(&mut self.current);
        matches!(current.get(3), Some(b' ' | b'-')).then(|| received(&current)).flatten()
    }
}

/// `None`: the code is none of SMTP.
fn received(bytes: &[u8]) -> Option<Received> {
    let code = std::str::from_utf8(bytes.get(..3)?).ok()?.parse().ok().filter(|code| (200..600).contains(code))?;
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.get(4..).unwrap_or_default());
    let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
    Some(Received { code, text: lines.join("\n").replace('\r', "").trim_end_matches('\n').to_owned() })
}

#[cfg(test)]
mod tests;
