//! Secret codes of verification mails, derived and never stored.
//!
//! Takes: a folder of keys. Gives: the [`Code`] of an intent's link: HMAC-SHA-256 (RFC 2104) of the intent's id under a
//! key, so every retry after a crash writes the identical link, and the hash under which the database knows it; and its
//! [`Digits`], derived alike, of which the database knows nothing: a hash of one million would be no secret. Does not:
//! decide whether a code is still good; `Store::verify_email` and `Store::verify_digits` do, by the database's clock.
//!
//! Rotation: put a new file under the name `current` and keep the old key under any other name. New codes are made with
//! `current`; mails that are still owed are written with the key named in their row, wherever its file is.

mod digits;

pub use digits::Digits;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Letters in a code: 32 of `a-z`, as the Go program's links have them, worth 150 bits.
pub const CODE_LENGTH: usize = 32;

/// Bytes a key must have at least: the output size of SHA-256 (RFC 2104, section 3).
const MIN_KEY_BYTES: usize = 32;

/// Separates these codes from anything else that may be derived from the same key.
const PURPOSE: &[u8] = b"signup verification code v1";

/// The same for what people type.
const DIGITS_PURPOSE: &[u8] = b"signup verification digits v1";

/// Separates fingerprints of requests from the codes.
const FINGERPRINT_PURPOSE: &[u8] = b"signup request fingerprint v1";

/// The keys that codes are derived from. `Debug` shows ids only.
#[derive(Clone)]
pub struct Keys {
    current: String,
    by_id: BTreeMap<String, Vec<u8>>,
}

/// The folder of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder or one of its files cannot be read.
    #[error("failed to read verification keys from {}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// There is no file `current`.
    #[error("verification key {} is missing; write at least 32 random bytes to it", path.display())]
    NoCurrent {
        /// Where it was expected.
        path: PathBuf,
    },
    /// A key is easy to guess.
    #[error("verification key {} has {bytes} bytes; give it at least 32 random bytes", path.display())]
    TooShort {
        /// The key's file.
        path: PathBuf,
        /// Bytes found, trailing line breaks not counted.
        bytes: usize,
    },
}

impl Keys {
    /// Loads every file of the folder; names that begin with a dot (Kubernetes' own links) are skipped, and line breaks
    /// at the end of a file do not count.
    ///
    /// # Errors
    ///
    /// [`KeysError`], naming the file.
    pub fn load(dir: &Path) -> Result<Self, KeysError> {
        let read_error = |path: &Path| {
            let path = path.to_owned();
            move |source| KeysError::Read { path, source }
        };
        let mut current = None;
        let mut by_id = BTreeMap::new();
        for entry in std::fs::read_dir(dir).map_err(read_error(dir))? {
            let path = entry.map_err(read_error(dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || !path.is_file() {
                continue;
            }
            let content = std::fs::read(&path).map_err(read_error(&path))?;
            let key = without_trailing_breaks(&content);
            if key.len() < MIN_KEY_BYTES {
                return Err(KeysError::TooShort { path, bytes: key.len() });
            }
            let id = key_id(key);
            if name == "current" {
                current = Some(id.clone());
            }
            by_id.insert(id, key.to_vec());
        }
        let current = current.ok_or_else(|| KeysError::NoCurrent { path: dir.join("current") })?;
        Ok(Self { current, by_id })
    }

    /// The id of the key new codes are made with: the first 8 hexadecimal digits of its SHA-256.
    pub fn current_id(&self) -> &str {
        &self.current
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// The code of an intent under the key of that id; `None` when that key is not there (any more).
    pub fn code(&self, key_id: &str, intent: Uuid) -> Option<Code> {
        self.by_id.get(key_id).map(|key| derive(key, intent))
    }

    /// What people type instead of the link, under the key of that id; `None` when that key is not there (any more).
    pub fn digits(&self, key_id: &str, intent: Uuid) -> Option<Digits> {
        self.by_id.get(key_id).map(|key| Digits::of(mac(key, DIGITS_PURPOSE, intent)))
    }

    /// A fingerprint of texts under the key of that id; `None` when that key is not there (any more). One of them may
    /// be a password: without the key nobody can try which one it was.
    pub fn fingerprint(&self, key_id: &str, of: &[&str]) -> Option<[u8; 32]> {
        Some(self.mac(key_id, FINGERPRINT_PURPOSE, of)?.finalize().into_bytes().into())
    }

    /// The MAC of texts for a purpose, to be finalized or compared.
    pub(crate) fn mac(&self, key_id: &str, purpose: &[u8], of: &[&str]) -> Option<Hmac<Sha256>> {
        let key = self.by_id.get(key_id)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length (RFC 2104)");
        mac.update(purpose);
        for text in of {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        Some(mac)
    }

    /// The code of an intent under the current key.
    pub fn current_code(&self, intent: Uuid) -> Code {
        derive(self.by_id.get(&self.current).map_or(&[], Vec::as_slice), intent)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("current", &self.current).field("ids", &self.by_id.keys()).finish()
    }
}

/// The secret of one link. `Debug` hides it; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// The 32 letters, for the link and nothing else.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the database stores.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(hidden)")
    }
}

/// SHA-256 of a code: the code is random enough for a plain hash.
pub(crate) fn hash(code: &str) -> [u8; 32] {
    Sha256::digest(code).into()
}

fn without_trailing_breaks(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

fn key_id(key: &[u8]) -> String {
    Sha256::digest(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn derive(key: &[u8], intent: Uuid) -> Code {
    Code(letters(mac(key, PURPOSE, intent)))
}

fn mac(key: &[u8], purpose: &[u8], intent: Uuid) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length (RFC 2104)");
    mac.update(purpose);
    mac.update(intent.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The 32 lowest digits to the base 26 of a big-endian 256-bit number; `a` is zero. Their distribution is uniform up to
/// 26^32 / 2^256, about 2^-105.
fn letters(mut number: [u8; 32]) -> String {
    let mut digit = || {
        let remainder = number.iter_mut().fold(0u32, |carry, byte| {
            let value = carry << 8 | u32::from(*byte);
            *byte = (value / 26) as u8;
            value % 26
        });
        char::from(b'a' + remainder as u8)
    };
    (0..CODE_LENGTH).map(|_| digit()).collect()
}
