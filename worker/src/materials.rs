//! What mails are made of besides the values in the database: verification keys and templates.
//!
//! Takes: the folders named by the configuration. Gives: the version in force. Does not: replace something good by something
//! broken; a bad folder is logged and the previous content (for templates: the built-in mail) stays.

use crate::message::Templates;
use pipeline::Document;
use signup::{Keys, verification::KeysError};
use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock},
};

/// One version.
#[derive(Debug)]
pub(crate) struct Materials {
    pub(crate) keys: Keys,
    pub(crate) templates: Templates,
}

/// The version in force.
#[derive(Debug)]
pub(crate) struct LiveMaterials(RwLock<Arc<Materials>>);

impl LiveMaterials {
    /// Loads both; without keys no link can be written, so that is an error.
    pub(crate) fn load(document: &Document) -> Result<Self, KeysError> {
        let keys = Keys::load(&document.verification.keys_dir)?;
        Ok(Self(RwLock::new(Arc::new(Materials { keys, templates: templates(document) }))))
    }

    pub(crate) fn now(&self) -> Arc<Materials> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads both again.
    pub(crate) fn reload(&self, document: &Document) {
        let keys = Keys::load(&document.verification.keys_dir).unwrap_or_else(|error| {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, "verification keys not reloaded, the previous ones stay in force");
            self.now().keys.clone()
        });
        let materials = Arc::new(Materials { keys, templates: templates(document) });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = materials;
    }
}

fn templates(document: &Document) -> Templates {
    let Some(folder) = &document.mail.templates_dir else { return Templates::built_in() };
    Templates::read(folder).unwrap_or_else(|error| {
        let cause = error.source().map(ToString::to_string);
        tracing::error!(%error, cause, "mail templates refused, the built-in mail is used");
        Templates::built_in()
    })
}
