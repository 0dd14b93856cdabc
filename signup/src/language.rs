//! The languages that mails and pages are written in.
//!
//! Takes: the language tag of a signup, or the header `Accept-Language` of a browser. Gives: a [`Locale`] to store, a
//! [`Language`] to write in. Does not: hold any text of a mail or a page.

use crate::Violation;

/// Bytes of a tag at most (BCP 47, section 4.4.1, recommends room for 35).
const MAX_TAG_BYTES: usize = 35;

/// A language that everything is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Language {
    /// Where nothing else is asked for.
    #[default]
    English,
    /// German.
    German,
    /// Vietnamese.
    Vietnamese,
    /// Arabic, from right to left.
    Arabic,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::English, Self::German, Self::Vietnamese, Self::Arabic];

    /// Its tag (BCP 47), for `lang` and `Content-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Vietnamese => "vi",
            Self::Arabic => "ar",
        }
    }

    /// The direction of its writing, for `dir`.
    pub fn direction(self) -> &'static str {
        match self {
            Self::English | Self::German | Self::Vietnamese => "ltr",
            Self::Arabic => "rtl",
        }
    }

    /// The language of a tag, whatever its region or script; `None` when nothing is written in it.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The one that a browser would rather have (RFC 9110, 12.5.4); of equals the first. English when it wants none.
    pub fn accepted(header: &str) -> Self {
        let mut best = (0, Self::default());
        for range in header.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight(parameters.trim());
            let language = if tag.trim() == "*" { Some(Self::default()) } else { Self::of_tag(tag.trim()) };
            if let Some(language) = language
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// Thousandths of `q=0.8`; 1000 without it, 0 for what cannot be read.
fn weight(parameters: &str) -> u32 {
    let Some(value) = parameters.strip_prefix(['q', 'Q']).and_then(|rest| rest.trim().strip_prefix('=')) else {
        return if parameters.is_empty() { 1000 } else { 0 };
    };
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let is_number = fraction.len() <= 3 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    match whole {
        "1" if is_number => 1000,
        "0" if is_number => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// The language tag that a user gave, such as `de-AT`. It need not be one that anything is written in: another may be
/// by the time the mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale(String);

impl Locale {
    /// Reads a tag; none when it is empty. `_` stands for `-`, as programs write it. No language is registered under
    /// more than three letters.
    ///
    /// # Errors
    ///
    /// A [`Violation`] of `locale`.
    pub fn parse(text: &str) -> Result<Option<Self>, Violation> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut subtags = text.split(['-', '_']);
        let is_language = |tag: &str| (2..=3).contains(&tag.len()) && tag.bytes().all(|c| c.is_ascii_alphabetic());
        let is_subtag = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|c| c.is_ascii_alphanumeric());
        let is_tag = text.len() <= MAX_TAG_BYTES && subtags.next().is_some_and(is_language) && subtags.all(is_subtag);
        if !is_tag {
            return Err(Violation::new("locale", "must be a language tag such as en or de-AT"));
        }
        Ok(Some(Self(text.replace('_', "-"))))
    }

    /// The tag, with `-` between its parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_language_is_among_all() {
        // A new one gets the next number here, and its place in `ALL`.
        let place = |language| match language {
            Language::English => 0,
            Language::German => 1,
            Language::Vietnamese => 2,
            Language::Arabic => 3,
        };
        assert_eq!(Language::ALL.map(place).to_vec(), (0..4).collect::<Vec<_>>());
    }

    #[test]
    fn a_browser_gets_the_language_that_it_would_rather_have() {
        for (header, language) in [
            ("", Language::English),
            ("de", Language::German),
            ("fr-FR, fr;q=0.9, de-CH;q=0.8, en;q=0.7", Language::German),
            ("en;q=0.5, vi;q=0.9", Language::Vietnamese),
            ("de;q=0, ar", Language::Arabic),
            ("AR-eg , en", Language::Arabic),
            ("fr, *;q=0.5, de;q=0.3", Language::English),
            ("ja", Language::English),
            ("de;q=2, vi;q=0.1", Language::Vietnamese),
            ("de;q=0.1234, vi; q = 0.1", Language::Vietnamese),
            ("deutsch, den", Language::English),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }

    #[test]
    fn a_locale_is_a_language_tag() {
        for (text, tag) in
            [("de", "de"), ("pt_BR", "pt-BR"), ("zh-Hant-TW", "zh-Hant-TW"), ("ar-EG-u-nu-latn", "ar-EG-u-nu-latn")]
        {
            assert_eq!(Locale::parse(text).expect(text).expect(text).as_str(), tag);
        }
        assert_eq!(Locale::parse("").expect("none"), None);
        for text in
            ["d", "German", "de-", "-de", "de--at", "d3", "de\r\nBcc: x", "dé", "de-abcdefghi", &"de-abc".repeat(8)]
        {
            assert!(Locale::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_and_no_tag_panics(text in any::<String>()) {
            let _ = Language::accepted(&text);
            if let Ok(Some(locale)) = Locale::parse(&text) {
                prop_assert!(locale.as_str().len() <= MAX_TAG_BYTES && locale.as_str().is_ascii());
            }
        }
    }
}
