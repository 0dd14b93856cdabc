//! The fields of a signup and their rules.
//!
//! Takes: a `CreateUserRequest`, the rules in force, the lists that are mounted. Gives: a [`Form`], or all violations
//! at once. Does not: know who asks, or what is stored.

use crate::{denied_domains::DeniedDomains, error::ApiError, pb};
use pipeline::document::{EmailDomains, Signup};
use signup::{EmailAddress, FullName, Locale, Password, Username, Violation};

/// The fields of a signup that keep their rules.
pub(crate) struct Form {
    pub(crate) username: Username,
    pub(crate) password: Password,
    pub(crate) full_name: FullName,
    pub(crate) email: EmailAddress,
    pub(crate) locale: Option<Locale>,
}

impl Form {
    /// All violations at once, in the order of the Go program: username, password, full_name, email; then
    /// ours.
    ///
    /// # Errors
    ///
    /// [`ApiError::Invalid`].
    pub(crate) fn parse(
        request: &pb::CreateUserRequest,
        rules: &Signup,
        denied: &DeniedDomains,
    ) -> Result<Self, ApiError> {
        let mut violations = Vec::new();
        let username = kept(Username::parse_new(&request.username, rules.reserved_usernames), &mut violations);
        let min_password = rules.password_min_length as usize;
        let password = kept(Password::parse(&request.password, min_password), &mut violations);
        let parse_name = if rules.unicode_names { FullName::parse } else { FullName::parse_ascii };
        let full_name = kept(parse_name(&request.full_name), &mut violations);
        let email = kept(new_email(&request.email, rules, denied), &mut violations);
        let locale = kept(Locale::parse(&request.locale), &mut violations);
        if rules.password.refuse_own
            && let (Some(username), Some(password), Some(email)) = (&username, &password, &email)
            && password.holds(username, email)
        {
            // Name and address keep their rules, so nothing is before it.
            violations.insert(0, of_password("must not contain your username or email address"));
        }
        match (username, password, full_name, email, locale) {
            (Some(username), Some(password), Some(full_name), Some(email), Some(locale)) if violations.is_empty() => {
                Ok(Self { username, password, full_name, email, locale })
            }
            _ => Err(ApiError::Invalid(violations)),
        }
    }
}

/// A password that keeps the rules of its form, and is none to have.
pub(crate) fn weak(description: &str) -> ApiError {
    ApiError::Invalid(vec![of_password(description)])
}

/// An address that keeps the rules of its form, and where no mail arrives.
pub(crate) fn no_mail() -> ApiError {
    let description = "is at a domain that takes no mail; look for a typing error".to_owned();
    ApiError::Invalid(vec![Violation { field: "email", description }])
}

fn of_password(description: &str) -> Violation {
    Violation { field: "password", description: description.to_owned() }
}

pub(crate) fn kept<T>(parsed: Result<T, Violation>, violations: &mut Vec<Violation>) -> Option<T> {
    parsed.map_err(|violation| violations.push(violation)).ok()
}

/// An address that a user is to have.
///
/// # Errors
///
/// A [`Violation`] of `email`: its form first, then its domain.
pub(crate) fn new_email(text: &str, rules: &Signup, denied: &DeniedDomains) -> Result<EmailAddress, Violation> {
    EmailAddress::parse(text).and_then(|email| accepted(email, &rules.email_domains, denied))
}

/// The address, if those of its domain may sign up.
fn accepted(email: EmailAddress, rules: &EmailDomains, denied: &DeniedDomains) -> Result<EmailAddress, Violation> {
    let EmailDomains { allow, deny, deny_list_dir: _, require_mx: _ } = rules;
    let domain = email.domain();
    let is_allowed = allow.is_empty() || allow.iter().any(|allowed| allowed.covers(domain));
    let is_denied = deny.iter().any(|denied| denied.covers(domain)) || denied.holds(domain);
    if is_allowed && !is_denied {
        return Ok(email);
    }
    let description = "is at a domain whose addresses may not sign up here; use another address".to_owned();
    Err(Violation { field: "email", description })
}
