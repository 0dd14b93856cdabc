//! What a mail server has against us, for the one who has to mend it.
//!
//! Takes: a reply whose class is `misconfigured` or `limited`. Gives: a word for the operator, which knows the setting
//! behind it. Does not: decide what becomes of the mail ([`class`](super::class) does).

use super::evidence::{About, Said, about};
use crate::mail::reply::Reply;

/// Word, codes and phrases, as in the table of [`evidence`](super::evidence); the first row that fits decides. So the
/// name given at HELO comes before the host behind it, and a sender that is not verified before other senders.
#[rustfmt::skip]
const FAULTS: [(&str, &str, &str); 8] = [
    ("helo", "", "helo, ehlo"),
    ("records", "*.7.20 *.7.21 *.7.22 *.7.23 *.7.24 *.7.26", "dkim, dmarc, spf"),
    ("unverified", "", "not verified, unverified"),
    ("relay", "*.7.54", "relay, rcpthosts"),
    ("host", "*.7.25",
        "blacklist, block list, blocklist, client host, ip address, listed, ptr, reputation, reverse, your ip"),
    ("sender", "*.1.7 *.1.8 *.7.27", "from address, return path, send as, sendasdenied, sender"),
    ("credentials", "53* *.7.8 *.7.9 *.7.57", "authent, authori, credential, logged in, password, your account"),
    ("message", "*.2.3 *.3.4 *.6.*",
        "content, dt:sp, email size, header, message rejected, message size, size limit, spam, too big, too large, \
         too long, unsolicited, virus"),
];

/// The word; `None` where the reply tells nothing more than its class.
pub(in crate::mail) fn fault(reply: &Reply) -> Option<&'static str> {
    if about(reply) == About::Limit {
        return Some("limit");
    }
    let said = Said::of(reply);
    let fits = |(_, codes, phrases): &&(&str, &str, &str)| said.has_code(codes) || said.has_phrase(phrases);
    FAULTS.iter().find(fits).map(|(word, ..)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{offers::Offers, sign_in};

    #[test]
    fn a_server_that_offers_no_mechanism_is_told_from_one_that_refuses_a_password() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("username", "app"), ("password", "x")] {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let fault = |text: &str| {
            let signed_in = sign_in::with_credentials(folder.path(), &Offers::read(text));
            signed_in.err().and_then(|failure| failure.fault())
        };
        assert_eq!(fault("mx\nAUTH CRAM-MD5 GSSAPI\nSTARTTLS"), Some("mechanism"));
        assert_eq!(fault("mx\nAUTH LOGIN"), None);
    }

    #[test]
    fn each_setting_that_can_be_wrong_has_its_word() {
        for (reply, expected) in [
            ("504 5.5.2 <worker-7d9f>: Helo command rejected: need fully-qualified hostname", Some("helo")),
            ("550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", Some("helo")),
            ("550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy", Some("records")),
            ("550 5.7.23 The message was rejected because of Sender Policy Framework violation", Some("records")),
            ("554 Message rejected: Email address is not verified.", Some("unverified")),
            ("550 relay not permitted", Some("relay")),
            ("554 5.7.1 <alice@example.org>: Relay access denied", Some("relay")),
            ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", Some("relay")),
            ("550 5.7.1 Client host rejected: cannot find your reverse hostname", Some("host")),
            ("554 5.7.1 Service unavailable; Client host blocked using a list", Some("host")),
            ("553 5.7.1 <no-reply@example.com>: Sender address rejected: not owned by user app", Some("sender")),
            ("550 5.1.8 <no-reply@example.com>: Sender address rejected: Domain not found", Some("sender")),
            ("530 5.7.0 Authentication required", Some("credentials")),
            ("535 5.7.8 Error: authentication failed", Some("credentials")),
            ("552 5.3.4 Message size exceeds fixed limit", Some("message")),
            ("554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiException", Some("sender")),
            ("554 DT:SPM an id of theirs", Some("message")),
            ("552 size limit exceeded", Some("message")),
            ("550 5.1.2 Relay not allowed.", Some("relay")),
            ("550 5.4.5 Daily user sending limit exceeded", Some("limit")),
            ("550 5.5.0 no", None),
        ] {
            let (code, text) = reply.split_once(' ').expect("a code and a text");
            assert_eq!(fault(&Reply::new(code.parse().expect("a code"), text)), expected, "{reply}");
        }
    }
}
