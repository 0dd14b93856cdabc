//! What mails are made of besides the values in the database: verification keys and templates.
//!
//! Takes: the folders named by the configuration. Gives: the version in force. Does not: replace something good by
//! something broken; a bad folder is logged and the previous content stays (at the start, for templates: the built-in
//! mail).

use crate::message::Templates;
use parking_lot::RwLock;
use pipeline::Document;
use serde::Serialize;
use signup::{Keys, verification::KeysError};
use std::{error::Error, sync::Arc};

/// One version.
#[derive(Debug)]
pub(crate) struct Materials {
    pub(crate) keys: Keys,
    pub(crate) templates: Templates,
    /// Why the newest templates are not in force.
    pub(crate) refused: Option<String>,
}

/// What the operator is told of the templates, and through it the condition `ConfigApplied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplatesReport {
    /// The file, the line and the fix; absent when the newest are in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The version in force.
#[derive(Debug)]
pub(crate) struct LiveMaterials(RwLock<Arc<Materials>>);

impl LiveMaterials {
    /// Loads both; without keys no link can be written, so that is an error.
    pub(crate) fn load(document: &Document) -> Result<Self, KeysError> {
        let keys = Keys::load(&document.verification.keys_dir)?;
        let (templates, refused) = templates(document, Templates::built_in);
        Ok(Self(RwLock::new(Arc::new(Materials { keys, templates, refused }))))
    }

    pub(crate) fn report(&self) -> TemplatesReport {
        TemplatesReport { refused: self.now().refused.clone() }
    }

    pub(crate) fn now(&self) -> Arc<Materials> {
        Arc::clone(&self.0.read())
    }

    /// Loads both again.
    pub(crate) fn reload(&self, document: &Document) {
        let keys = Keys::load(&document.verification.keys_dir).unwrap_or_else(|error| {
            let cause = error.source().map(pipeline::chain);
            tracing::error!(%error, cause, "verification keys not reloaded, the previous ones stay in force");
            self.now().keys.clone()
        });
        let (templates, refused) = templates(document, || self.now().templates.clone());
        let materials = Arc::new(Materials { keys, templates, refused });
        *self.0.write() = materials;
    }
}

/// The folder's templates, the built-in ones without a folder, or `in_force` when the folder is broken, with
/// the reason.
fn templates(document: &Document, in_force: impl FnOnce() -> Templates) -> (Templates, Option<String>) {
    let Some(folder) = &document.mail.templates_dir else { return (Templates::built_in(), None) };
    match Templates::read(folder) {
        Ok(templates) => (templates, None),
        Err(error) => {
            let cause = error.source().map(pipeline::chain);
            tracing::error!(%error, cause, "mail templates refused, the previous ones stay in force");
            (in_force(), Some(pipeline::chain(&error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_edit_of_the_templates_keeps_the_ones_in_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(folder.path().join("keys")).expect("a folder");
            std::fs::write(folder.path().join(name), text).expect("written");
        };
        write("keys/current", &"k".repeat(32));
        write("subject.txt", "Ours");
        write("body.txt", "{{link}}");
        write("body.html", "<a href=\"{{link}}\">here</a>");
        let mut document = crate::samples::document();
        document.verification.keys_dir = folder.path().join("keys");
        document.mail.templates_dir = Some(folder.path().to_owned());

        let materials = LiveMaterials::load(&document).expect("keys");
        let ours = materials.now().templates.clone();
        assert_ne!(ours, Templates::built_in());
        write("body.txt", "no link at all");
        materials.reload(&document);
        assert_eq!(materials.now().templates, ours);
        let refused = materials.report().refused.expect("told");
        assert!(refused.contains("body.txt") && refused.contains("{{link}}"), "{refused}");
        document.mail.templates_dir = None;
        materials.reload(&document);
        assert_eq!(materials.now().templates, Templates::built_in());
        assert_eq!(materials.report().refused, None);
    }
}
