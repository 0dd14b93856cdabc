//! One command line of SMTP.
//!
//! Takes: a line without its end. Gives: a [`Command`]. Does not: keep state; order and permission are `session`'s
//! matter.

/// A command of RFC 5321, with STARTTLS (RFC 3207) and AUTH (RFC 4954).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Ehlo,
    Helo,
    StartTls,
    Auth {
        mechanism: String,
        initial: Option<String>,
    },
    /// `size`: the SIZE parameter, bytes.
    MailFrom {
        sender: String,
        size: usize,
    },
    RcptTo(String),
    Data,
    Rset,
    Noop,
    Vrfy,
    Quit,
    /// A known command with arguments that cannot be read.
    Malformed,
    Unknown,
}

impl Command {
    pub(crate) fn parse(line: &str) -> Self {
        let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let arguments = arguments.trim();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" if !arguments.is_empty() => Self::Ehlo,
            "HELO" if !arguments.is_empty() => Self::Helo,
            "EHLO" | "HELO" => Self::Malformed,
            "STARTTLS" => Self::StartTls,
            "AUTH" => auth(arguments),
            "MAIL" => path(arguments, "FROM:").map_or(Self::Malformed, |(sender, parameters)| Self::MailFrom {
                sender: sender.to_owned(),
                size: parameter(parameters, "SIZE").and_then(|size| size.parse().ok()).unwrap_or(0),
            }),
            "RCPT" => match path(arguments, "TO:") {
                Some((recipient, _)) if !recipient.is_empty() => Self::RcptTo(recipient.to_owned()),
                _ => Self::Malformed,
            },
            "DATA" => Self::Data,
            "RSET" => Self::Rset,
            "NOOP" => Self::Noop,
            "VRFY" => Self::Vrfy,
            "QUIT" => Self::Quit,
            _ => Self::Unknown,
        }
    }
}

fn auth(arguments: &str) -> Command {
    let mut words = arguments.split_ascii_whitespace();
    match words.next() {
        Some(mechanism) => {
            Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial: words.next().map(str::to_owned) }
        }
        None => Command::Malformed,
    }
}

/// `FROM:<a@b> SIZE=1` to `a@b` and ` SIZE=1`. A quoted local part may hold `>`.
fn path<'a>(arguments: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let start = arguments.get(..keyword.len()).filter(|start| start.eq_ignore_ascii_case(keyword))?;
    let rest = arguments[start.len()..].trim_start().strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    let end = rest.find(|character| {
        let closes = character == '>' && !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        closes
    })?;
    Some((&rest[..end], &rest[end + 1..]))
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let named = |word: &'a str| word.split_once('=').filter(|(key, _)| key.eq_ignore_ascii_case(name));
    parameters.split_ascii_whitespace().find_map(named).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_they_mean() {
        let from = |sender: &str, size| Command::MailFrom { sender: sender.into(), size };
        for (line, command) in [
            ("ehlo client.example.com", Command::Ehlo),
            ("EHLO", Command::Malformed),
            ("MAIL FROM:<a@b.com> BODY=8BITMIME SIZE=77", from("a@b.com", 77)),
            ("mail from:<>", from("", 0)),
            ("MAIL FROM:a@b.com", Command::Malformed),
            ("MAIL FROM:<a@b.com", Command::Malformed),
            ("RCPT TO:<\"a>\\\"b\"@c.com> X", Command::RcptTo("\"a>\\\"b\"@c.com".into())),
            ("RCPT TO:<>", Command::Malformed),
            ("RCPT", Command::Malformed),
            ("AUTH plain AGEAYg==", Command::Auth { mechanism: "PLAIN".into(), initial: Some("AGEAYg==".into()) }),
            ("AUTH", Command::Malformed),
            ("NOOP whatever", Command::Noop),
            ("", Command::Unknown),
            ("ÄÖÜ", Command::Unknown),
            ("MAIL äöü", Command::Malformed),
        ] {
            assert_eq!(Command::parse(line), command, "{line}");
        }
    }
}
