//! What the built-in mails say, in each language.
//!
//! Takes: a language. Gives: its [`Words`]. Does not: know how a mail looks; `worker/templates` does.

mod arabic;
mod english;
mod german;
mod vietnamese;

use signup::Language;
use std::time::Duration;

/// The words of both mails. They hold the placeholders of templates, and nothing that HTML would have to escape.
pub(super) struct Words {
    pub(super) hello: &'static str,
    pub(super) verification: VerificationWords,
    pub(super) notice: NoticeWords,
    /// A number of hours, minutes or seconds, with its noun.
    counted: fn(u64, Unit) -> String,
}

/// The mail to whoever signed up.
pub(super) struct VerificationWords {
    pub(super) subject: &'static str,
    /// The link follows.
    pub(super) intro: &'static str,
    pub(super) button: &'static str,
    /// The digits and the page for them follow.
    pub(super) digits: &'static str,
    pub(super) expiry: &'static str,
    pub(super) way_out: &'static str,
}

/// The mail to the owner of an address that somebody else signed up with.
pub(super) struct NoticeWords {
    pub(super) subject: &'static str,
    pub(super) somebody: &'static str,
    pub(super) you: &'static str,
    pub(super) others: &'static str,
    pub(super) seldom: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Hour,
    Minute,
    Second,
}

/// The words of a language.
pub(super) fn of(language: Language) -> &'static Words {
    match language {
        Language::English => &english::WORDS,
        Language::German => &german::WORDS,
        Language::Vietnamese => &vietnamese::WORDS,
        Language::Arabic => &arabic::WORDS,
    }
}

impl Words {
    /// `24 hours`, `15 minutes`, `1 hour 30 minutes`; below a second is dropped.
    pub(super) fn duration(&self, duration: Duration) -> String {
        let seconds = duration.as_secs();
        let units = [(Unit::Hour, seconds / 3600), (Unit::Minute, seconds % 3600 / 60), (Unit::Second, seconds % 60)];
        let counted = units.into_iter().filter(|(_, count)| *count > 0);
        let words: Vec<String> = counted.map(|(unit, count)| (self.counted)(count, unit)).collect();
        if words.is_empty() { (self.counted)(0, Unit::Second) } else { words.join(" ") }
    }
}

/// For languages that have one form for one and another for all other numbers.
fn one_or_many(count: u64, [one, many]: [&str; 2]) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
