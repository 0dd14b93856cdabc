//! Full names.
//!
//! Takes: text from a request. Gives: a [`FullName`] that can stand in a mail: in normalisation form C (UAX 15), on one
//! line, and with nothing in it that a mail program makes a link of. Does not: know how names are built; any order of
//! letters is one. Line breaks are refused although the Go program's pattern `^[a-zA-Z\s]+$` lets them through, because
//! the name is written into mails.

use crate::violation::{Violation, check_length, length_text};
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Bytes of the shortest name, as in the Go program: two letters of most scripts, one of some.
const SHORTEST: usize = 3;

/// Characters of the longest one.
const LONGEST: usize = 100;

/// A full name. Personal: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct FullName(String);

impl FullName {
    /// Parses a name of 3 bytes to 100 characters, as it is stored: letters and marks of any script, blanks, `'`, `’`,
    /// `-`, and `.` between a letter and a blank or at the end (`J. R. R. Tolkien Jr.`): `evil.example` would be a
    /// link. Blanks of any script are kept as spaces; tabs stay.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `full_name`: its length first, then its letters.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        // Composing makes one character of four at most (UAX 15, section 12), so what is cut off here is refused.
        let name: String = text.chars().take(4 * LONGEST + 1).map(with_plain_blanks).nfc().collect();
        if name.len() < SHORTEST || name.chars().count() > LONGEST {
            return Err(Violation::new("full_name", length_text(SHORTEST, LONGEST)));
        }
        let mut before = None;
        let mut rest = name.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '.' if !before.is_some_and(is_letter_or_mark) || rest.peek().is_some_and(|next| !is_blank(*next)) => {
                    let text = "must have . only between a letter and a space, or at the end";
                    return Err(Violation::new("full_name", text));
                }
                '.' | '\'' | '’' | '-' => {}
                other if is_blank(other) || is_letter_or_mark(other) => {}
                _ => return Err(Violation::new("full_name", LETTERS)),
            }
            before = Some(character);
        }
        Ok(Self(name))
    }

    /// Parses a name by the Go program's rule: 3 to 100 bytes of ASCII letters, spaces and tabs.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `full_name`: its length first, then its letters.
    pub fn parse_ascii(text: &str) -> Result<Self, Violation> {
        check_length("full_name", text, SHORTEST, LONGEST)?;
        if text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b' ' || byte == b'\t') {
            return Ok(Self(text.to_owned()));
        }
        Err(Violation::new("full_name", LETTERS))
    }

    /// The name as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What clients of the Go program compare; it is nearly true of the wider rule, too.
const LETTERS: &str = "must contain only letters or spaces";

