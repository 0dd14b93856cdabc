//! What is said to a mail server about one mail.
//!
//! Takes: an envelope, a message, and what the server offers. Gives: MAIL, RCPT and DATA with their steps, and the
//! message with its final dot. Does not: let a line break into a command, whatever an address holds.

use super::{
    offers::Offers,
    reply::{Cause, Failure, Phase},
};
use lettre::{Address, address::Envelope};

/// One command line, with its CRLF.
pub(super) struct Command {
    /// The step that its reply belongs to.
    pub(super) phase: Phase,
    pub(super) line: String,
}

/// The commands that come before a message, in their order.
///
/// # Errors
///
/// What the server cannot carry: an address outside ASCII, or a message of this size.
pub(super) fn before(envelope: &Envelope, message: &[u8], offers: &Offers) -> Result<Vec<Command>, Failure> {
    let from = envelope.from().map_or("", AsRef::as_ref);
    let parameters = parameters(envelope, message, offers)?;
    let mut commands = vec![command(Phase::Mail, &format!("MAIL FROM:<{from}>{parameters}"))?];
    for recipient in envelope.to() {
        commands.push(command(Phase::Rcpt, &format!("RCPT TO:<{recipient}>"))?);
    }
    commands.push(command(Phase::Data, "DATA")?);
    Ok(commands)
}

/// The message as it is sent: lines end in CRLF, a dot at the beginning of one is doubled, and a line with a dot
/// alone ends it (RFC 5321 section 4.5.2).
pub(super) fn with_final_dot(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + message.len() / 64 + 8);
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

fn command(phase: Phase, line: &str) -> Result<Command, Failure> {
    if line.contains(|c: char| c.is_control()) {
        return Err(unusable(phase, "an address holds a control character".into()));
    }
    Ok(Command { phase, line: format!("{line}\r\n") })
}

fn parameters(envelope: &Envelope, message: &[u8], offers: &Offers) -> Result<String, Failure> {
    let mut parameters = String::new();
    if offers.size {
        parameters.push_str(&format!(" SIZE={}", message.len()));
    }
    if let Some(max) = offers.max_size.filter(|max| message.len() > *max) {
        let problem =
            format!("the mail has {} bytes and the server takes {max}; make its templates smaller", message.len());
        return Err(unusable(Phase::Mail, problem));
    }
    if offers.eight_bit && !message.is_ascii() {
        parameters.push_str(" BODY=8BITMIME");
    }
    let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.from().into_iter().chain(envelope.to()).all(is_ascii) {
        if !offers.smtputf8 {
            // An address of ours that it cannot carry is a setting, and no reason to give up anybody's mail.
            let is_ours = envelope.from().is_some_and(|from| !is_ascii(from));
            let phase = if is_ours { Phase::Mail } else { Phase::Rcpt };
            return Err(unusable(phase, "it does not offer SMTPUTF8".into()));
        }
        parameters.push_str(" SMTPUTF8");
    }
    Ok(parameters)
}

fn unusable(phase: Phase, problem: String) -> Failure {
    Failure::new(phase, Cause::Unusable(problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Class;
    use proptest::prelude::*;

    fn lines(from: &str, to: &str, message: &[u8], offers: &Offers) -> Result<Vec<String>, Failure> {
        let address = |text: &str| {
            let (user, domain) = text.rsplit_once('@').expect("an address");
            Address::new_dangerous(user, domain)
        };
        let envelope = Envelope::new(Some(address(from)), vec![address(to)]).expect("one recipient");
        Ok(before(&envelope, message, offers)?.into_iter().map(|command| command.line).collect())
    }

    fn everything() -> Offers {
        Offers { size: true, max_size: Some(100), eight_bit: true, smtputf8: true, ..Offers::default() }
    }

    #[test]
    fn commands_hold_what_the_server_offers_and_the_mail_needs() {
        let plain = lines("a@b.com", "c@d.com", b"text", &Offers::default());
        assert_eq!(plain.expect("good"), ["MAIL FROM:<a@b.com>\r\n", "RCPT TO:<c@d.com>\r\n", "DATA\r\n"]);
        let sized = lines("a@b.com", "c@d.com", b"text", &everything()).expect("good");
        assert_eq!(sized[0], "MAIL FROM:<a@b.com> SIZE=4\r\n");
        let outside = lines("a@b.com", "\u{e4}@d.com", "t\u{e4}xt".as_bytes(), &everything()).expect("good");
        assert_eq!(outside[0], "MAIL FROM:<a@b.com> SIZE=5 BODY=8BITMIME SMTPUTF8\r\n");
    }

    #[test]
    fn a_message_that_is_too_large_for_the_server_is_ours_to_mend() {
        let failure = lines("a@b.com", "c@d.com", &[b'x'; 101], &everything()).expect_err("too large");
        assert_eq!(failure.class(), Class::Misconfigured);
        assert!(failure.to_string().contains("the mail has 101 bytes and the server takes 100"), "{failure}");
        assert!(lines("a@b.com", "c@d.com", &[b'x'; 100], &everything()).is_ok());
    }

    #[test]
    fn an_address_cannot_bring_a_command_with_it() {
        let evil = "\"c\r\nRCPT TO:<x@y.com>\r\n\"@d.com";
        for (from, to, phase) in [(evil, "c@d.com", Phase::Mail), ("a@b.com", evil, Phase::Rcpt)] {
            let failure = lines(from, to, b"text", &everything()).expect_err("refused");
            assert_eq!(failure.phase, phase);
        }
    }

    proptest! {
        #[test]
        fn every_command_is_one_line(from in "\\PC{0,9}[\r\n\0]?@\\PC{1,9}", to in "\\PC{0,9}[\r\n]?@\\PC{1,9}[\n]?") {
            if let Ok(lines) = lines(&from, &to, b"text", &everything()) {
                for line in lines {
                    let (text, end) = line.split_at(line.len() - 2);
                    prop_assert!(end == "\r\n" && !text.contains(['\r', '\n', '\0']), "{:?}", text);
                }
            }
        }

        #[test]
        fn only_the_end_of_a_message_looks_like_its_end(message in "([a-c.\r\n]|\r\n|\\.\r\n){0,40}") {
            let sent = with_final_dot(message.as_bytes());
            let body = sent.strip_suffix(b".\r\n").expect("the final dot");
            prop_assert!(body.is_empty() || body.ends_with(b"\r\n"));
            let body = String::from_utf8(body.to_vec()).expect("ASCII");
            prop_assert_eq!(body.matches('\n').count(), body.matches("\r\n").count());
            let lines = body.split_inclusive('\n').map(|line| line.strip_prefix('.').unwrap_or(line));
            let unstuffed: String = lines.collect();
            prop_assert!(body.split('\n').all(|line| line != ".\r" && line != "."));
            let ended = if message.is_empty() || message.ends_with('\n') { "" } else { "\r\n" };
            let canonical = message.split_inclusive('\n').map(|line| match line.strip_suffix('\n') {
                Some(text) => format!("{}\r\n", text.strip_suffix('\r').unwrap_or(text)),
                None => line.strip_suffix('\r').unwrap_or(line).to_owned(),
            });
            prop_assert_eq!(unstuffed, canonical.collect::<String>() + ended);
        }
    }
}
