//! Rules: what the server does wrong, at which point of the dialogue, and to whom.
//!
//! Takes: a list of [`Rule`]s, from a test or as JSON. Gives: for a point and the recipients known there, the actions
//! to take in order. Does not: act (`script` does).

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A point of the SMTP dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The connection is there; nothing was said, not even TLS.
    Connect,
    /// Before the 220.
    Greeting,
    /// EHLO or HELO arrived.
    Ehlo,
    /// STARTTLS arrived.
    StartTls,
    /// AUTH arrived.
    Auth,
    /// MAIL FROM arrived.
    MailFrom,
    /// RCPT TO arrived; the recipient is known.
    Rcpt,
    /// DATA arrived.
    Data,
    /// The final dot arrived; the mail is neither kept nor in the journal.
    Dot,
    /// The mail is kept and in the journal; its sender has not heard of it.
    Accepted,
    /// The 250 was sent and its line is in the journal.
    Answered,
}

/// Which recipients a rule is about. Before RCPT no recipient is known: only [`Recipient::Any`] matches there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// All.
    #[default]
    Any,
    /// This address; case does not matter.
    Exact(String),
    /// Addresses that start so; case does not matter.
    Prefix(String),
    /// About one recipient of this many, always the same ones (chosen by a hash of the lower-case address).
    Fraction(u32),
}

impl Recipient {
    /// Whether the rule is about `address`.
    pub fn matches(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        match self {
            Self::Any => true,
            Self::Exact(wanted) => address == wanted.to_lowercase(),
            Self::Prefix(start) => address.starts_with(&start.to_lowercase()),
            Self::Fraction(of) => fnv1a(address.as_bytes()).is_multiple_of(u64::from(*of)),
        }
    }
}

/// What the server does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Refuses with this reply; after 421 the connection is closed, as RFC 5321 section 3.8 has it.
    Reply {
        /// 400 to 599.
        code: u16,
        /// Text after the code, in one line.
        text: String,
    },
    /// Waits; then the rules after this one are looked at.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Never answers; the session stays until the client goes.
    Hang,
    /// Closes the connection without a word.
    Close,
    /// Waits until the hold of this name is released; then the rules after this one are looked at.
    Hold(String),
}

/// One rule. Rules are looked at in their order; the first that answers, hangs or closes ends the search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where.
    pub at: Phase,
    /// To whom.
    #[serde(default)]
    pub recipient: Recipient,
    /// What.
    pub action: Action,
    /// How often, then the rule is spent; `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// A rule that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// The code is not a refusal.
    #[error("action.reply.code: `{0}` must be 400 to 599")]
    Code(u16),
    /// The text would break the dialogue.
    #[error("action.reply.text must be one line of at most 400 bytes")]
    Text,
    /// Nothing can be said there.
    #[error("action.reply: nothing can be said at {0:?}; use `close`, or another phase")]
    Speechless(Phase),
    /// Zero parts.
    #[error("recipient.fraction must be 1 or more")]
    Fraction,
}

impl Rule {
    /// A rule for everybody, always.
    pub fn new(at: Phase, action: Action) -> Self {
        Self { at, recipient: Recipient::Any, action, times: None }
    }

    /// A rule that refuses.
    pub fn reply(at: Phase, code: u16, text: &str) -> Self {
        Self::new(at, Action::Reply { code, text: text.to_owned() })
    }

    /// The same rule for these recipients only.
    #[must_use]
    pub fn to(self, recipient: Recipient) -> Self {
        Self { recipient, ..self }
    }

    /// The same rule, spent after this many uses.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    fn check(&self) -> Result<(), InvalidRule> {
        if self.recipient == Recipient::Fraction(0) {
            return Err(InvalidRule::Fraction);
        }
        let Action::Reply { code, text } = &self.action else { return Ok(()) };
        match self.at {
            Phase::Connect | Phase::Answered => Err(InvalidRule::Speechless(self.at)),
            _ if !(400..600).contains(code) => Err(InvalidRule::Code(*code)),
            _ if text.len() > 400 || text.contains(['\r', '\n']) => Err(InvalidRule::Text),
            _ => Ok(()),
        }
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<Vec<Rule>>);

