//! Why a folder of templates is not used.
//!
//! Gives: [`TemplatesError`], which names the file and the fix. Does not: look at files.

use crate::message::template::TemplateError;
use std::path::PathBuf;

/// A folder that cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
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
    /// Nothing but white space is in the file.
    #[error("the template {} is empty; write its text, or remove it", path.display())]
    Empty {
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
    /// A language with some of a mail's files.
    #[error(
        "the template {} is missing: a language needs all three of a mail, its subject.LANGUAGE.txt, body.LANGUAGE.txt \
         and body.LANGUAGE.html (after `notice_` for a notice); add it, or remove the others",
        path.display()
    )]
    Missing {
        /// The file that is not there.
        path: PathBuf,
    },
    /// What stands where the language does is none.
    #[error(
        "the name of the template {} has no language tag such as de or pt-BR before its ending; rename it",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
}
