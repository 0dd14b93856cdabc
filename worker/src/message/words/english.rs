//! English.

use super::{NoticeWords, Unit, VerificationWords, Words, one_or_many};

pub(super) const WORDS: Words = Words {
    hello: "Hello {{full_name}},",
    verification: VerificationWords {
        subject: "Verify your email address",
        intro: "thank you for signing up. Please open this page and confirm that this email address is yours:",
        button: "Verify my email address",
        digits: "To confirm it on another device, open the page below there, and enter your username {{username}} and \
                 this code:",
        expiry: "Link and code work for {{expires_in}}. Your username is {{username}}.",
        way_out: "If you did not sign up, nothing needs to be done: without the confirmation this address is not used.",
    },
    notice: NoticeWords {
        subject: "You already have an account",
        somebody: "somebody signed up with this email address, which has an account already. Its username is \
                   {{username}}.",
        you: "If it was you, use that account: sign in with the username above. No second account was made for this \
              address.",
        others: "If it was somebody else, nothing needs to be done. They were not told that the address has an \
                 account, and cannot use it.",
        seldom: "However often this happens, we write to you about it once a day at most.",
    },
    counted: |count, unit| {
        one_or_many(
            count,
            match unit {
                Unit::Hour => ["hour", "hours"],
                Unit::Minute => ["minute", "minutes"],
                Unit::Second => ["second", "seconds"],
            },
        )
    },
};
