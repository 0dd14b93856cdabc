//! Six digits that people type instead of opening a link.
//!
//! Takes: a MAC, or what was typed. Gives: [`Digits`]. Does not: count how often somebody tried; `Store::verify_digits`
//! does.

use std::fmt;

/// There are so many of them.
const MAX_DIGITS: u64 = 1_000_000;

/// Six digits, for people who read their mail on another device. `Debug` hides them; there is no `Display`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digits(u32);

impl Digits {
    /// Of the 2^64 numbers in front of a MAC each is hit evenly but for 2^-44.
    pub(super) fn of(mac: [u8; 32]) -> Self {
        let number = mac.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        Self((number % MAX_DIGITS) as u32)
    }

    /// Reads what people type or paste: blanks, dashes and marks of direction may stand between, and the digits may be
    /// those of Arabic, Persian or East Asian keyboards. `None` unless there are six.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut number, mut count) = (0, 0);
        for letter in text.chars() {
            let digit = match letter {
                '0'..='9' => u32::from(letter) - u32::from('0'),
                '\u{660}'..='\u{669}' => u32::from(letter) - 0x660,
                '\u{6f0}'..='\u{6f9}' => u32::from(letter) - 0x6f0,
                '\u{ff10}'..='\u{ff19}' => u32::from(letter) - 0xff10,
                '-' | '\u{2010}'..='\u{2013}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2069}' => continue,
                letter if letter.is_whitespace() => continue,
                _ => return None,
            };
            count += 1;
            if count > 6 {
                return None;
            }
            number = number * 10 + digit;
        }
        (count == 6).then_some(Self(number))
    }

    /// The six digits, for the mail and nothing else.
    pub fn text(self) -> String {
        format!("{:06}", self.0)
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_read_as_people_type_and_paste_them() {
        for text in
            ["012345", " 012 345\n", "012-345", "٠١٢٣٤٥", "۰۱۲۳۴۵", "０１２３４５", "\u{2068}012\u{2011}345\u{2069}"]
        {
            assert_eq!(Digits::parse(text), Some(Digits(12_345)), "{text}");
        }
        for text in ["", "12345", "0123456", "12345a", "①②③④⑤⑥", "1.2345", "+12345"] {
            assert_eq!(Digits::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn all_of_them_are_read_as_they_are_written(mac in any::<[u8; 32]>()) {
            let digits = Digits::of(mac);
            prop_assert_eq!(digits.text().len(), 6);
            prop_assert_eq!(Digits::parse(&digits.text()), Some(digits));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Digits::parse(&text);
        }
    }
}
