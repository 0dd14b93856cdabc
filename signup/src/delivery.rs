//! What whoever signed up may know of the mail, and the token by which the service knows who that is.
//!
//! Takes: a user as answered to its signup, or a token. Gives: the token, the same each time; or whose it is. Does not:
//! store tokens: they are MACs (RFC 2104) under a verification key, and good for as long as that key and the user are
//! there; nor look a state up, which is `Store::delivery_states`.

use crate::{Keys, User};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac as _;
use jiff::Timestamp;
use std::{fmt, str::FromStr};

/// Separates these MACs from anything else that is made with the same key.
const PURPOSE: &[u8] = b"signup delivery token v1";

/// Bytes of the MAC that a token has: half of SHA-256's (RFC 2104, section 5).
const TAG_BYTES: usize = 16;

/// Bytes of a token before the user name: id of the key, time of the signup, MAC.
const HEAD_BYTES: usize = 4 + 8 + TAG_BYTES;

/// Characters of the longest token that can be one: a user name has 100 bytes at most.
const MAX_LENGTH: usize = (HEAD_BYTES + 100).div_ceil(3) * 4;

/// What became of the mail of a signup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is owed: waiting for its time, for a worker, or for another attempt.
    Queued,
    /// A mail server accepted it.
    Sent,
    /// A mail server refused it for good.
    Refused,
    /// It was given up, or cancelled.
    Failed,
    /// The address is verified.
    Verified,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Sent, Self::Refused, Self::Failed, Self::Verified];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Verified => "verified",
        }
    }
}

/// The text is no [`DeliveryState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be queued, sent, refused, failed or verified")]
pub struct UnknownDeliveryState;

impl FromStr for DeliveryState {
    type Err = UnknownDeliveryState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownDeliveryState)
    }
}

impl TryFrom<String> for DeliveryState {
    type Error = UnknownDeliveryState;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A user of one signup: another one that has the name later is another account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// User name.
    pub username: String,
    /// When it signed up, to the microsecond, as PostgreSQL keeps it.
    pub created_at: Timestamp,
}

/// By which whoever signed up asks for the state. Secret; `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct DeliveryToken(String);

impl DeliveryToken {
    /// The characters `A-Z a-z 0-9 - _`, for whoever signed up and nobody else.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeliveryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryToken(hidden)")
    }
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self { username: user.username.clone(), created_at: user.created_at }
    }
}

impl Account {
    /// The token of this account under the current key. Its length is told by that of the user name alone.
    pub fn token(&self, keys: &Keys) -> DeliveryToken {
        let key_id = keys.current_id();
        let created_at = self.created_at.as_microsecond();
        let tag = keys.mac(key_id, PURPOSE, &[&created_at.to_string(), &self.username]).map(|mac| mac.finalize());
        let tag: [u8; 32] = tag.map_or([0; 32], |tag| tag.into_bytes().into());
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.username.len());
        // Ids are eight hexadecimal digits.
        bytes.extend(u32::from_str_radix(key_id, 16).unwrap_or_default().to_be_bytes());
        bytes.extend(created_at.to_be_bytes());
        bytes.extend(&tag[..TAG_BYTES]);
        bytes.extend(self.username.as_bytes());
        DeliveryToken(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whose token it is; `None` where it is nobody's, or its key is not there (any more).
    pub fn of_token(token: &str, keys: &Keys) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(Some(token).filter(|token| token.len() <= MAX_LENGTH)?).ok()?;
        let (key_id, rest) = bytes.split_first_chunk::<4>()?;
        let (created_at, rest) = rest.split_first_chunk::<8>()?;
        let (tag, username) = rest.split_first_chunk::<TAG_BYTES>()?;
        let key_id = format!("{:08x}", u32::from_be_bytes(*key_id));
        let created_at = i64::from_be_bytes(*created_at);
        let username = std::str::from_utf8(username).ok()?;
        let mac = keys.mac(&key_id, PURPOSE, &[&created_at.to_string(), username])?;
        // Compares in constant time.
        mac.verify_truncated_left(tag).ok()?;
        Some(Self { username: username.to_owned(), created_at: Timestamp::from_microsecond(created_at).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(key: u8) -> Keys {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("current"), [key; 32]).expect("a file");
        Keys::load(folder.path()).expect("keys")
    }

    fn account(username: &str, microseconds: i64) -> Account {
        let created_at = Timestamp::from_microsecond(microseconds).expect("a time");
        Account { username: username.to_owned(), created_at }
    }

    #[test]
    fn a_token_is_the_same_each_time_and_shows_nothing_by_accident() {
        let (keys, account) = (keys(b'k'), account("alice", 1_700_000_000_123_456));
        let token = account.token(&keys);
        assert_eq!(token, account.token(&keys));
        assert_eq!(format!("{token:?}"), "DeliveryToken(hidden)");
        assert_eq!(Account::of_token(token.as_str(), &keys), Some(account));
    }

    #[test]
    fn a_token_of_another_key_is_nobodys() {
        let token = account("alice", 1).token(&keys(b'k'));
        assert_eq!(Account::of_token(token.as_str(), &keys(b'l')), None);
    }

    proptest! {
        #[test]
        fn an_account_is_read_back_from_its_token(name in "[a-z0-9_]{3,100}", time in 0i64..253_402_207_200_000_000) {
            let (keys, account) = (keys(b'k'), account(&name, time));
            let token = account.token(&keys);
            prop_assert!(token.as_str().len() <= MAX_LENGTH);
            prop_assert_eq!(Account::of_token(token.as_str(), &keys), Some(account));
        }

        #[test]
        fn one_changed_character_makes_it_nobodys(username in "[a-z0-9_]{3,20}", at in any::<prop::sample::Index>()) {
            let keys = keys(b'k');
            let mut token = account(&username, 1_700_000_000_123_456).token(&keys).as_str().to_owned().into_bytes();
            let at = at.index(token.len());
            token[at] = if token[at] == b'A' { b'B' } else { b'A' };
            let token = String::from_utf8(token).expect("ASCII");
            prop_assert_eq!(Account::of_token(&token, &keys), None);
        }

        #[test]
        fn no_text_is_a_token_by_chance(text in any::<String>(), other in "[A-Za-z0-9_-]{0,200}") {
            let keys = keys(b'k');
            prop_assert_eq!(Account::of_token(&text, &keys), None);
            prop_assert_eq!(Account::of_token(&other, &keys), None);
        }
    }
}
