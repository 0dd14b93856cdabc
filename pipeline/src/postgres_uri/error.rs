//! What is wrong with where PostgreSQL is said to be.
//!
//! Gives: [`PostgresUriError`], whose text is a problem and a fix. Does not: hold any value of the text: a part of a
//! password may stand where a host, a port or a parameter is expected.

/// Why a URI, or pairs, of PostgreSQL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {fix}", problem = self.problem(), fix = self.fix())]
pub enum PostgresUriError {
    /// There is no text.
    Empty,
    /// Neither a URI nor pairs.
    NoUri,
    /// A URI of Java's driver.
    Jdbc,
    /// A URI of a Python library that names a driver behind a `+`.
    Dialect,
    /// A URI of something else.
    Scheme,
    /// A `%` without two hexadecimal digits, or one that stands for a zero byte or for no text.
    Escape,
    /// Brackets that hold no IPv6 address.
    Brackets,
    /// A port that is none.
    Port,
    /// As many ports, or addresses, as hosts are needed.
    Count(&'static str),
    /// No host is named.
    NoHost,
    /// A parameter without `=`, or with two.
    Separator,
    /// Pairs with a quote that does not end.
    Quote,
    /// A parameter that libpq does not know; `None`: its name may be a part of a password.
    Unknown(Option<String>),
    /// A parameter of libpq that cannot be used here.
    Unsupported {
        /// Its name.
        parameter: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// A parameter whose value cannot be used.
    Value {
        /// Its name.
        parameter: &'static str,
        /// What to write.
        fix: String,
    },
}

const LIKE: &str = "write it like postgres://user:password@host:5432/database";
const ENCODE: &str = "percent-encode special characters of the user and the password (% is %25, / is %2F, @ is %40)";

impl PostgresUriError {
    /// What is wrong.
    pub fn problem(&self) -> String {
        let problem = match self {
            Self::Empty => "it is empty",
            Self::NoUri => "it is no URI: it does not begin with postgres:// or postgresql://",
            Self::Jdbc => "it begins with jdbc:, which only Java's driver reads",
            Self::Dialect => "it names a driver behind a +, which only SQLAlchemy reads",
            Self::Scheme => "it does not begin with postgres:// or postgresql://",
            Self::Escape => "a % in it is not followed by two hexadecimal digits that stand for text",
            Self::Brackets => "its brackets hold no IPv6 address, or something else than a port follows them",
            Self::Port => "a port in it is no number from 1 to 65535",
            Self::Count(what) => return format!("it names another number of {what} than of hosts"),
            Self::NoHost => "it names no host",
            Self::Separator => "a parameter in it has no =, or two of them",
            Self::Quote => "a quote in it does not end",
            Self::Unknown(Some(name)) => return format!("its parameter {name} is none of PostgreSQL's"),
            Self::Unknown(None) => "one of its parameters is none of PostgreSQL's",
            Self::Unsupported { parameter, .. } => return format!("its parameter {parameter} is not supported"),
            Self::Value { parameter, .. } => return format!("its parameter {parameter} has a value of no use here"),
        };
        problem.to_owned()
    }

    /// What to do.
    pub fn fix(&self) -> String {
        let fix = match self {
            Self::Empty | Self::NoUri | Self::Scheme => LIKE,
            Self::Jdbc => {
                "write it like postgres://user:password@host:5432/database, without jdbc: and with the user and the \
                    password before the host; Secrets with the key jdbc-uri have the key uri as well"
            }
            Self::Dialect => "remove the + and the name behind it: postgresql://user:password@host:5432/database",
            Self::Escape => ENCODE,
            Self::Brackets => "write an IPv6 address like [2001:db8::1]:5432",
            Self::Port => return format!("write the host like db.example.com:5432, and {ENCODE}"),
            Self::Count(what) => return format!("write one of the {what} for each host, or a single port for all"),
            Self::NoHost => {
                "write the host before the database's name, or host=/run/postgresql for the folder of a socket"
            }
            Self::Separator | Self::Unknown(None) => {
                return format!("write parameters like ?sslmode=verify-full&connect_timeout=2, and {ENCODE}");
            }
            Self::Quote => "end the value with ', and write a ' inside of it as \\'",
            Self::Unknown(Some(_)) => "correct its name, or leave it out if it is another driver's",
            Self::Unsupported { fix, .. } => fix,
            Self::Value { fix, .. } => return fix.clone(),
        };
        fix.to_owned()
    }
}