impl Rules {
    /// Replaces all rules, or none when one of the new ones is invalid.
    pub(crate) fn set(&self, rules: Vec<Rule>) -> Result<(), InvalidRule> {
        rules.iter().try_for_each(Rule::check)?;
        *self.0.lock() = rules;
        Ok(())
    }

    /// The rules with the uses they have left.
    pub(crate) fn list(&self) -> Vec<Rule> {
        self.0.lock().clone()
    }

    /// What to do at a point, in order; counts the uses.
    pub(crate) fn actions(&self, at: Phase, recipients: &[String]) -> Vec<Action> {
        let mut actions = Vec::new();
        for rule in self.0.lock().iter_mut() {
            let concerned =
                rule.recipient == Recipient::Any || recipients.iter().any(|address| rule.recipient.matches(address));
            if rule.at != at || !concerned || rule.times == Some(0) {
                continue;
            }
            rule.times = rule.times.map(|left| left - 1);
            actions.push(rule.action.clone());
            if !matches!(rule.action, Action::Delay { .. } | Action::Hold(_)) {
                break;
            }
        }
        actions
    }
}

/// FNV-1a, 64 bit: the same choice of recipients in every run and on every machine.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_json() {
        let json = r#"[{"at":"rcpt","recipient":{"fraction":3},"times":2,
                        "action":{"reply":{"code":451,"text":"later"}}},
                       {"at":"greeting","action":"hang"}, {"at":"dot","action":{"delay":{"ms":5}}},
                       {"at":"accepted","recipient":{"exact":"a@b"},"action":{"hold":"x"}}]"#;
        let rules: Vec<Rule> = serde_json::from_str(json).expect("valid");
        assert_eq!(rules[0], Rule::reply(Phase::Rcpt, 451, "later").to(Recipient::Fraction(3)).times(2));
        assert_eq!(rules[1], Rule::new(Phase::Greeting, Action::Hang));
        assert_eq!(rules[3].action, Action::Hold("x".into()));
    }

    #[test]
    fn a_rule_that_would_break_the_dialogue_is_refused() {
        let set = |rule| Rules::default().set(vec![rule]);
        assert_eq!(set(Rule::reply(Phase::Rcpt, 250, "ok")), Err(InvalidRule::Code(250)));
        assert_eq!(set(Rule::reply(Phase::Rcpt, 550, "a\r\nb")), Err(InvalidRule::Text));
        assert_eq!(set(Rule::reply(Phase::Connect, 550, "a")), Err(InvalidRule::Speechless(Phase::Connect)));
        assert_eq!(set(Rule::new(Phase::Rcpt, Action::Hang).to(Recipient::Fraction(0))), Err(InvalidRule::Fraction));
    }

    #[test]
    fn the_first_rule_that_answers_ends_the_search_and_uses_are_counted() {
        let rules = Rules::default();
        let wait = Rule::new(Phase::Rcpt, Action::Delay { ms: 1 });
        let refuse = Rule::reply(Phase::Rcpt, 450, "later").times(1);
        rules.set(vec![wait.clone(), refuse.clone(), Rule::new(Phase::Rcpt, Action::Close)]).expect("valid");
        assert_eq!(rules.actions(Phase::Rcpt, &[]), [wait.action.clone(), refuse.action]);
        assert_eq!(rules.actions(Phase::Rcpt, &[]), [wait.action, Action::Close]);
        assert_eq!(rules.actions(Phase::Data, &[]), []);
    }

    #[test]
    fn recipients_are_matched_without_regard_to_case() {
        assert!(Recipient::Exact("A@b.com".into()).matches("a@B.com"));
        assert!(Recipient::Prefix("bad".into()).matches("Bad7@b.com"));
        assert!(!Recipient::Prefix("bad".into()).matches("good@b.com"));
    }

    #[test]
    fn a_fraction_takes_about_its_share() {
        let hit = (0..3000).filter(|n| Recipient::Fraction(3).matches(&format!("user{n}@example.com"))).count();
        assert!((800..1200).contains(&hit), "{hit} of 3000");
    }
}
