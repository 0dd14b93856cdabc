//! The templates of the mails, three for each and language: built in, or from a folder.
//!
//! Takes: a folder with `subject.txt`, `body.txt`, `body.html` for the verification mail, and the same names after
//! `notice_` for the notice to the owner of an address (any of them may be missing). Gives: [`Templates`]. A mail that
//! the folder has a file of is the folder's in every language, so that no mail mixes two.
//! Does not: render half of a broken folder; one bad file and all of it is refused; the caller says so and decides
//! what to use.

use super::{
    built_in,
    template::{Template, TemplateError, Texts},
};
use signup::Language;
use std::path::{Path, PathBuf};

/// A mail is read by people; a larger file is a mistake.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Templates {
    pub(super) verification: Languages,
    pub(super) notice: Languages,
}

/// One mail in all languages, in the order of [`Language::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Languages([Texts; Language::ALL.len()]);

impl Languages {
    pub(super) fn of(&self, language: Language) -> &Texts {
        let index = Language::ALL.iter().position(|one| *one == language);
        &self.0[index.unwrap_or_default()]
    }

    /// English.
    #[cfg(test)]
    pub(super) fn first_mut(&mut self) -> &mut Texts {
        &mut self.0[0]
    }

    fn all(texts: &Texts) -> Self {
        Self(Language::ALL.map(|_| texts.clone()))
    }
}

/// A folder that cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplatesError {
    /// The file is there and cannot be read, or is not UTF-8.
    #[error("failed to read the template {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is larger than 256 KiB.
    #[error("the template {} is larger than 256 KiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is read and wrong.
    #[error("the template {} is wrong", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the fix.
        source: TemplateError,
    },
    /// A body without its purpose.
    #[error("the template {} does not contain `{{{{link}}}}`", path.display())]
    NoLink {
        /// The file.
        path: PathBuf,
    },
    /// A notice with a placeholder that nothing fills in.
    #[error(
        "the template {} has `{{{{link}}}}`, `{{{{code}}}}` or `{{{{expires_in}}}}`; a notice has no link",
        path.display()
    )]
    LinkInNotice {
        /// The file.
        path: PathBuf,
    },
}

impl Templates {
    /// The mails this program brings along.
    pub(crate) fn built_in() -> Self {
        Self {
            verification: Languages(Language::ALL.map(built_in::verification)),
            notice: Languages(Language::ALL.map(built_in::notice)),
        }
    }

    /// Reads a folder; what is missing in it is taken from the built-in mails.
    ///
    /// # Errors
    ///
    /// [`TemplatesError`] for the first file that cannot be used.
    pub(crate) fn read(folder: &Path) -> Result<Self, TemplatesError> {
        let read = |name: &str, read: fn(&Path) -> Result<Option<Template>, TemplatesError>| read(&folder.join(name));
        let built_in = Self::built_in();
        let verification =
            [read("subject.txt", read_file)?, read("body.txt", read_body)?, read("body.html", read_body)?];
        let notice = ["notice_subject.txt", "notice_body.txt", "notice_body.html"];
        let [subject, text, html] = notice.map(|name| read(name, read_notice));
        Ok(Self {
            verification: merged(verification, built_in.verification),
            notice: merged([subject?, text?, html?], built_in.notice),
        })
    }
}

fn merged(found: [Option<Template>; 3], built_in: Languages) -> Languages {
    if found.iter().all(Option::is_none) {
        return built_in;
    }
    let [subject, text, html] = found;
    let Texts { subject: no_subject, text: no_text, html: no_html } = built_in.of(Language::default()).clone();
    Languages::all(&Texts {
        subject: subject.unwrap_or(no_subject),
        text: text.unwrap_or(no_text),
        html: html.unwrap_or(no_html),
    })
}

fn read_body(path: &Path) -> Result<Option<Template>, TemplatesError> {
    match read_file(path)? {
        Some(template) if !template.has_link() => Err(TemplatesError::NoLink { path: path.to_owned() }),
        other => Ok(other),
    }
}

fn read_notice(path: &Path) -> Result<Option<Template>, TemplatesError> {
    match read_file(path)? {
        Some(template) if template.speaks_of_a_link() => Err(TemplatesError::LinkInNotice { path: path.to_owned() }),
        other => Ok(other),
    }
}

fn read_file(path: &Path) -> Result<Option<Template>, TemplatesError> {
    let failed = |source| TemplatesError::Read { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
            return Err(TemplatesError::TooLarge { path: path.to_owned() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let template = Template::parse(&text);
    Ok(Some(template.map_err(|source| TemplatesError::Template { path: path.to_owned(), source })?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a writable folder");
        }
        folder
    }

    #[test]
    fn the_built_in_mails_parse_and_each_has_what_it_needs_in_both_bodies() {
        let templates = Templates::built_in();
        for language in Language::ALL {
            let (verification, notice) = (templates.verification.of(language), templates.notice.of(language));
            assert!(verification.text.has_link() && verification.html.has_link(), "{language:?}");
            let notice = [&notice.subject, &notice.text, &notice.html];
            assert!(notice.iter().all(|template| !template.speaks_of_a_link()), "{language:?}");
            for text in [&verification.subject, &verification.text, &verification.html].into_iter().chain(notice) {
                assert!(!format!("{text:?}").contains("[["), "a slot of the layout is not filled: {text:?}");
            }
        }
    }

    #[test]
    fn missing_files_come_from_the_built_in_mail_and_no_mail_mixes_languages() {
        let folder = folder(&[("subject.txt", "Welcome, {{username}}"), ("notice_body.txt", "Again, {{full_name}}?")]);
        let (templates, built_in) = (Templates::read(folder.path()).expect("a good folder"), Templates::built_in());
        for language in Language::ALL {
            let (verification, notice) = (templates.verification.of(language), templates.notice.of(language));
            let english = built_in.verification.of(Language::English);
            assert_ne!(verification.subject, english.subject);
            assert_eq!(verification.html, english.html);
            let english = built_in.notice.of(Language::English);
            assert_ne!(notice.text, english.text);
            assert_eq!(notice.subject, english.subject);
        }
        std::fs::remove_file(folder.path().join("notice_body.txt")).expect("it is there");
        let templates = Templates::read(folder.path()).expect("a good folder");
        assert_eq!(templates.notice, built_in.notice, "a mail that the folder has no file of has all languages");
    }

    #[test]
    fn a_bad_file_is_named() {
        for (name, text) in [
            ("body.txt", "{{nope}} {{link}}"),
            ("body.html", "<p>no address</p>"),
            ("notice_body.html", "<p>{{link}}</p>"),
            ("notice_subject.txt", "Within {{expires_in}}"),
        ] {
            let folder = folder(&[(name, text)]);
            let error = Templates::read(folder.path()).expect_err("a bad file").to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let folder = folder(&[]);
        std::fs::write(folder.path().join("subject.txt"), b"\xff\xfe").expect("a writable folder");
        assert!(matches!(Templates::read(folder.path()), Err(TemplatesError::Read { .. })));
    }
}
