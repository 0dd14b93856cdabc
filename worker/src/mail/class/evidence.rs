//! What a refusal speaks of: us, a limit, or the mailbox.
//!
//! Takes: a reply. Gives: [`About`], by the first row of [`EVIDENCE`] that has its code or a phrase of its text. Does
//! not: know the step of the dialogue; what follows from it is the business of [`class`](super::class).
//!
//! Codes are those of RFC 3463 and its registry at IANA, and what large providers made of them; the phrases are what
//! servers really write (`worker/tests/replies/servers.tsv` has them with their sources). A phrase is looked for at the
//! beginning of a word, in lower case, and never in an address, a host name or a link: those are chosen by others.

use crate::mail::reply::{Reply, is_enhanced};

/// What a reply speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::mail) enum About {
    /// How much the server takes from us: connections, mails per time, the quota of our account.
    Limit,
    /// A mailbox that exists and cannot take a mail now: full, or flooded.
    FullMailbox,
    /// The addressee, by a code that says so.
    Mailbox,
    /// The addressee, in words alone.
    MailboxInWords,
    /// HELO name, sender, relaying, client host, authentication, account; our domain's records; the text.
    Us,
    /// Nobody in particular.
    Nobody,
}

/// A row: what the reply is about; the codes that tell, with blanks between; the phrases that tell, with commas
/// between. `*` in a code is any number; a code without dots is the reply code itself, and its `*` any digit.
pub(super) type Row = (About, &'static str, &'static str);

/// The first row that fits decides. So the limit of one recipient is not taken for ours, nor a quota of ours for a full
/// mailbox, and a code is believed before words are; but a code about the mailbox is not believed against words about a
/// full one, about relaying or about the sender: Stalwart refuses to relay with 5.1.2, and those who write a server of
/// their own do so with 5.1.1.
#[rustfmt::skip]
pub(super) const EVIDENCE: [Row; 8] = [
    (About::FullMailbox, "*.2.121 *.2.122",
        "receiving email, receiving mail, recipient has exceeded, user has too many"),
    (About::Limit, "*.1.90 4.3.2 *.4.5 *.5.3 *.7.28",
        "account reached, concurrent, daily limit, email limit, failure sending mail, frequency limit, mail limit, \
         mails per, message count, messages / hour, messages per, messages sent per, messaging limit, \
         outgoing messages, per hour, permitted limits, rate limit, ratelimit, relay limit, relay quota, send limit, \
         sending activity, sending limit, storedrv.submission.exception:quota, submission quota, submissionquota, \
         throttl, too frequent, too many connections, too many emails, too many messages, too many new tls, \
         too many recipients, too much mail, unusual rate"),
    (About::FullMailbox, "*.2.2",
        "mailbox full, mailbox is full, mailbox size, overquota, over quota, quota exceeded, quota violation"),
    (About::Us, "521", "relay denied, relay not, relaying, unauthorized sender"),
    (About::Mailbox, "556 5.1.1 5.1.2 5.1.3 5.1.4 5.1.6 5.1.10 5.2.1 5.2.4", ""),
    (About::Us, "53* *.1.7 *.1.8 *.1.20 *.2.3 *.3.4 *.5.1 *.5.2 *.5.4 *.6.* *.7.*",
        "access denied, authent, authori, black, block, content, dkim, dmarc, dns, dt:sp, ehlo, email size, header, \
         helo, ip address, message rejected, message size, not allowed to, not permitted, not verified, polic, \
         prohibit, ptr, rcpthosts, relay, reputation, sendasdenied, sender, size limit, spam, spf, tls, too big, \
         too large, too long, unauth, unsolicited, virus, your account, your ip"),
    (About::MailboxInWords, "",
        "address does not exist, address unknown, invalid address, invalid mailbox, invalid rcpt, \
         invalid recipient, mailbox disabled, mailbox does not exist, mailbox is disabled, mailbox is inactive, \
         mailbox name, mailbox not found, mailbox unavailable, no mailbox, no such address, no such mailbox, \
         no such person, no such recipient, no such user, not a valid mailbox, recipient does not exist, \
         recipient not found, recipient unknown, unknown address, unknown mailbox, unknown recipient, unknown user, \
         unrouteable, user does not exist, user not found, user not known, user not local, user unknown"),
    (About::Nobody, "", ""),
];

/// What the reply speaks of.
pub(in crate::mail) fn about(reply: &Reply) -> About {
    about_by(&EVIDENCE, reply)
}

pub(super) fn about_by(evidence: &[Row], reply: &Reply) -> About {
    let said = Said::of(reply);
    let fits = |(about, codes, phrases): &Row| {
        // A code that names something else is not overruled by words about the mailbox.
        let may_be_words = *about != About::MailboxInWords || said.enhanced.iter().all(|code| code.ends_with(".0"));
        // Lines may have codes of their own, and one about something else is no word about the mailbox.
        let may_be_code = *about != About::Mailbox || said.enhanced.len() < 2;
        may_be_code && said.has_code(codes) || may_be_words && said.has_phrase(phrases)
    };
    evidence.iter().find(|row| fits(row)).map_or(About::Nobody, |(about, ..)| *about)
}

