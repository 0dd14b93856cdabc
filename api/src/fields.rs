//! Messages whose fields are texts: what JSON, forms and queries fill in alike.
//!
//! Takes: the name of a field as a client wrote it, in snake_case or camelCase. Gives: its place in the message. Does
//! not: read a format, or judge values.

use crate::pb;

/// A message of texts.
pub(crate) trait Fields: Default {
    /// The field that a key in either spelling names: its own name, and where its text goes.
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)>;
}

impl Fields for pb::CreateUserRequest {
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)> {
        match key {
            "username" => Some(("username", &mut self.username)),
            "full_name" | "fullName" => Some(("full_name", &mut self.full_name)),
            "email" => Some(("email", &mut self.email)),
            "password" => Some(("password", &mut self.password)),
            "locale" => Some(("locale", &mut self.locale)),
            _ => None,
        }
    }
}

impl Fields for pb::VerifyCodeRequest {
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)> {
        match key {
            "username" => Some(("username", &mut self.username)),
            "code" => Some(("code", &mut self.code)),
            _ => None,
        }
    }
}

impl Fields for pb::ResendVerificationRequest {
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)> {
        (key == "email").then_some(("email", &mut self.email))
    }
}

impl Fields for pb::CorrectEmailRequest {
    fn field(&mut self, key: &str) -> Option<(&'static str, &mut String)> {
        match key {
            "username" => Some(("username", &mut self.username)),
            "password" => Some(("password", &mut self.password)),
            "email" => Some(("email", &mut self.email)),
            _ => None,
        }
    }
}
