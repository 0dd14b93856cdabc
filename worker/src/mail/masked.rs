//! A server's text without what is nobody else's business.
//!
//! Takes: what a server wrote, and the names it may repeat. Gives: the same text without addresses, these names, the
//! paths of links and whatever is long enough to be a token; it may be shown in conditions and logs. Does not: keep the
//! text for PostgreSQL, which has it whole.

/// Stands for what was taken out.
const GAP: &str = "\u{2026}";
/// Codes of links have 32 letters, and the identifiers that servers add help nobody but them.
const TOKEN_LETTERS: usize = 20;

/// The text, for people. `names` are local parts, user names and the like; a name is found as a whole word, in any
/// case.
pub(super) fn masked(text: &str, names: &[&str]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut is_in_brackets = false;
    for word in text.split_whitespace() {
        if !shown.is_empty() && !is_in_brackets {
            shown.push(' ');
        }
        push_word(&mut shown, word, &mut is_in_brackets);
    }
    names.iter().fold(shown, |shown, name| without(&shown, name))
}

/// What stands in angle brackets is an address or a name that somebody else chose.
fn push_word(shown: &mut String, word: &str, is_in_brackets: &mut bool) {
    let mut rest = word;
    while !rest.is_empty() {
        let (end, opens) = if *is_in_brackets { (rest.find('>'), false) } else { (rest.find('<'), true) };
        let (piece, after) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end..]));
        if !*is_in_brackets {
            shown.push_str(&piece_for_people(piece));
        }
        if end.is_some() {
            shown.push_str(if opens { "<\u{2026}" } else { ">" });
            *is_in_brackets = opens;
        }
        rest = after.get(1..).unwrap_or_default();
    }
}

fn piece_for_people(piece: &str) -> String {
    if let Some((scheme, link)) = piece.split_once("://") {
        let host = link.split(['/', '?', '#', ':', '@']).next().unwrap_or_default();
        return if link.contains('@') { GAP.to_owned() } else { format!("{scheme}://{}", piece_without_tokens(host)) };
    }
    if piece.contains('@') {
        return GAP.to_owned();
    }
    piece_without_tokens(piece)
}

fn piece_without_tokens(piece: &str) -> String {
    let is_token = |run: &str| run.chars().filter(|letter| letter.is_alphanumeric()).count() >= TOKEN_LETTERS;
    let is_joint = |letter: char| !letter.is_alphanumeric() && !"-_=+/%".contains(letter);
    piece.split_inclusive(is_joint).map(|run| if is_token(run) { GAP } else { run }).collect()
}

fn without(text: &str, name: &str) -> String {
    let lower =
        |text: &str| text.chars().map(|letter| letter.to_lowercase().next().unwrap_or(letter)).collect::<Vec<_>>();
    let (letters, folded, name) = (text.chars().collect::<Vec<_>>(), lower(text), lower(name));
    let is_edge = |at: Option<&char>| at.is_none_or(|letter| !letter.is_alphanumeric());
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let begins = at == 0 || is_edge(folded.get(at - 1));
        if !name.is_empty() && begins && folded[at..].starts_with(&name) && is_edge(folded.get(at + name.len())) {
            shown.push_str(GAP);
            at += name.len();
        } else {
            shown.push(letters[at]);
            at += 1;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_helps_stays() {
        for (text, names, shown) in [
            (
                "5.5.2 <worker-7d9f>: Helo command rejected: need fully-qualified hostname",
                &[][..],
                "5.5.2 <\u{2026}>: Helo command rejected: need fully-qualified hostname",
            ),
            (
                "5.7.1 <no-reply@example.com>: Sender address rejected: not owned by user app",
                &["alice", "app"],
                "5.7.1 <\u{2026}>: Sender address rejected: not owned by user \u{2026}",
            ),
            ("no alice@example.com here, Alice", &["alice"], "no \u{2026} here, \u{2026}"),
            ("see https://support.example/mail/?p=NoSuchUser for why", &[], "see https://support.example for why"),
            ("<a b@x> gone", &[], "<\u{2026}> gone"),
            ("unfinished <alice", &[], "unfinished <\u{2026}"),
            ("id a640c23a62f3ab8b1d4sigsmtp - gsmtp", &[], "id \u{2026} - gsmtp"),
        ] {
            assert_eq!(masked(text, names), shown, "{text}");
        }
    }

    /// Text as servers write it, with holes.
    fn words() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[A-Za-z0-9 .:;,()\\[\\]-]{0,12}", 2..5)
    }

    proptest! {
        #[test]
        fn no_address_is_shown(
            words in words(),
            local in "[a-z][a-z0-9.+_-]{0,14}[a-z0-9]",
            domain in "[a-z]{1,8}\\.[a-z]{2,5}",
            around in "[<(\\[\"' ]?",
        ) {
            let address = format!("{local}@{domain}");
            let text = words.join(&format!("{around}{address}"));
            let shown = masked(&text, &[&local]);
            prop_assert!(!shown.contains('@') && !shown.contains(&address), "{} in {}", address, shown);
        }

        #[test]
        fn no_name_is_shown_as_a_word(words in words(), name in "[a-z][a-z0-9._+-]{0,14}[a-z0-9]", is_upper: bool) {
            let written = if is_upper { name.to_uppercase() } else { name.clone() };
            let shown = masked(&words.join(&format!(" {written}: ")), &[&name]).to_lowercase();
            let is_word = |at: usize| {
                let after = &shown[at + name.len()..];
                !shown[..at].ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
            };
            prop_assert!(!shown.match_indices(&name).any(|(at, _)| is_word(at)), "{} in {}", name, shown);
        }

        #[test]
        fn no_code_of_a_link_is_shown(
            words in words(),
            code in "[a-z]{32}",
            before in "(https://app\\.example\\.com/v1/verify\\?secret_code=|code=|\"|)",
        ) {
            let shown = masked(&words.join(&format!(" {before}{code} ")), &[]);
            prop_assert!(!shown.contains(&code), "{} in {}", code, shown);
        }

        #[test]
        fn any_text_can_be_masked(text in "\\PC{0,80}", name in "\\PC{0,8}") {
            masked(&text, &[&name]);
        }
    }
}
