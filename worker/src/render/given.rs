//! What a mail is made of besides its recipient, from files that a person has.
//!
//! Takes: a file of documents as `kubectl apply` takes it, of which one is a SignupPipeline. Gives: sender, base and
//! life of the links, templates. Does not: check the resource; `operator check` does.

use crate::message::{Templates, TemplatesError};
use pipeline::{Mailbox, duration};
use serde_json::Value;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// As the resource's default.
const LINK_TTL: Duration = Duration::from_secs(24 * 3600);

/// What was read.
pub(super) struct Given {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
    pub(super) public_url: String,
    pub(super) link_ttl: Duration,
    templates: Texts,
}

/// Where the templates are.
enum Texts {
    BuiltIn,
    Folder(PathBuf),
    /// Of a ConfigMap, by key.
    Files(Vec<(String, String)>),
}

/// The files cannot be used; tells the fix.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's text says what failed; its fields are the cause and what it concerns")]
pub enum GivenError {
    #[error("failed to read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not YAML", path.display())]
    Yaml { path: PathBuf, source: Box<serde_yaml::Error> },
    #[error("{} has no document of kind SignupPipeline; name the file that `kubectl apply` takes", path.display())]
    NoPipeline { path: PathBuf },
    #[error("spec.{field}: `{value}` {problem}")]
    Field { field: &'static str, value: String, problem: String },
    #[error(
        "there is no ConfigMap {0} in the file, which spec.mail.templatesRef names; add it, or give --templates DIR"
    )]
    NoConfigMap(String),
    #[error("failed to put the templates in a folder")]
    Folder(#[source] io::Error),
    #[error("the templates cannot be used")]
    Templates(#[from] TemplatesError),
}

impl Given {
    /// Reads `file`; templates come from `folder` where one is given.
    ///
    /// # Errors
    ///
    /// [`GivenError`].
    pub(super) fn read(file: &Path, folder: Option<&Path>) -> Result<Self, GivenError> {
        let path = || file.to_owned();
        let text = fs::read_to_string(file).map_err(|source| GivenError::Read { path: path(), source })?;
        let documents: Vec<Value> = serde_yaml::from_multiple(&text)
            .map_err(|error| GivenError::Yaml { path: path(), source: Box::new(error) })?;
        let pipeline = documents.iter().find(|document| document["kind"] == "SignupPipeline");
        let spec = &pipeline.ok_or_else(|| GivenError::NoPipeline { path: path() })?["spec"];
        let reply_to = spec["mail"]["replyTo"].as_str();
        let link_ttl = spec["verification"]["linkTTL"].as_str();
        Ok(Self {
            from: mailbox("mail.from", spec["mail"]["from"].as_str().unwrap_or_default())?,
            reply_to: reply_to.map(|reply_to| mailbox("mail.replyTo", reply_to)).transpose()?,
            public_url: public_url(spec),
            link_ttl: link_ttl.map_or(Ok(LINK_TTL), |text| {
                duration::parse(text).map_err(|error| field("verification.linkTTL", text, &error.to_string()))
            })?,
            templates: texts(spec, &documents, folder)?,
        })
    }

    /// The templates, checked as a worker does.
    ///
    /// # Errors
    ///
    /// [`GivenError`], naming the file.
    pub(super) fn templates(&self) -> Result<Templates, GivenError> {
        match &self.templates {
            Texts::BuiltIn => Ok(Templates::built_in()),
            Texts::Folder(folder) => Ok(Templates::read(folder)?),
            // As files, so that they are read in the way of a worker's.
            Texts::Files(files) => {
                let folder = tempfile::tempdir().map_err(GivenError::Folder)?;
                for (name, text) in files {
                    fs::write(folder.path().join(name), text).map_err(GivenError::Folder)?;
                }
                Ok(Templates::read(folder.path())?)
            }
        }
    }
}

fn field(field: &'static str, value: &str, problem: &str) -> GivenError {
    GivenError::Field { field, value: value.to_owned(), problem: problem.to_owned() }
}

fn mailbox(name: &'static str, text: &str) -> Result<Mailbox, GivenError> {
    Mailbox::parse(text).map_err(|error| field(name, text, error.problem()))
}

fn public_url(spec: &Value) -> String {
    let of_host = || {
        let (host, path) = (spec["expose"]["host"].as_str()?, spec["expose"]["path"].as_str().unwrap_or_default());
        Some(format!("https://{host}{path}"))
    };
    let url = spec["verification"]["publicURL"].as_str().map(str::to_owned).or_else(of_host);
    url.unwrap_or_else(|| "https://app.example.com".to_owned()).trim_end_matches('/').to_owned()
}

fn texts(spec: &Value, documents: &[Value], folder: Option<&Path>) -> Result<Texts, GivenError> {
    if let Some(folder) = folder {
        // One that is not there would be the built-in mails.
        fs::read_dir(folder).map_err(|source| GivenError::Read { path: folder.to_owned(), source })?;
        return Ok(Texts::Folder(folder.to_owned()));
    }
    let Some(name) = spec["mail"]["templatesRef"]["name"].as_str() else { return Ok(Texts::BuiltIn) };
    let is_it = |document: &&Value| document["kind"] == "ConfigMap" && document["metadata"]["name"] == name;
    let map = documents.iter().find(is_it).ok_or_else(|| GivenError::NoConfigMap(name.to_owned()))?;
    let files = map["data"].as_object().into_iter().flatten();
    // The keys of a ConfigMap are names of files; others are no keys.
    let files = files.filter(|(key, _)| !key.contains('/'));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Texts::Files(files.map(|(key, value)| (key.clone(), text(value))).collect()))
}