/// Keyboards of East Asia type U+3000 between two names, and texts are pasted with U+00A0.
fn with_plain_blanks(character: char) -> char {
    let is_space = character.general_category() == unicode_properties::GeneralCategory::SpaceSeparator;
    if is_space { ' ' } else { character }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

fn is_letter_or_mark(character: char) -> bool {
    matches!(character.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark)
}

impl fmt::Debug for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FullName(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_spaces_and_tabs_are_accepted_by_both_rules() {
        for name in ["Alice", "Alice New", "A b\tC", "   ", &"a".repeat(100)] {
            assert_eq!(FullName::parse(name).expect(name).as_str(), name);
            assert_eq!(FullName::parse_ascii(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn names_of_all_scripts_are_accepted_as_people_write_them() {
        for name in [
            "José Núñez",
            "Nguyễn Thị Minh Khai",
            "O'Brien",
            "O’Brien",
            "Jean-Luc Ağaoğlu",
            "王芳",
            "محمد بن سلمان",
            "नरेंद्र मोदी",
            "Ζωή Παπαδοπούλου",
            "Владимир",
            "J. R. R. Tolkien",
            "Sammy Davis Jr.",
            "Dr. Éowyn",
            "ชัชชาติ สิทธิพันธุ์",
            "ʻOkina Kealoha",
            &"é".repeat(100),
        ] {
            assert_eq!(FullName::parse(name).expect(name).as_str(), name);
            assert!(FullName::parse_ascii(name).is_err(), "{name}");
        }
    }

    #[test]
    fn two_writings_of_one_name_are_stored_as_one() {
        for (written, stored) in [("Jose\u{301}", "José"), ("山田\u{3000}太郎", "山田 太郎"), ("A\u{a0}Bc", "A Bc")]
        {
            assert_eq!(FullName::parse(written).expect(written).as_str(), stored);
        }
    }

    #[test]
    fn what_a_mail_program_makes_a_link_of_is_no_name() {
        let dot = "must have . only between a letter and a space, or at the end";
        for name in ["evil.example", "Buy at evil.example", "J.R. Tolkien", ".Net", "Al..", "Ali .", "a . b", "été.fr"]
        {
            assert_eq!(FullName::parse(name), Err(Violation::new("full_name", dot)), "{name}");
        }
        for name in
            ["http://evil", "evil@example", "evil。example", "evil．example", "evil․example", "www/evil", "+4912"]
        {
            assert_eq!(FullName::parse(name), Err(Violation::new("full_name", LETTERS)), "{name}");
        }
    }

    #[test]
    fn each_mistake_has_the_text_clients_know() {
        let length = "must contain from 3-100 characters";
        let cases = [("", length), ("Al", length), ("1", length), ("Al1ce", LETTERS), ("<b>Al</b>", LETTERS)];
        let breaks = [("Alice\r\nBcc: x", LETTERS), ("Al\0ice", LETTERS), ("Alice\n", LETTERS), ("Al\x0cice", LETTERS)];
        let invisible = [("Al\u{202e}ice", LETTERS), ("Al\u{200b}ice", LETTERS), ("Al\u{2028}ice", LETTERS)];
        for (name, text) in cases.into_iter().chain(breaks).chain(invisible).chain([("é".repeat(101).as_str(), length)])
        {
            assert_eq!(FullName::parse(name), Err(Violation::new("full_name", text)), "{name:?}");
            let text = if name.len() > 100 { length } else { text };
            assert_eq!(FullName::parse_ascii(name), Err(Violation::new("full_name", text)), "{name:?}");
        }
        assert_eq!(FullName::parse_ascii("José"), Err(Violation::new("full_name", LETTERS)));
        assert_eq!(FullName::parse_ascii(&"é".repeat(51)), Err(Violation::new("full_name", length)));
        // Three bytes as they are sent, two as they are stored.
        for name in ["\u{1f7b}", "e\u{301}"] {
            assert_eq!(FullName::parse(name), Err(Violation::new("full_name", length)), "{name:?}");
        }
        assert_eq!(FullName::parse(&"a\u{301}".repeat(50_000)), Err(Violation::new("full_name", length)));
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_again_as_itself_and_neither_breaks_a_line_nor_makes_a_link(
            text in prop_oneof![any::<String>(), "[\\p{L}\\p{M}\\p{Zs}.'-]{0,30}", "[a-z. ]{3,20}"]
        ) {
            if let Ok(name) = FullName::parse(&text) {
                prop_assert_eq!(&FullName::parse(name.as_str()).expect("what is stored is a name"), &name);
                prop_assert!(!name.as_str().chars().any(|one| one.is_control() && one != '\t'));
                let inside = name.as_str().split('.').skip(1).filter(|rest| !rest.is_empty());
                prop_assert!(inside.into_iter().all(|rest| rest.starts_with(is_blank)), "{}", name.as_str());
            }
        }

        #[test]
        fn what_the_go_program_takes_is_taken_by_both_rules_but_for_line_breaks(text in "[a-zA-Z \t]{0,110}") {
            prop_assert_eq!(FullName::parse(&text), FullName::parse_ascii(&text));
        }
    }
}
