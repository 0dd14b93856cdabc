//! Secrets and ConfigMaps that stand beside a pipeline.
//!
//! Takes: documents of a file, or a folder of `NAME/KEY` files. Gives: [`Objects`], looked up by name. Does not: print
//! what is inside, ever.

use super::problem::Problem;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, io, path::Path};

/// Content by key; not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(BTreeMap<String, Vec<u8>>);

impl Content {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// All keys with their values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }
}

impl<K: Into<String>, V: Into<Vec<u8>>> FromIterator<(K, V)> for Content {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Secrets and ConfigMaps by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// Secrets.
    pub secrets: BTreeMap<String, Content>,
    /// ConfigMaps.
    pub config_maps: BTreeMap<String, Content>,
}

impl Objects {
    /// Adds a document of kind Secret or ConfigMap.
    pub(super) fn add(&mut self, document: Value) -> Result<(), Problem> {
        let is_secret = document["kind"] == "Secret";
        let name = document.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(Problem::new("metadata.name", "is missing in a Secret or ConfigMap; add it"));
        }
        // The parser's words are left out: they may repeat what is in the Secret.
        let malformed = |what| {
            let advice = "cannot be read; `stringData` and a ConfigMap's `data` map keys to text (numbers, true and y \
                in quotes), a Secret's `data` keys to base64";
            Problem::new(&format!("{what} {name}"), advice)
        };
        let keys = ["data", "stringData"].into_iter().filter_map(|field| document[field].as_object()).flatten();
        if let Some((key, _)) = keys.into_iter().find(|(key, _)| !is_key(key)) {
            return Err(
                Problem::new(&name, "has a key that is none; use letters, digits, - _ and . only").with_text(key)
            );
        }
        if is_secret {
            let secret: Secret = serde_json::from_value(document).map_err(|_| malformed("Secret"))?;
            let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
            let text = secret.string_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
            self.secrets.insert(name, data.chain(text).collect());
        } else {
            let map: ConfigMap = serde_json::from_value(document).map_err(|_| malformed("ConfigMap"))?;
            self.config_maps.insert(name, map.data.unwrap_or_default().into_iter().collect());
        }
        Ok(())
    }

    /// Adds each folder of `directory` as a Secret: its name is the folder's, its keys are the files. Hidden entries
    /// are passed over. A Secret of the same name is replaced.
    ///
    /// # Errors
    ///
    /// The operating system's, when the folder or a file in it cannot be read.
    pub fn add_secrets_from(&mut self, directory: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && entry.path().is_dir() {
                self.secrets.insert(name, read_folder(&entry.path())?);
            }
        }
        Ok(())
    }
}

/// A key becomes the name of a file.
fn is_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !key.is_empty() && !key.starts_with("..") && key != "." && key.bytes().all(allowed)
}

fn read_folder(folder: &Path) -> io::Result<Content> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let key = entry.file_name().to_string_lossy().into_owned();
        if !key.starts_with('.') && entry.path().is_file() {
            files.push((key, std::fs::read(entry.path())?));
        }
    }
    Ok(files.into_iter().collect())
}
