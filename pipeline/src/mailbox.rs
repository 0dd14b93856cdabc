//! E-mail addresses, and senders with a name: the one reader of both.
//!
//! Takes: text from a request, the configuration or a row of the database. Gives: an [`Address`] that any SMTP server
//! can be given, or a [`Mailbox`], which is an address and perhaps a display name. Does not: ask DNS whether anybody
//! lives there, or write a name into a header (the message's builder quotes and encodes it).
//!
//! One mailbox has one writing, up to letter case: RFC 5321 (4.1.2) lets `"bob"@x` and `"b\ob"@x` stand for `bob@x`,
//! so a quoted local part is read and kept without its quotes. One that needs them (`"b ob"@x`) is refused: RFC 5321
//! itself advises against such mailboxes, and many servers cannot be told of them.

use std::fmt;

/// Characters of a sender, name and all.
pub const MAX_CHARACTERS: usize = 320;

/// Bytes of a path without its angle brackets (RFC 5321, 4.5.3.1.3).
const MAX_BYTES: usize = 254;
/// Bytes before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// Bytes between two dots of a domain (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// A bare address such as `alice@example.com`, in ASCII. Personal: it has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    at: usize,
}

/// A text that is no address. It is not repeated: it may be somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not `local@domain` in ASCII with a domain of DNS.
    #[error("is not an address like alice@example.com")]
    Form,
    /// The part before the `@` is quoted and cannot be written without.
    #[error("has a quoted part before the @ that cannot be written without quotes")]
    NeedsQuotes,
}

impl Address {
    /// Reads a bare address; white space around it is a mistake.
    ///
    /// # Errors
    ///
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Form)?;
        let local = match local.strip_prefix('"') {
            Some(rest) => &unquoted(rest)?,
            None if is_dot_atom(local) => local,
            None => return Err(AddressError::Form),
        };
        let fits = local.len() <= MAX_LOCAL_BYTES && local.len() + 1 + domain.len() <= MAX_BYTES;
        if !fits || !is_domain(domain) {
            return Err(AddressError::Form);
        }
        Ok(Self { text: format!("{local}@{domain}"), at: local.len() })
    }

    /// As it is sent to: the writer's letter case, no quotes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// In lower case: no two mailboxes share it. RFC 5321 (2.4) lets a server tell local parts apart by case; none in
    /// use does.
    pub fn canonical(&self) -> String {
        self.text.to_ascii_lowercase()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(hidden)")
    }
}

/// An address and perhaps a display name: `alice@example.com`, `Alice <alice@example.com>` or, with a name that holds
/// angle brackets, `"Alice <A>" <alice@example.com>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    name: Option<String>,
    address: Address,
}

/// A text that is no sender. It is not repeated: it may be somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.problem())]
pub enum MailboxError {
    /// The address is none.
    Address(#[from] AddressError),
    /// The name has characters that no header can hold, or brackets outside quotes.
    Name,
    /// It is longer than [`MAX_CHARACTERS`].
    TooLong,
}

impl MailboxError {
    /// What it must be, to be put after the name of the field.
    pub fn problem(self) -> &'static str {
        match self {
            Self::Address(AddressError::Form) => {
                "must be an address like `no-reply@example.com` or `Example, Inc. <no-reply@example.com>`"
            }
            Self::Address(AddressError::NeedsQuotes) => {
                "must be an address that needs no quotes, like `no-reply@example.com`"
            }
            Self::Name => "must have a name without control characters, and without angle brackets but in quotes",
            Self::TooLong => "must have 320 characters at most",
        }
    }
}

impl Mailbox {
    /// Reads an address with or without a name before it. The name is what stands there; only where all of it is one
    /// quoted string (RFC 5322, 3.2.4) are the quotes taken off.
    ///
    /// # Errors
    ///
    /// [`MailboxError`].
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        if text.chars().count() > MAX_CHARACTERS {
            return Err(MailboxError::TooLong);
        }
        let text = text.trim();
        let Some((name, address)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
            return Ok(Self { name: None, address: Address::parse(text)? });
        };
        let address = Address::parse(address)?;
        let name = display_name(name.trim())?;
        Ok(Self { name: (!name.is_empty()).then_some(name), address })
    }

    /// The display name, without quotes or encoding.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox(hidden)")
    }
}

fn display_name(text: &str) -> Result<String, MailboxError> {
    if text.chars().any(char::is_control) {
        return Err(MailboxError::Name);
    }
    if let Some(name) = text.strip_prefix('"').and_then(quoted_string) {
        return Ok(single_blanks(&name));
    }
    if text.contains(['<', '>']) { Err(MailboxError::Name) } else { Ok(single_blanks(text)) }
}

/// A header is folded at blanks, and how many there were is lost (RFC 5322, 3.2.2).
fn single_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `rest`, the text after an opening quote, stands for; `None` unless its only closing quote is at its end.
fn quoted_string(rest: &str) -> Option<String> {
    let mut content = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(content),
            '\\' => content.push(characters.next()?),
            character => content.push(character),
        }
    }
}

/// A quoted local part without its quotes, where that is allowed.
fn unquoted(rest: &str) -> Result<String, AddressError> {
    let local = quoted_string(rest).ok_or(AddressError::Form)?;
    if is_dot_atom(&local) {
        return Ok(local);
    }
    let is_quotable = local.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    Err(if is_quotable { AddressError::NeedsQuotes } else { AddressError::Form })
}

/// Atoms with single dots between them (RFC 5321's `Dot-string`).
fn is_dot_atom(text: &str) -> bool {
    let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// A name of DNS in ASCII (RFC 5321's `Domain`). One whose last label is a number is an IP address, not a domain.
pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
