//! The UID of a pipeline's namespace, by which clusters and namespaces that were made again differ.
//!
//! Takes: a client. Gives: the UID, read once, for a pipeline does not outlive its namespace. Does not: need it:
//! without the right to read its namespace a pipeline goes by its name alone.

use super::observe::ObserveError;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use std::time::{Duration, Instant};

/// Time between attempts while RBAC forbids it.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// What is known of the namespace of one pipeline.
#[derive(Debug, Default)]
pub(super) struct NamespaceUid {
    known: Option<String>,
    refused: Option<Instant>,
}

impl NamespaceUid {
    /// What was read last.
    pub(super) fn known(&self) -> Option<&str> {
        self.known.as_deref()
    }

    /// The UID; `None` when the operator may not know it.
    ///
    /// # Errors
    ///
    /// [`ObserveError::Read`] for any other trouble, so that nothing is written without it.
    pub(super) async fn get(&mut self, client: &Client, namespace: &str) -> Result<Option<String>, ObserveError> {
        let is_waiting = self.refused.is_some_and(|at| at.elapsed() < RETRY_INTERVAL);
        if self.known.is_some() || is_waiting {
            return Ok(self.known.clone());
        }
        match Api::<Namespace>::all(client.clone()).get_metadata(namespace).await {
            Ok(found) => self.known = found.metadata.uid,
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                if self.refused.replace(Instant::now()).is_none() {
                    let fix = "grant the operator's ServiceAccount get on namespaces";
                    tracing::warn!(namespace, fix, "the namespace may not be read, so its pipelines go by name alone");
                }
            }
            Err(source) => {
                let name = namespace.to_owned();
                return Err(ObserveError::Read { kind: "Namespace", name, source: Box::new(source) });
            }
        }
        Ok(self.known.clone())
    }
}
