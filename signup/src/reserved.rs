//! User names that belong to the site: `admin`, `postmaster` and the like.
//!
//! Takes: a user name. Gives: whether a stranger who has it could be taken for the site, by the list in
//! `reserved_usernames.txt`. Does not: look at users who have such a name already.

use std::{collections::HashSet, sync::LazyLock};

static NAMES: LazyLock<HashSet<&str>> = LazyLock::new(|| names().collect());

fn names() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("reserved_usernames.txt").lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Underscores do not count: `web_master` is as good as `webmaster`.
pub(crate) fn is_reserved(username: &str) -> bool {
    if username.contains('_') {
        return NAMES.contains(username.replace('_', "").as_str());
    }
    NAMES.contains(username)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_name_that_could_be_asked_for_and_stands_there_once() {
        let mut seen = HashSet::new();
        for name in names() {
            let is_form = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            assert!(name.len() >= 3 && is_form && seen.insert(name), "{name}");
        }
    }

    #[test]
    fn the_mailboxes_of_rfc_2142_are_in_the_list() {
        for name in [
            "info",
            "marketing",
            "sales",
            "support",
            "abuse",
            "noc",
            "security",
            "postmaster",
            "hostmaster",
            "usenet",
            "news",
            "webmaster",
            "www",
            "uucp",
            "ftp",
        ] {
            assert!(is_reserved(name), "{name}");
        }
    }
}
