//! The link of a verification mail: written into the mail, and read again from what programs made of it.
//!
//! Takes: the two parts of a link, or the query of a request. Gives: the URL; or the two parts again. Does not: check
//! the code (PostgreSQL does), or read codes of another form than ours and the Go program's: 32 small letters.
//!
//! People copy links out of mails, and programs on the way wrap, quote or escape them. A code is 32 small letters and
//! an id is digits, so what else stands around or inside them is nobody's secret and can be left out.

use crate::verification::{CODE_LENGTH, Code};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Separates these ids from anything else that may be derived from an intent's.
const ID_PURPOSE: &[u8] = b"signup link id v1";

/// Bits of an id that differ: with the one above them it is below 2^53, which programs that know floating point
/// numbers only (ECMAScript) still read exactly.
const ID_BITS: u32 = 52;

/// The two parts of a link.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Row of `verify_emails`; 1 or more.
    pub email_id: i64,
    /// 32 small letters. Secret.
    pub secret_code: String,
}

/// The page that verifies an address. `public_url` may end with a slash; digits and letters need no escape.
pub fn url(public_url: &str, email_id: i64, code: &Code) -> String {
    format!("{}/verify_email?email_id={email_id}&secret_code={}", public_url.trim_end_matches('/'), code.as_str())
}

/// The page where the digits of a mail are typed.
pub fn digits_url(public_url: &str) -> String {
    format!("{}/verify_code", public_url.trim_end_matches('/'))
}

/// The id of an intent's link: the same for every copy, and nothing that could be counted. 52 bits of SHA-256 over the
/// intent's id, which is random itself; always 16 digits, so never one of the sequence that the Go program takes its
/// ids from.
pub(crate) fn id(intent: Uuid) -> i64 {
    let bits = number_of(ID_PURPOSE, intent.as_bytes()) >> (u64::BITS - ID_BITS);
    (1 << ID_BITS | bits).cast_signed()
}

