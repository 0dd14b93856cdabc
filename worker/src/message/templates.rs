//! The templates of the mails, three for each: built in, or from a folder.
//!
//! Takes: a folder with `subject.txt`, `body.txt`, `body.html` for the verification mail, and the same names after
//! `notice_` for the notice to the owner of an address (any of them may be missing). Gives: [`Templates`].
//! Does not: render half of a broken folder; one bad file and all of it is refused; the caller says so and decides
//! what to use.

use super::template::{Template, TemplateError};
use std::path::{Path, PathBuf};

/// A mail is read by people; a larger file is a mistake.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Templates {
    pub(super) verification: Texts,
    pub(super) notice: Texts,
}

/// One mail: subject and both bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) subject: Template,
    pub(super) text: Template,
    pub(super) html: Template,
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
    #[error("the template {} has `{{{{link}}}}` or `{{{{expires_in}}}}`; a notice has no link", path.display())]
    LinkInNotice {
        /// The file.
        path: PathBuf,
    },
}

impl Templates {
    /// The mail this program brings along.
    ///
    /// # Panics
    ///
    /// Never: the files are part of the program, and a test parses them.
    pub(crate) fn built_in() -> Self {
        let parse = |text| Template::parse(text).expect("the built-in templates are parsed by a test");
        let verification = Texts {
            subject: parse(include_str!("../../templates/verification_email/subject.txt")),
            text: parse(include_str!("../../templates/verification_email/body.txt")),
            html: parse(include_str!("../../templates/verification_email/body.html")),
        };
        let notice = Texts {
            subject: parse(include_str!("../../templates/notice/subject.txt")),
            text: parse(include_str!("../../templates/notice/body.txt")),
            html: parse(include_str!("../../templates/notice/body.html")),
        };
        Self { verification, notice }
    }

    /// Reads a folder; what is missing in it is taken from the built-in mail.
    ///
    /// # Errors
    ///
    /// [`TemplatesError`] for the first file that cannot be used.
    pub(crate) fn read(folder: &Path) -> Result<Self, TemplatesError> {
        let Self { verification, notice } = Self::built_in();
        Ok(Self {
            verification: Texts {
                subject: read_file(&folder.join("subject.txt"))?.unwrap_or(verification.subject),
                text: read_body(&folder.join("body.txt"))?.unwrap_or(verification.text),
                html: read_body(&folder.join("body.html"))?.unwrap_or(verification.html),
            },
            notice: Texts {
                subject: read_notice(&folder.join("notice_subject.txt"))?.unwrap_or(notice.subject),
                text: read_notice(&folder.join("notice_body.txt"))?.unwrap_or(notice.text),
                html: read_notice(&folder.join("notice_body.html"))?.unwrap_or(notice.html),
            },
        })
    }
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
    fn the_built_in_mail_parses_and_has_its_link_in_both_bodies() {
        let templates = Templates::built_in();
        let (verification, notice) = (templates.verification, templates.notice);
        assert!(verification.text.has_link() && verification.html.has_link());
        assert!([notice.subject, notice.text, notice.html].iter().all(|template| !template.speaks_of_a_link()));
    }

    #[test]
    fn missing_files_come_from_the_built_in_mail() {
        let folder = folder(&[("subject.txt", "Welcome, {{username}}"), ("notice_body.txt", "Again, {{full_name}}?")]);
        let (templates, built_in) = (Templates::read(folder.path()).expect("a good folder"), Templates::built_in());
        assert_ne!(templates.verification.subject, built_in.verification.subject);
        assert_eq!(templates.verification.html, built_in.verification.html);
        assert_ne!(templates.notice.text, built_in.notice.text);
        assert_eq!(templates.notice.subject, built_in.notice.subject);
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
