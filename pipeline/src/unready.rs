//! Why `api` or a worker cannot do its job: the words of its readiness, which the operator reads.
//!
//! Gives: [`Unready`], written and read as text. Does not: hold an address, a user or a password: the text is shown to
//! anyone who can reach the admin port.

use std::fmt;

/// What PostgreSQL lacks for the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// It answers, and takes no writes.
    ReadOnly,
    /// It, or a pooler before it, has no room for another connection.
    Full,
    /// A pooler before it lends a server for one statement alone, and ours are transactions.
    StatementPooling,
    /// A pooler before it does not know a parameter that the URI begins sessions with, such as `options`.
    ParameterRefused,
    /// The database lacks the tables: the migrations were not applied.
    NoSchema,
    /// The role lacks a privilege.
    Forbidden {
        /// What it may not do, such as `create tables in the schema public`.
        what: String,
        /// The statement that is missing, with `<role>` for the role.
        needs: String,
    },
    /// Something that stands where one of ours goes belongs to another application: what it is and its name, such as
    /// `table users`.
    Foreign(String),
    /// Something is gone that the migrations made: what it is and its name, such as `column users.email`.
    Missing(String),
    /// The database cannot hold every name: its encoding is this one.
    Encoding(String),
    /// It belongs to another pipeline: `namespace/name`, and what else tells it from this one.
    Shared(String),
    /// It belongs to no pipeline yet; the first `api` claims it.
    Unclaimed,
}

const MAY_NOT: &str = "the role of the database's URI may not ";
const NEEDS: &str = "; it needs ";
const IS_FOREIGN: (&str, &str) = ("the ", " is another application's");
const LACKS: &str = "the database lacks the ";
const ENCODING: &str = "the encoding of the database is not UTF8 but ";
const BELONGS: &str = "the database belongs to pipeline ";

impl Unready {
    /// Those that say no name.
    const PLAIN: [Self; 12] = [
        Self::Silent,
        Self::Credentials,
        Self::TlsNotOffered,
        Self::TlsDemanded,
        Self::Certificate,
        Self::NoDatabase,
        Self::ReadOnly,
        Self::Full,
        Self::StatementPooling,
        Self::ParameterRefused,
        Self::NoSchema,
        Self::Unclaimed,
    ];

    /// Reads the text back; `None`: the words of another version.
    pub fn read(text: &str) -> Option<Self> {
        let plain = || Self::PLAIN.into_iter().find(|unready| unready.to_string() == text);
        let forbidden = || {
            let (what, needs) = text.strip_prefix(MAY_NOT)?.split_once(NEEDS)?;
            Some(Self::Forbidden { what: what.to_owned(), needs: needs.to_owned() })
        };
        let foreign = || Some(Self::Foreign(text.strip_prefix(IS_FOREIGN.0)?.strip_suffix(IS_FOREIGN.1)?.to_owned()));
        let missing = || Some(Self::Missing(text.strip_prefix(LACKS)?.to_owned()));
        let encoding = || Some(Self::Encoding(text.strip_prefix(ENCODING)?.to_owned()));
        let shared = || Some(Self::Shared(text.strip_prefix(BELONGS)?.to_owned()));
        plain().or_else(forbidden).or_else(foreign).or_else(missing).or_else(encoding).or_else(shared)
    }

    /// Whether PostgreSQL answers, and what is in the database is what is wrong.
    pub fn is_about_content(&self) -> bool {
        match self {
            Self::NoSchema
            | Self::Forbidden { .. }
            | Self::Foreign(_)
            | Self::Missing(_)
            | Self::Encoding(_)
            | Self::Shared(_)
            | Self::Unclaimed => true,
            Self::Silent
            | Self::Credentials
            | Self::TlsNotOffered
            | Self::TlsDemanded
            | Self::Certificate
            | Self::NoDatabase
            | Self::ReadOnly
            | Self::Full
            | Self::StatementPooling
            | Self::ParameterRefused => false,
        }
    }

    /// Whether it is so until somebody changes it, although PostgreSQL answers.
    pub fn lasts(&self) -> bool {
        self.is_about_content() || matches!(self, Self::ReadOnly | Self::StatementPooling | Self::ParameterRefused)
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => out.write_str("PostgreSQL does not answer"),
            Self::Credentials => out.write_str("PostgreSQL refuses the user or the password"),
            Self::TlsNotOffered => out.write_str("PostgreSQL offers no TLS, and its URI or authority demands it"),
            Self::TlsDemanded => out.write_str("PostgreSQL demands TLS, and its URI forbids it"),
            Self::Certificate => out.write_str("PostgreSQL's certificate is not trusted"),
            Self::NoDatabase => out.write_str("PostgreSQL has no database of that name"),
            Self::ReadOnly => out.write_str("PostgreSQL takes no writes"),
            Self::Full => out.write_str("PostgreSQL, or a pooler before it, takes no more connections"),
            Self::StatementPooling => {
                out.write_str("the pooler before PostgreSQL takes single statements and no transactions")
            }
            Self::ParameterRefused => {
                out.write_str("the pooler before PostgreSQL refuses a parameter of the URI, such as options")
            }
            Self::NoSchema => out.write_str("the database lacks the schema"),
            Self::Forbidden { what, needs } => write!(out, "{MAY_NOT}{what}{NEEDS}{needs}"),
            Self::Foreign(what) => write!(out, "{}{what}{}", IS_FOREIGN.0, IS_FOREIGN.1),
            Self::Missing(what) => write!(out, "{LACKS}{what}"),
            Self::Encoding(encoding) => write!(out, "{ENCODING}{encoding}"),
            Self::Shared(owner) => write!(out, "{BELONGS}{owner}"),
            Self::Unclaimed => out.write_str("the database belongs to no pipeline yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_reads_back_as_itself_and_other_words_as_none() {
        let named = [
            Unready::Forbidden { what: "make the schema a".into(), needs: "GRANT CREATE ON DATABASE b TO c".into() },
            Unready::Foreign("table users".into()),
            Unready::Missing("column users.email".into()),
            Unready::Missing("schema signup".into()),
            Unready::Encoding("LATIN1".into()),
            Unready::Shared("shop/demo".into()),
        ];
        for unready in Unready::PLAIN.into_iter().chain(named) {
            assert_eq!(Unready::read(&unready.to_string()), Some(unready));
        }
        assert_eq!(Unready::read("neither PostgreSQL nor Redis answers"), None);
    }
}
