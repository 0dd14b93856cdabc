//! A mail as the page and tests see it.
//!
//! Takes: the bytes after DATA and the envelope. Gives: a [`Message`] with decoded subject and bodies (RFC 2045, RFC
//! 2047). Does not: refuse a malformed mail; what cannot be decoded is empty.

use jiff::Timestamp;
use mail_parser::{MessageParser, PartType};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One mail that was accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// 1 for the first mail of this inbox, then counting up; never used twice.
    pub id: u64,
    /// Address in the `From` header, else the envelope's sender.
    pub from: String,
    /// Recipients of the envelope, in their order.
    pub to: Vec<String>,
    /// Decoded subject; empty when there is none.
    pub subject: String,
    /// Without the angle brackets; empty when there is none.
    pub message_id: String,
    /// The plain text part, decoded; `None` when there is none.
    pub text: Option<String>,
    /// The HTML part, decoded; `None` when there is none.
    pub html: Option<String>,
    /// When the final dot arrived.
    pub received_at: Timestamp,
    /// The mail as it was sent, dots unstuffed, line ends CRLF.
    #[serde(skip)]
    pub raw: Vec<u8>,
}

impl Message {
    pub(crate) fn parse(id: u64, sender: &str, to: Vec<String>, raw: Vec<u8>, received_at: Timestamp) -> Self {
        // `None` for a mail without any header.
        let parsed = MessageParser::default().parse(&raw);
        let parsed = parsed.as_ref();
        let from = parsed.and_then(|mail| mail.from()?.first()?.address());
        let part = |wanted: fn(&PartType) -> Option<String>| {
            parsed.and_then(|mail| mail.parts.iter().find_map(|part| wanted(&part.body)))
        };
        Self {
            id,
            from: from.unwrap_or(sender).to_owned(),
            to,
            subject: parsed.and_then(|mail| mail.subject()).unwrap_or_default().to_owned(),
            message_id: parsed.and_then(|mail| mail.message_id()).unwrap_or_default().to_owned(),
            text: part(|body| if let PartType::Text(text) = body { Some(text.to_string()) } else { None }),
            html: part(|body| if let PartType::Html(html) = body { Some(html.to_string()) } else { None }),
            received_at,
            raw,
        }
    }

    /// 16 hexadecimal digits that are equal for mails whose subject, text and HTML are equal; says nothing about them.
    pub fn fingerprint(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.subject, &self.text, &self.html).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// The value of a header, unfolded and undecoded; `None` when it is missing. The name's case does not matter.
    pub fn header(&self, name: &str) -> Option<String> {
        let parsed = MessageParser::default().parse_headers(&self.raw)?;
        parsed.header_raw(name).map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Bytes this message takes, about: the raw mail and the decoded copies.
    pub(crate) fn size(&self) -> usize {
        let decoded = self.text.as_ref().map_or(0, String::len) + self.html.as_ref().map_or(0, String::len);
        self.raw.len() + decoded + self.to.iter().map(String::len).sum::<usize>() + 500
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Message {
        let raw = raw.replace('\n', "\r\n").into_bytes();
        Message::parse(1, "bounce@example.com", vec!["a@example.com".into()], raw, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn encoded_words_and_both_parts_are_decoded() {
        let message = parse(
            "From: =?utf-8?q?J=C3=BCrgen?= <no-reply@example.com>\n\
             Subject: =?utf-8?b?R3LDvMOfZQ==?=\nMessage-ID: <7@example.com>\n\
             MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"x\"\n\n\
             --x\nContent-Type: text/plain; charset=utf-8\n\
             Content-Transfer-Encoding: quoted-printable\n\nhttps://example.com/?a=3D1&b=3D=\n2\n--x\n\
             Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPGI+w7w8L2I+\n--x--\n",
        );
        assert_eq!((message.subject.as_str(), message.message_id.as_str()), ("Grüße", "7@example.com"));
        assert_eq!(message.from, "no-reply@example.com");
        assert_eq!(message.text.as_deref().map(str::trim_end), Some("https://example.com/?a=1&b=2"));
        assert_eq!(message.html.as_deref(), Some("<b>ü</b>"));
    }

    #[test]
    fn a_plain_mail_has_no_html_and_an_html_mail_no_text() {
        assert!(parse("Subject: x\n\nhello\n").html.is_none());
        assert!(parse("Subject: x\nContent-Type: text/html\n\n<p>hello\n").text.is_none());
    }

    #[test]
    fn rubbish_is_kept_as_it_is() {
        for raw in ["", "\u{0}\u{1}", ":", "\n", "--\n:\n\n"] {
            let message = parse(raw);
            assert_eq!(message.from, "bounce@example.com");
            assert_eq!(message.raw, raw.replace('\n', "\r\n").into_bytes());
        }
    }

    #[test]
    fn a_header_is_unfolded() {
        assert_eq!(parse("X-A: one\n two\n\nbody").header("x-a").as_deref(), Some("one two"));
    }

    #[test]
    fn the_fingerprint_ignores_the_date_and_sees_the_text() {
        let mail = |date, text| parse(&format!("Date: {date}\nSubject: s\n\n{text}\n")).fingerprint();
        assert_eq!(mail("Mon", "x"), mail("Tue", "x"));
        assert_ne!(mail("Mon", "x"), mail("Mon", "y"));
    }
}
