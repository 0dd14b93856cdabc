//! The mounted lists of domains that may not sign up.
//!
//! Takes: the folder named by `signup.emailDomains.denyListRef`, whose files have a domain a line. Gives: whether a
//! domain, or one above it, is in a list. Does not: stop at a line that is no domain; how many there are is logged,
//! with the file and the first one's number. A folder that cannot be read leaves the lists as they were.

use parking_lot::RwLock;
use pipeline::domain;
use std::{collections::HashSet, fs, io, path::Path};

/// The lists in force.
#[derive(Default)]
pub(crate) struct DeniedDomains(RwLock<HashSet<Box<str>>>);

impl DeniedDomains {
    /// Loads the lists again; without a folder there are none.
    pub(crate) fn reload(&self, folder: Option<&Path>) {
        match folder.map(load).transpose() {
            Ok(lists) => *self.0.write() = lists.unwrap_or_default(),
            Err(error) => tracing::error!(
                %error,
                "failed to read the lists of signup.emailDomains.denyListRef, the previous ones stay in force"
            ),
        }
    }

    /// Whether a domain in its canonical form is denied, or one above it.
    pub(crate) fn holds(&self, domain: &str) -> bool {
        let lists = self.0.read();
        let above = std::iter::successors(Some(domain), |name| name.split_once('.').map(|(_, above)| above));
        !lists.is_empty() && above.into_iter().any(|name| lists.contains(name))
    }
}

fn load(folder: &Path) -> io::Result<HashSet<Box<str>>> {
    let mut domains = HashSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // A ConfigMap's volume has folders of its own beside the files.
        if path.is_file() {
            read(&path, &fs::read(&path)?, &mut domains);
        }
    }
    Ok(domains)
}

fn read(path: &Path, text: &[u8], domains: &mut HashSet<Box<str>>) {
    let (mut wrong, mut first) = (0, 0);
    for (number, line) in String::from_utf8_lossy(text).lines().enumerate() {
        let line = line.trim_matches(|one: char| one.is_whitespace() || one == '\u{feff}');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match domain::canonical(line) {
            Some(domain) => drop(domains.insert(domain.into())),
            None => {
                wrong += 1;
                first = if first == 0 { number + 1 } else { first };
            }
        }
    }
    if wrong > 0 {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        tracing::warn!(
            file = &*file,
            lines = wrong,
            first,
            "lines of a list of signup.emailDomains.denyListRef are no domains and are left out; write one a line, \
             such as example.com"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lists(text: &[u8]) -> DeniedDomains {
        let mut domains = HashSet::new();
        read(Path::new("list"), text, &mut domains);
        DeniedDomains(RwLock::new(domains))
    }

    #[test]
    fn a_list_holds_its_domains_and_those_below_them_in_every_writing() {
        let lists =
            lists("\u{feff}# throw-away\r\nTrash.example\r\n\n  münchen.example \nno domain\n@x.example\n".as_bytes());
        for (domain, is_denied) in [
            ("trash.example", true),
            ("a.b.trash.example", true),
            ("xn--mnchen-3ya.example", true),
            ("nottrash.example", false),
            ("example", false),
            ("x.example", false),
        ] {
            assert_eq!(lists.holds(domain), is_denied, "{domain}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_read_leaves_the_lists_and_none_empties_them() {
        let (folder, lists) = (tempfile::tempdir().expect("a folder"), DeniedDomains::default());
        fs::write(folder.path().join("one"), "a.example").expect("a file");
        fs::write(folder.path().join("two"), "b.example").expect("a file");
        lists.reload(Some(folder.path()));
        assert!(lists.holds("a.example") && lists.holds("b.example"));
        lists.reload(Some(&folder.path().join("absent")));
        assert!(lists.holds("a.example"));
        lists.reload(None);
        assert!(!lists.holds("a.example"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_written_is_held(
            text in prop::collection::vec(any::<u8>(), 0..200), domain in "[a-z]{1,9}[.][a-z]{2,5}"
        ) {
            let lists = lists(&[&text[..], b"\n", domain.as_bytes()].concat());
            prop_assert!(lists.holds(&domain));
        }
    }
}
