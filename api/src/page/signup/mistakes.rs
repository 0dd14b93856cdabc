//! What is wrong with the fields of the signup form, in the reader's language.
//!
//! Takes: the error, what was typed, the rules in force. Gives: a sentence for each field that is wrong. Does not: find
//! mistakes; the error names the fields, and which of a field's rules it is follows from the types that have them.

use crate::{denied_domains::DeniedDomains, error::ApiError, form::new_email, page::words::SignupWords, pb};
use pipeline::document::Signup;
use signup::{EmailAddress, Password, Username};

/// What the mistakes are found by.
pub(super) struct Rules<'a> {
    pub(super) signup: &'a Signup,
    pub(super) denied: &'a DeniedDomains,
}

/// A sentence for each field that is wrong.
#[derive(Default)]
pub(super) struct Mistakes {
    pub(super) username: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) password: Option<String>,
}

impl Mistakes {
    pub(super) fn of(error: &ApiError, typed: &pb::CreateUserRequest, rules: &Rules<'_>, words: &SignupWords) -> Self {
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

    fn add(&mut self, field: &str, typed: &pb::CreateUserRequest, rules: &Rules<'_>, words: &SignupWords) {
        match field {
            "username" => {
                let is_reserved = Username::parse(&typed.username).is_ok();
                let text = if is_reserved { words.username_reserved } else { words.username_hint };
                self.username = Some(text.to_owned());
            }
            "full_name" => self.full_name = Some(words.full_name_wrong.to_owned()),
            "email" => {
                let is_address = EmailAddress::parse(&typed.email).is_ok();
                let may_sign_up = new_email(&typed.email, rules.signup, rules.denied).is_ok();
                self.email = Some(match (is_address, may_sign_up) {
                    (false, _) => words.email_wrong.to_owned(),
                    (true, false) => words.email_domain.to_owned(),
                    (true, true) => words.email_no_mail.to_owned(),
                });
            }
            "password" => {
                let (length, min) = (typed.password.chars().count(), rules.signup.password_min_length as usize);
                self.password = Some(if Password::parse(&typed.password, min).is_ok() {
                    words.password_weak.to_owned()
                } else if length > min {
                    words.password_long.to_owned()
                } else {
                    password_length(words, rules.signup)
                });
            }
            _ => {}
        }
    }
}

/// How long a password must be.
pub(super) fn password_length(words: &SignupWords, rules: &Signup) -> String {
    words.password_hint.replace("{}", &rules.password_min_length.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{form, page::words};
    use pipeline::Document;
    use signup::Language;

    fn found(error: &ApiError, typed: &pb::CreateUserRequest) -> Mistakes {
        let (mut signup, denied) = (Document::sample().signup, DeniedDomains::default());
        signup.email_domains.deny = vec!["denied.test".to_owned().into()];
        Mistakes::of(error, typed, &Rules { signup: &signup, denied: &denied }, &words::of(Language::English).signup)
    }

    #[test]
    fn which_rule_an_address_breaks_is_told() {
        for (email, sentence) in [
            ("alice", "not a valid email address"),
            ("alice@mail.denied.test", "may not sign up here"),
            ("alice@gmial.test", "look for a typing error"),
        ] {
            let typed = pb::CreateUserRequest { email: email.to_owned(), ..pb::CreateUserRequest::default() };
            let told = found(&form::no_mail(), &typed).email;
            assert!(told.as_ref().is_some_and(|told| told.contains(sentence)), "{email}: {told:?}");
        }
    }

    #[test]
    fn which_rule_a_password_breaks_is_told() {
        for (length, sentence) in [(5, "At least 6"), (129, "At most 128"), (6, "easy to guess")] {
            let typed = pb::CreateUserRequest { password: "x".repeat(length), ..pb::CreateUserRequest::default() };
            let told = found(&form::weak("is too easy to guess"), &typed).password;
            assert!(told.as_ref().is_some_and(|told| told.contains(sentence)), "{length}: {told:?}");
        }
    }
}
