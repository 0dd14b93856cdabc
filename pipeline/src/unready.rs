//! Why `api` cannot do its job: the words of its readiness, which the operator reads.
//!
//! Gives: [`Unready`], written and read as text. Does not: hold an address, a user or a password: the text is shown to
//! anyone who can reach the admin port.

use std::fmt;

/// What PostgreSQL lacks for the api.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unready {
    /// It does not answer.
    Silent,
    /// It refuses the user or the password.
    Credentials,
    /// The URI or an authority demands TLS, and the server offers none.
    TlsNotOffered,
    /// The server demands TLS, and the URI forbids it.
    TlsDemanded,
    /// Its certificate is not trusted, or does not bear its name.
    Certificate,
    /// It has no database of that name.
    NoDatabase,
    /// The database lacks the schema.
    NoSchema,
    /// The role may not make the schema.
    MayNotCreate,
    /// A table that stands where one of ours goes belongs to another application.
    Foreign(ForeignTable),
}

/// Which table belongs to another application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForeignTable {
    /// The accounts.
    Users,
    /// The links.
    VerifyEmails,
    /// The mails owed.
    EmailIntents,
    /// What was migrated.
    Migrations,
}

impl ForeignTable {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::VerifyEmails => "verify_emails",
            Self::EmailIntents => "email_intents",
            Self::Migrations => "_sqlx_migrations",
        }
    }
}

impl Unready {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Silent,
        Self::Credentials,
        Self::TlsNotOffered,
        Self::TlsDemanded,
        Self::Certificate,
        Self::NoDatabase,
        Self::NoSchema,
        Self::MayNotCreate,
        Self::Foreign(ForeignTable::Users),
        Self::Foreign(ForeignTable::VerifyEmails),
        Self::Foreign(ForeignTable::EmailIntents),
        Self::Foreign(ForeignTable::Migrations),
    ];

    /// Reads the text back; `None`: the words of another version.
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unready| unready.text() == text)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Silent => "PostgreSQL does not answer",
            Self::Credentials => "PostgreSQL refuses the user or the password",
            Self::TlsNotOffered => "PostgreSQL offers no TLS, and its URI or authority demands it",
            Self::TlsDemanded => "PostgreSQL demands TLS, and its URI forbids it",
            Self::Certificate => "PostgreSQL's certificate is not trusted",
            Self::NoDatabase => "PostgreSQL has no database of that name",
            Self::NoSchema => "the database lacks the schema",
            Self::MayNotCreate => "the role of the database's URI may not create tables",
            Self::Foreign(ForeignTable::Users) => "the table users is another application's",
            Self::Foreign(ForeignTable::VerifyEmails) => "the table verify_emails is another application's",
            Self::Foreign(ForeignTable::EmailIntents) => "the table email_intents is another application's",
            Self::Foreign(ForeignTable::Migrations) => "the table _sqlx_migrations is another application's",
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_reads_back_as_itself_and_other_words_as_none() {
        for unready in Unready::ALL {
            assert_eq!(Unready::read(&unready.to_string()), Some(unready));
        }
        assert_eq!(Unready::read("neither PostgreSQL nor Redis answers"), None);
    }
}