/// What tables of codes and phrases are compared with.
pub(super) struct Said<'a> {
    code: String,
    enhanced: Vec<&'a str>,
    words: Words,
}

impl<'a> Said<'a> {
    pub(super) fn of(reply: &'a Reply) -> Self {
        let mut enhanced: Vec<&str> = reply.codes().iter().map(String::as_str).collect();
        if enhanced.is_empty() {
            enhanced.extend(bracketed(reply.text()));
        }
        Self { code: reply.code.to_string(), enhanced, words: Words::of(reply.text()) }
    }

    /// `codes` as in a [`Row`].
    pub(super) fn has_code(&self, codes: &str) -> bool {
        let is_named = |pattern: &str| {
            is_code(pattern, &self.code) || self.enhanced.iter().any(|enhanced| is_code(pattern, enhanced))
        };
        codes.split_whitespace().any(is_named)
    }

    /// `phrases` as in a [`Row`].
    pub(super) fn has_phrase(&self, phrases: &str) -> bool {
        phrases.split(", ").any(|phrase| self.words.has(phrase))
    }
}

/// The enhanced code as qmail writes it, `(#5.1.1)` after the text, and its patches: `(#5.1.1 - chkuser)`.
fn bracketed(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once("(#")?;
    rest.split([')', ' ']).next().filter(|code| is_enhanced(code))
}

/// `pattern` has a `*` for a number in `5.7.*` and for a digit in `53*`.
fn is_code(pattern: &str, code: &str) -> bool {
    match (pattern.split_once('.'), code.split_once('.')) {
        (None, None) => pattern.strip_suffix('*').map_or(pattern == code, |start| code.starts_with(start)),
        (Some(_), Some(_)) => {
            pattern.split('.').zip(code.split('.')).all(|(pattern, number)| pattern == "*" || pattern == number)
        }
        _ => false,
    }
}

/// The words of a reply that its server chose.
struct Words(String);

impl Words {
    fn of(text: &str) -> Self {
        let mut words = String::with_capacity(text.len() + 1);
        let mut is_in_brackets = false;
        for word in text.split_whitespace() {
            let opens = word.contains('<');
            let is_chosen_by_others = is_in_brackets || opens || word.contains('@') || is_name(word);
            is_in_brackets = (is_in_brackets || opens) && !word.contains('>');
            words.push(' ');
            words.push_str(if is_chosen_by_others { "-" } else { word });
        }
        Self(words.to_lowercase())
    }

    fn has(&self, phrase: &str) -> bool {
        let begins_a_word = |at: usize| !self.0[..at].ends_with(char::is_alphanumeric);
        !phrase.is_empty() && self.0.match_indices(phrase).any(|(at, _)| begins_a_word(at))
    }
}

/// A host name, an address of the Internet, or a link.
fn is_name(word: &str) -> bool {
    let inner = word.trim_matches(|letter: char| !letter.is_alphanumeric());
    let is_host = inner.contains('.') && inner.chars().all(|letter| letter.is_alphanumeric() || ".-".contains(letter));
    is_host || inner.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_in_brackets_after_the_text_is_qmails() {
        assert_eq!(about(&Reply::new(553, "sorry, not in my list (#5.7.1)")), About::Us);
        assert_eq!(about(&Reply::new(550, "sorry, nobody here by that name. (#5.1.1)")), About::Mailbox);
        assert_eq!(about(&Reply::new(511, "sorry, gone (#5.1.1 - chkuser)")), About::Mailbox);
        assert_eq!(about(&Reply::new(550, "sorry (#5.1)")), About::Nobody);
    }

    #[test]
    fn lines_with_codes_of_their_own_are_evidence_about_the_mailbox_only_where_they_agree() {
        for (text, expected) in [
            ("5.1.1 gone\n5.1.1 see there", About::Mailbox),
            ("gone\n5.1.1 see there", About::Mailbox),
            ("5.1.1 gone\n5.7.1 go away", About::Us),
            ("5.7.1 go away\n5.1.1 user unknown", About::Us),
            ("5.1.1 user unknown\n5.3.0 no", About::Nobody),
            ("5.1.1 gone\n5.2.2 no", About::FullMailbox),
        ] {
            assert_eq!(about(&Reply::new(550, text)), expected, "{text}");
        }
    }

    #[test]
    fn words_are_not_believed_where_a_code_says_something_else() {
        assert_eq!(about(&Reply::new(550, "5.7.1 no such user")), About::Us);
        assert_eq!(about(&Reply::new(550, "5.4.4 no such user")), About::Nobody);
        assert_eq!(about(&Reply::new(550, "4.1.1 no such user")), About::Nobody);
        assert_eq!(about(&Reply::new(550, "5.5.0 no such user")), About::MailboxInWords);
    }
}
