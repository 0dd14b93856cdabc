//! The signature of a request, as the Standard Webhooks specification says (symmetric, v1).
//!
//! Takes: the secrets, one a line: `whsec_` and base64, as its libraries make them. Gives: the value of the header
//! `webhook-signature`, with a signature by each secret, so that a secret can be replaced while the receiver knows the
//! old or the new one. Does not: show a secret.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes that a secret must have at least, by the specification.
const MIN_BYTES: usize = 24;

/// Some libraries write secrets without the `=` at the end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// No signature can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSignature {
    #[error("the Secret of secretRef holds no secret; write whsec_ and 24 to 64 random bytes in base64")]
    Missing,
    #[error("a line in the Secret of secretRef is no secret; write whsec_ and 24 to 64 random bytes in base64")]
    Malformed,
}

/// The header's value for a message of that id, time (seconds since 1970) and body.
pub(super) fn of(secrets: &str, id: &str, timestamp: i64, body: &str) -> Result<String, NoSignature> {
    let mut signatures = Vec::new();
    for line in secrets.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let key = LENIENT.decode(line.strip_prefix("whsec_").unwrap_or(line)).map_err(|_| NoSignature::Malformed)?;
        if key.len() < MIN_BYTES {
            return Err(NoSignature::Malformed);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of every length (RFC 2104)");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        signatures.push(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    }
    if signatures.is_empty() { Err(NoSignature::Missing) } else { Ok(signatures.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 24 bytes.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn each_secret_signs_and_the_prefix_may_be_missing() {
        // Worked out with hmac of Python; the tests of the program ask the specification's own library.
        let expected = "v1,8WmO9OATkSvjxs+eEJolmK2V9ge32ryGE0kSd4GZiDY=";
        let of = |secrets: &str| of(secrets, "msg_1", 1_614_265_330, "{\"a\":1}");
        let one = of(SECRET).expect("a secret");
        assert_eq!(of(&SECRET["whsec_".len()..]), Ok(one.clone()));
        assert_eq!(of(&format!("\n{SECRET}\r\n{SECRET}\n")), Ok(format!("{one} {one}")));
        assert_eq!(one, expected);
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for (secrets, why) in [
            ("", NoSignature::Missing),
            ("\n \n", NoSignature::Missing),
            ("whsec_", NoSignature::Malformed),
            ("whsec_c2hvcnQ=", NoSignature::Malformed),
            ("whsec_c2hvcnQ", NoSignature::Malformed),
            ("whsec_not base64", NoSignature::Malformed),
        ] {
            assert_eq!(of(secrets, "id", 0, ""), Err(why), "{secrets:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = of(&text, "id", 0, "body");
        }
    }
}
