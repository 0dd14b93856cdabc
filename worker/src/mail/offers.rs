//! What a server offers in its answer to EHLO.
//!
//! Takes: the text of the reply. Gives: the extensions that we use, and those alone. Does not: fail: a line that
//! cannot be read is an extension that is not used. (smtp-proto's own reading of EHLO gives up at the first odd line,
//! and with it STARTTLS.)

/// Extensions (RFC 5321 section 4.1.1.1). The default offers nothing, like a server that knows HELO only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// Several commands at once (RFC 2920).
    pub(super) pipelining: bool,
    /// RFC 3207.
    pub(super) starttls: bool,
    /// Addresses outside ASCII (RFC 6531).
    pub(super) smtputf8: bool,
    /// Messages outside ASCII (RFC 6152).
    pub(super) eight_bit: bool,
    /// It wants to know the size of a message first (RFC 1870).
    pub(super) size: bool,
    /// Most bytes of a message; `None`: it does not say.
    pub(super) max_size: Option<usize>,
    /// Mechanisms of AUTH (RFC 4954), in capitals.
    pub(super) mechanisms: Vec<String>,
}

impl Offers {
    /// Reads the lines after the first, which is the server's name.
    pub(super) fn read(text: &str) -> Self {
        let mut offers = Self::default();
        for line in text.lines().skip(1).map(str::to_ascii_uppercase) {
            // Some servers also write `AUTH=LOGIN`, for clients older than RFC 4954.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("STARTTLS") => offers.starttls = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("AUTH") => offers.mechanisms.extend(words.map(str::to_owned)),
                Some("SIZE") => {
                    offers.size = true;
                    // 0 means that there is no fixed limit.
                    offers.max_size = words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
                }
                _ => {}
            }
        }
        offers
    }

    /// `name` in capitals.
    pub(super) fn has_mechanism(&self, name: &str) -> bool {
        self.mechanisms.iter().any(|mechanism| mechanism == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extensions_are_read_in_any_case_and_order() {
        let text = "mx.example.com greets you\nSIZE 52428800\n8bitmime\nPipelining\nAUTH PLAIN login\n\
                    AUTH=XOAUTH2\nSTARTTLS\nSMTPUTF8\nX-ODD \u{fffd}\u{fffd}\nFUTURERELEASE soon";
        let offers = Offers {
            pipelining: true,
            starttls: true,
            smtputf8: true,
            eight_bit: true,
            size: true,
            max_size: Some(52_428_800),
            mechanisms: ["PLAIN", "LOGIN", "XOAUTH2"].map(String::from).to_vec(),
        };
        assert_eq!(Offers::read(text), offers);
    }

    #[test]
    fn the_name_of_a_server_offers_nothing_and_a_size_may_be_open() {
        assert_eq!(Offers::read("PIPELINING"), Offers::default());
        for text in ["x\nSIZE", "x\nSIZE 0", "x\nSIZE much"] {
            assert_eq!(Offers::read(text), Offers { size: true, ..Offers::default() }, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text: String) {
            Offers::read(&text);
        }
    }
}
