//! What is wrong with the fields of the signup form, in the reader's language.
//!
//! Takes: the error, what was typed, the rules in force. Gives: a sentence for each field that is wrong. Does not: find
//! mistakes; the error names the fields, and which of a field's rules it is follows from the types that have them.

use crate::{error::ApiError, page::words::SignupWords, pb};
use pipeline::document::Signup;
use signup::{EmailAddress, Password, Username};

/// A sentence for each field that is wrong.
#[derive(Default)]
pub(super) struct Mistakes {
    pub(super) username: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) password: Option<String>,
}

impl Mistakes {
    pub(super) fn of(error: &ApiError, typed: &pb::CreateUserRequest, rules: &Signup, words: &SignupWords) -> Self {
        let mut mistakes = Self::default();
        match error {
            ApiError::UsernameTaken => mistakes.username = Some(words.username_taken.to_owned()),
            ApiError::EmailTaken => mistakes.email = Some(words.email_taken.to_owned()),
            ApiError::Invalid(violations) => {
                violations.iter().for_each(|violation| mistakes.add(violation.field, typed, rules, words));
            }
            ApiError::Malformed { field: Some(field), .. } => mistakes.add(field, typed, rules, words),
            _ => {}
        }
        mistakes
    }

    pub(super) fn are_some(&self) -> bool {
        [&self.username, &self.full_name, &self.email, &self.password].iter().any(|mistake| mistake.is_some())
    }

    fn add(&mut self, field: &str, typed: &pb::CreateUserRequest, rules: &Signup, words: &SignupWords) {
        match field {
            "username" => {
                let is_reserved = Username::parse(&typed.username).is_ok();
                let text = if is_reserved { words.username_reserved } else { words.username_hint };
                self.username = Some(text.to_owned());
            }
            "full_name" => self.full_name = Some(words.full_name_wrong.to_owned()),
            "email" => {
                let is_address = EmailAddress::parse(&typed.email).is_ok();
                let text = if is_address { words.email_domain } else { words.email_wrong };
                self.email = Some(text.to_owned());
            }
            "password" => {
                let is_long_enough = Password::parse(&typed.password, rules.password_min_length as usize).is_ok();
                let text = is_long_enough.then(|| words.password_weak.to_owned());
                self.password = Some(text.unwrap_or_else(|| password_length(words, rules)));
            }
            _ => {}
        }
    }
}

/// How long a password must be.
pub(super) fn password_length(words: &SignupWords, rules: &Signup) -> String {
    words.password_hint.replace("{}", &rules.password_min_length.to_string())
}
