//! Secrets in logs and metrics.
//!
//! Takes: everything the programs printed and serve, and every secret of the pipeline. Gives: the lines that show one.
//! Does not: know which line belongs to whom. Users' names may be shown; everything else that a client sends carries
//! `MARK`, so one search finds addresses, passwords and full names.

use std::collections::HashSet;

/// Part of every address, password and full name that tests send, of the SMTP password and of the key.
pub(crate) const MARK: &str = "canary";

/// Letters in a verification code.
const CODE_LENGTH: usize = 32;

/// Lines of `text` that show a secret; `source` says where the text is from.
pub fn leaks(source: &str, text: &str, secrets: &[String], codes: &HashSet<String>) -> Vec<String> {
    let shows_a_secret = |line: &&str| {
        // Masked addresses (c***@e***.com) do not hold the mark.
        line.to_lowercase().contains(MARK)
            || secrets.iter().any(|secret| line.contains(secret.as_str()))
            || words(line).any(|word| codes.contains(word))
    };
    text.lines().filter(shows_a_secret).map(|line| format!("{source}: {line}")).collect()
}

/// The secret codes of the links in a mail.
pub fn codes(mail: &str) -> impl Iterator<Item = &str> {
    words(mail).filter(|word| word.len() == CODE_LENGTH && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// The password of a connection URI.
pub fn password(uri: &str) -> Option<String> {
    let (user_info, _) = uri.split_once("://")?.1.split_once('@')?;
    user_info.split_once(':').map(|(_, password)| password.to_owned())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_secret_is_found_and_nothing_else() {
        let code = "abcdefghijklmnopqrstuvwxyzabcdef";
        let text = format!("user_1 c***@e***.com\nCanary.1@example.com\nGET /?secret_code={code}&x\nuri s3cret\nfine");
        let found = leaks("log", &text, &["s3cret".into()], &HashSet::from([code.to_owned()]));
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn codes_and_passwords_are_read_from_links_and_uris() {
        let code = "abcdefghijklmnopqrstuvwxyzabcdef";
        let mail = format!("see http://localhost/verify_email?email_id=1&secret_code={code} now");
        assert_eq!(codes(&mail).collect::<Vec<_>>(), [code]);
        assert_eq!(password("redis://:pass@127.0.0.1:1/0").as_deref(), Some("pass"));
        assert_eq!(password("postgres://postgres:pass@127.0.0.1:1/x").as_deref(), Some("pass"));
    }
}
