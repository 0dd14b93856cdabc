//! The templates of the mails, three for each and language: built in, or from a folder.
//!
//! Takes: a folder with `subject.txt`, `body.txt`, `body.html` for the verification mail, and the same names after
//! `notice_` for the notice to the owner of an address (any of them may be missing); with a language tag before the
//! ending (`body.pt-BR.html`) those of a language, all three of a mail. Gives: [`Templates`]. A mail whose files have
//! no tag is the folder's for everybody whose language has no files, so that no mail mixes two.
//! Does not: render half of a broken folder; one bad file and all of it is refused; the caller says so and decides
//! what to use.

mod error;

use super::{
    built_in,
    template::{Template, Texts},
};
pub(crate) use error::TemplatesError;
use signup::{Language, Locale};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// A mail is read by people; a larger file is a mistake.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Templates {
    pub(super) verification: Languages,
    pub(super) notice: Languages,
}

/// One mail in all languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Languages {
    /// The folder's, by language tag in lower case.
    tagged: BTreeMap<String, Texts>,
    /// The folder's for all other languages.
    others: Option<Texts>,
    /// In the order of [`Language::ALL`].
    built_in: [Texts; Language::ALL.len()],
}

impl Languages {
    fn built_in(texts: fn(Language) -> Texts) -> Self {
        Self { tagged: BTreeMap::new(), others: None, built_in: Language::ALL.map(texts) }
    }

    /// For a recipient who gave that tag: it is shortened from its end until there is a mail (RFC 4647, 3.4).
    pub(super) fn of(&self, locale: Option<&str>) -> &Texts {
        let tag = locale.unwrap_or_default().to_ascii_lowercase();
        let shortened =
            std::iter::successors(Some(tag.as_str()), |tag| tag.rsplit_once('-').map(|(shorter, _)| shorter));
        let found = shortened.into_iter().find_map(|tag| self.tagged.get(tag)).or(self.others.as_ref());
        found.unwrap_or_else(|| self.of_built_in(Language::of_tag(&tag).unwrap_or_default()))
    }

    fn of_built_in(&self, language: Language) -> &Texts {
        let index = Language::ALL.iter().position(|one| *one == language);
        &self.built_in[index.unwrap_or_default()]
    }

    /// English.
    #[cfg(test)]
    pub(super) fn first_mut(&mut self) -> &mut Texts {
        &mut self.built_in[0]
    }
}

impl Templates {
    /// The mails this program brings along.
    pub(crate) fn built_in() -> Self {
        Self {
            verification: Languages::built_in(built_in::verification),
            notice: Languages::built_in(built_in::notice),
        }
    }

    /// Reads a folder; what is missing in it is taken from the built-in mails.
    ///
    /// # Errors
    ///
    /// [`TemplatesError`] for the first file that cannot be used.
    pub(crate) fn read(folder: &Path) -> Result<Self, TemplatesError> {
        let verification = Files { folder, prefix: "", read_subject: read_file, read_body };
        let notice = Files { folder, prefix: "notice_", read_subject: read_notice, read_body: read_notice };
        let Self { verification: mut ours, notice: mut our_notice } = Self::built_in();
        verification.replace_in(&mut ours)?;
        notice.replace_in(&mut our_notice)?;
        Ok(Self { verification: ours, notice: our_notice })
    }
}

type Read = fn(&Path) -> Result<Option<Template>, TemplatesError>;

/// The files of one mail.
struct Files<'a> {
    folder: &'a Path,
    prefix: &'static str,
    read_subject: Read,
    read_body: Read,
}

impl Files<'_> {
    fn replace_in(&self, languages: &mut Languages) -> Result<(), TemplatesError> {
        let [subject, text, html] = self.read("")?;
        if subject.is_some() || text.is_some() || html.is_some() {
            let Texts { subject: no_subject, text: no_text, html: no_html } =
                languages.of_built_in(Language::default()).clone();
            languages.others = Some(Texts {
                subject: subject.unwrap_or(no_subject),
                text: text.unwrap_or(no_text),
                html: html.unwrap_or(no_html),
            });
        }
        for tag in self.tags()? {
            let files = self.names(&format!(".{tag}"));
            let [subject, text, html] = self.read(&format!(".{tag}"))?;
            let missing = |file: &str| TemplatesError::Missing { path: self.folder.join(file) };
            let texts = Texts {
                subject: subject.ok_or_else(|| missing(&files[0]))?,
                text: text.ok_or_else(|| missing(&files[1]))?,
                html: html.ok_or_else(|| missing(&files[2]))?,
            };
            languages.tagged.insert(tag.to_ascii_lowercase(), texts);
        }
        Ok(())
    }

    fn names(&self, tag: &str) -> [String; 3] {
        let prefix = self.prefix;
        [format!("{prefix}subject{tag}.txt"), format!("{prefix}body{tag}.txt"), format!("{prefix}body{tag}.html")]
    }

    fn read(&self, tag: &str) -> Result<[Option<Template>; 3], TemplatesError> {
        let [subject, text, html] = self.names(tag).map(|name| self.folder.join(name));
        Ok([(self.read_subject)(&subject)?, (self.read_body)(&text)?, (self.read_body)(&html)?])
    }

    /// The tags in the names of files, as they stand there. A folder that is not there has none.
    fn tags(&self) -> Result<BTreeSet<String>, TemplatesError> {
        let mut tags = BTreeSet::new();
        for entry in std::fs::read_dir(self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(tag) = name.to_str().and_then(|name| self.tag(name)) else { continue };
            if !matches!(Locale::parse(tag), Ok(Some(_))) {
                return Err(TemplatesError::Name { path: entry.path() });
            }
            tags.insert(tag.to_owned());
        }
        Ok(tags)
    }

    /// What stands between the name of a file of this mail and its ending.
    fn tag<'a>(&self, name: &'a str) -> Option<&'a str> {
        let name = name.strip_prefix(self.prefix)?;
        let subject = || name.strip_prefix("subject.")?.strip_suffix(".txt");
        let body =
            || name.strip_prefix("body.").and_then(|rest| rest.strip_suffix(".txt").or(rest.strip_suffix(".html")));
        subject().or_else(body)
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
    // A mark of the byte order, which some editors put before a text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.trim().is_empty() {
        return Err(TemplatesError::Empty { path: path.to_owned() });
    }
    let template = Template::parse(text);
    Ok(Some(template.map_err(|source| TemplatesError::Template { path: path.to_owned(), source })?))
}

#[cfg(test)]
mod tests;