/// The first 64 bits of SHA-256 over a purpose and what the number is of.
pub(crate) fn number_of(purpose: &[u8], of: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(purpose).chain_update(of).finalize();
    digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

impl Link {
    /// Reads the query of a link that went through people's programs: `&amp;` for `&`, escapes and quoted-printable
    /// text (RFC 2045, 6.7) left as they were, line breaks and blanks inside, any mark or word at the end. `None`
    /// unless both parts are there, once.
    pub fn from_damaged(query: &[u8]) -> Option<Self> {
        let (mut email_id, mut secret_code) = (None, None);
        for parameter in decoded(query).split('&') {
            // A soft break may stand inside the name, too, so it is matched without.
            let parameter: String = parameter.chars().filter(|c| *c != '=' && !c.is_whitespace()).collect();
            let parameter = parameter.trim_start_matches("amp;");
            let value_of = |names: [&str; 2]| {
                let value = names.iter().find_map(|name| parameter.strip_prefix(name))?;
                // `=3D` is how quoted-printable writes `=`.
                Some(value.strip_prefix("3D").unwrap_or(value))
            };
            if let Some(value) = value_of(["email_id", "emailId"]) {
                let id = value.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse().ok();
                put(&mut email_id, id.filter(|id| *id > 0)?)?;
            } else if let Some(value) = value_of(["secret_code", "secretCode"]) {
                let code: String = value.chars().take_while(char::is_ascii_lowercase).take(CODE_LENGTH).collect();
                put(&mut secret_code, Some(code).filter(|code| code.len() == CODE_LENGTH)?)?;
            }
        }
        Some(Self { email_id: email_id?, secret_code: secret_code? })
    }
}

/// `None`: there is another value already.
fn put<T: PartialEq>(slot: &mut Option<T>, value: T) -> Option<()> {
    let is_other = slot.as_ref().is_some_and(|found| *found != value);
    *slot = Some(value);
    (!is_other).then_some(())
}

/// Percent escapes resolved where they are whole; `+` is a blank.
fn decoded(query: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &rest[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODE: &str = "abcdefghijklmnopqrstuvwxyzabcdef";

    fn is_read(query: &str) -> bool {
        let link = Link::from_damaged(query.as_bytes());
        link.is_some_and(|link| (link.email_id, link.secret_code.as_str()) == (7, CODE))
    }

    #[test]
    fn a_link_as_peoples_programs_hand_it_over_is_read() {
        let whole = format!("email_id=7&secret_code={CODE}");
        for query in [
            whole.clone(),
            whole.replace('&', "&amp;"),
            whole.replace('&', "&amp;amp;"),
            whole.replace('&', "%26amp%3B").replace('=', "%3D"),
            whole.replace('=', "=3D"),
            whole.replace("mnop", "mn=%0D%0Aop"),
            whole.replace("mnop", "mn=%0Aop"),
            whole.replace("mnop", "mn%0Aop"),
            whole.replace("mnop", "mn%20op"),
            // Browsers drop a line break in an address and leave the `=` before it.
            whole.replace("mnop", "mn=op"),
            whole.replace("secret", "sec=ret"),
            whole.replace("7&", "=7&"),
        ] {
            assert!(is_read(&query), "{query}");
        }
        for end in
            [".", ",", ">", "%3E", ")", "%20", "+", "/", "&gt;", "%22", "*", "_", "]", "%E3%80%82", "%C2%A0", ".Thanks"]
        {
            assert!(is_read(&format!("{whole}{end}")), "{end}");
        }
    }

    #[test]
    fn what_lacks_a_part_or_has_two_is_not_read() {
        let whole = format!("email_id=7&secret_code={CODE}");
        for query in [
            String::new(),
            "email_id=7".into(),
            format!("secret_code={CODE}"),
            format!("email_id=0&secret_code={CODE}"),
            format!("email_id=x7&secret_code={CODE}"),
            format!("email_id=99999999999999999999&secret_code={CODE}"),
            format!("email_id=7&secret_code={}", &CODE[1..]),
            whole.replace("mnop", "mn.op"),
            format!("{whole}&email_id=8"),
            format!("{whole}&secret_code={}", CODE.to_owned().replace('a', "b")),
        ] {
            assert!(Link::from_damaged(query.as_bytes()).is_none(), "{query}");
        }
    }

    #[test]
    fn the_id_of_a_link_is_a_function_of_its_intent() {
        // Worked out with sha256sum; a change would give mails that are owed another link.
        assert_eq!(id(Uuid::nil()), 4_890_684_837_396_668);
        assert_eq!(id(Uuid::max()), 5_411_155_048_274_542);
    }

    proptest! {
        #[test]
        fn an_id_has_sixteen_digits_and_is_read_exactly_as_a_floating_point_number(intent in any::<u128>()) {
            let id = id(Uuid::from_u128(intent));
            prop_assert!((1i64 << 52..1i64 << 53).contains(&id), "{}", id);
            prop_assert_eq!(id.to_string().len(), 16);
        }

        #[test]
        fn a_link_survives_one_break_anywhere_and_any_end(
            id in 1i64..=i64::MAX,
            code in "[a-z]{32}",
            at in 0usize..100,
            inserted in prop_oneof!["=\r\n", "=%0D%0A", "=%0A", "%0A", "\r\n", "="],
            end in "[^a-z0-9&=]{0,8}",
        ) {
            let query = format!("email_id={id}&secret_code={code}");
            let (before, after) = query.split_at(at.min(query.len()));
            let link = Link::from_damaged(format!("{before}{inserted}{after}{end}").as_bytes());
            let is_read = link == Some(Link { email_id: id, secret_code: code });
            prop_assert!(is_read);
        }

        #[test]
        fn no_bytes_panic_and_only_codes_and_ids_come_out(query in proptest::collection::vec(any::<u8>(), 0..150)) {
            if let Some(link) = Link::from_damaged(&query) {
                prop_assert!(link.email_id > 0 && link.secret_code.len() == CODE_LENGTH);
            }
        }
    }
}
