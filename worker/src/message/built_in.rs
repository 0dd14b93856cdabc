//! The mails that this program brings along: layout and words, put together.
//!
//! Takes: a language. Gives: the templates of its mails. Does not: fill in what differs from mail to mail.

use super::{
    template::{Template, Texts},
    words::{self, Words},
};
use signup::Language;

const FRAME: &str = include_str!("../../templates/frame.html");

/// The mail to whoever signed up.
pub(super) fn verification(language: Language) -> Texts {
    let Words { hello, verification: words, .. } = words::of(language);
    let slots = [
        ("hello", *hello),
        ("intro", words.intro),
        ("button", words.button),
        ("digits", words.digits),
        ("expiry", words.expiry),
        ("way_out", words.way_out),
    ];
    texts(
        language,
        words.subject,
        &slots,
        include_str!("../../templates/verification_email/body.txt"),
        include_str!("../../templates/verification_email/body.html"),
    )
}

/// The mail to the owner of an address that somebody else signed up with.
pub(super) fn notice(language: Language) -> Texts {
    let Words { hello, notice: words, .. } = words::of(language);
    let slots = [
        ("hello", *hello),
        ("somebody", words.somebody),
        ("you", words.you),
        ("others", words.others),
        ("seldom", words.seldom),
    ];
    texts(
        language,
        words.subject,
        &slots,
        include_str!("../../templates/notice/body.txt"),
        include_str!("../../templates/notice/body.html"),
    )
}

/// # Panics
///
/// Never: layouts and words are part of the program, and a test parses all of them.
fn texts(language: Language, subject: &str, slots: &[(&str, &str)], text: &str, html: &str) -> Texts {
    let parse = |text: &str| Template::parse(text).expect("the built-in templates are parsed by a test");
    let is_leftwards = language.direction() == "rtl";
    let frame = [
        ("lang", language.tag()),
        ("dir", language.direction()),
        ("start", if is_leftwards { "right" } else { "left" }),
        ("subject", subject),
        ("content", html.trim_end()),
    ];
    let html = filled(&filled(FRAME, &frame), slots);
    Texts { subject: parse(subject), text: parse(&filled(text, slots)), html: parse(&html) }
}

fn filled(layout: &str, slots: &[(&str, &str)]) -> String {
    slots.iter().fold(layout.to_owned(), |text, (name, words)| text.replace(&format!("[[{name}]]"), words))
}
