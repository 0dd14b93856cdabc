//! What the pages say, in each language.
//!
//! Takes: a language. Gives: its [`Words`]. Does not: know which page shows them.

mod arabic;
mod english;
mod german;
mod vietnamese;

use signup::Language;

/// A title and a text.
pub(super) type Told = (&'static str, &'static str);

/// The words of all pages.
pub(super) struct Words {
    pub(super) link: LinkWords,
    pub(super) code: CodeWords,
    pub(super) resend: ResendWords,
    pub(super) signup: SignupWords,
    pub(super) verified: Told,
    /// Trouble of ours, or too many requests.
    pub(super) later: Told,
}

/// The page behind the link of a mail, and what may be wrong with a link.
pub(super) struct LinkWords {
    pub(super) title: &'static str,
    /// The masked address follows.
    pub(super) about: &'static str,
    pub(super) text: &'static str,
    pub(super) button: &'static str,
    pub(super) expired: Told,
    pub(super) used: Told,
    pub(super) address_changed: Told,
    pub(super) invalid: &'static str,
    pub(super) end_missing: &'static str,
    pub(super) number_wrong: &'static str,
    pub(super) letters_wrong: &'static str,
    pub(super) malformed: &'static str,
    pub(super) unknown: &'static str,
}

/// The page where the digits of a mail are typed.
pub(super) struct CodeWords {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) username: &'static str,
    pub(super) label: &'static str,
    pub(super) button: &'static str,
    /// The words of the link that leads here.
    pub(super) instead: &'static str,
    pub(super) not_six_digits: &'static str,
    pub(super) wrong: &'static str,
    pub(super) expired: &'static str,
    pub(super) used: &'static str,
    pub(super) locked: &'static str,
}

/// The form that asks for another mail, and its answer.
pub(super) struct ResendWords {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) label: &'static str,
    pub(super) button: &'static str,
    pub(super) no_address: &'static str,
    /// The same whether or not anybody has the address.
    pub(super) done: Told,
}

/// The signup form, what may be wrong with it, and the page after it.
pub(super) struct SignupWords {
    pub(super) title: &'static str,
    pub(super) username_hint: &'static str,
    pub(super) full_name: &'static str,
    pub(super) password: &'static str,
    /// `{}` stands for a number of characters.
    pub(super) password_hint: &'static str,
    pub(super) button: &'static str,
    pub(super) username_taken: &'static str,
    pub(super) username_reserved: &'static str,
    pub(super) full_name_wrong: &'static str,
    pub(super) email_taken: &'static str,
    pub(super) email_wrong: &'static str,
    /// An address of a domain that may not sign up.
    pub(super) email_domain: &'static str,
    /// An address of a domain that takes no mail.
    pub(super) email_no_mail: &'static str,
    pub(super) password_weak: &'static str,
    pub(super) password_long: &'static str,
    pub(super) correct_below: &'static str,
    pub(super) later: &'static str,
    pub(super) not_understood: &'static str,
    pub(super) from_elsewhere: &'static str,
    pub(super) sent: Told,
    /// The address follows.
    pub(super) sent_to: &'static str,
    /// What became of the mail.
    pub(super) queued: &'static str,
    pub(super) delivered: &'static str,
    pub(super) refused: &'static str,
    pub(super) failed: &'static str,
    pub(super) no_mail: &'static str,
    pub(super) no_mail_text: &'static str,
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
