//! The verification keys in force.
//!
//! Takes: the folder named by `verification.keysDir`. Gives: the keys, replaced as a whole when the files change.
//! Does not: forget working keys because of a broken rotation; it logs that and keeps them.

use parking_lot::RwLock;
use pipeline::chain;
use signup::verification::{Keys, KeysError};
use std::{path::Path, sync::Arc};

/// The keys in force.
pub(crate) struct Keyring(RwLock<Arc<Keys>>);

impl Keyring {
    /// Loads the keys.
    ///
    /// # Errors
    ///
    /// [`KeysError`], naming the file.
    pub(crate) fn load(folder: &Path) -> Result<Self, KeysError> {
        Ok(Self(RwLock::new(Arc::new(Keys::load(folder)?))))
    }

    /// The keys in force now.
    pub(crate) fn now(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read())
    }

    /// Loads the keys again; a folder that cannot be used changes nothing.
    pub(crate) fn reload(&self, folder: &Path) {
        match Keys::load(folder) {
            Ok(keys) => *self.0.write() = Arc::new(keys),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(chain);
                tracing::error!(
                    %error,
                    cause,
                    "failed to reload the verification keys, the previous ones stay in force"
                );
            }
        }
    }
}
