//! The name of a configuration: what the operator writes, and what the processes say they have in force, must agree.
//!
//! Takes: bytes. Gives: a short text. Does not: keep secrets; a caller that hashes one adds a salt.

use sha2::{Digest as _, Sha256};

/// First 16 hexadecimal digits of the SHA-256 of the `parts`, one after the other.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_beginning_of_what_sha256sum_prints() {
        // printf abc | sha256sum
        assert_eq!(hash([&b"a"[..], b"bc"]), "ba7816bf8f01cfea");
    }
}
