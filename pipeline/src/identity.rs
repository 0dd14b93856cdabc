//! Which of all pipelines of that name a process is of.
//!
//! Takes: `identity.yaml`, which the operator writes beside `pipeline.yaml`. Gives: an [`Identity`], whatever is in the
//! file. Does not: stand in `pipeline.yaml`: processes of an older version would refuse all of it for a key that they
//! do not know. Here unknown keys are left alone, so that a newer operator may add one.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file.
pub const FILE: &str = "identity.yaml";

/// What tells a pipeline from others of its name, beside `pipeline` of the document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Identity {
    /// UID of its namespace, so that clusters differ; absent: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_uid: Option<String>,
    /// When the resource was made, as RFC 3339 writes it; absent: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

impl Identity {
    /// Reads the file beside the document at `document`. Nothing is known without it, or from a broken one.
    pub fn beside(document: &Path) -> Self {
        let text = std::fs::read_to_string(document.with_file_name(FILE)).unwrap_or_default();
        if text.is_empty() {
            return Self::default();
        }
        serde_yaml::from_str(&text).unwrap_or_else(|error| {
            tracing::warn!(%error, "{FILE} cannot be read; the pipeline goes by its name alone");
            Self::default()
        })
    }

    /// The text of the file.
    pub fn to_yaml(&self) -> String {
        // Two optional texts always have a YAML form; an empty file would say that nothing is known.
        serde_yaml::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_it_was_written_and_a_missing_broken_or_newer_one_stops_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let document = folder.path().join("pipeline.yaml");
        let read = |text: &str| {
            std::fs::write(folder.path().join(FILE), text).expect("written");
            Identity::beside(&document)
        };
        assert_eq!(Identity::beside(&document), Identity::default());
        let known = Identity {
            namespace_uid: Some("2c9f6d1e-0000-4000-8000-000000000001".into()),
            created_at: Some("2026-01-01T00:00:00Z".into()),
        };
        assert_eq!(read(&known.to_yaml()), known);
        assert_eq!(read(&format!("{}cluster: a\n", known.to_yaml())), known);
        assert_eq!(read("- a list"), Identity::default());
        assert_eq!(read(&Identity::default().to_yaml()), Identity::default());
    }
}
