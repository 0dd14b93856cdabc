//! Why a child could not be applied.
//!
//! Takes: the API server's answer. Gives: the error, and its finding with a fix. Pure.

use crate::{
    build::child::{Child, Kind},
    controller::reason::{self, Finding},
};

/// A child that could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server refused it.
    #[error("failed to apply {kind:?} {name}")]
    Refused {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// What the API server says.
        source: Box<kube::Error>,
    },
    /// An object of another owner has the name.
    #[error("failed to apply {kind:?} {name}: the name is taken")]
    Taken {
        /// Its kind.
        kind: Kind,
        /// The name.
        name: String,
    },
}

impl ApplyError {
    /// The API server refused `child`.
    pub(super) fn refused(child: &Child, source: kube::Error) -> Self {
        Self::Refused { kind: child.kind, name: child.name().to_owned(), source: Box::new(source) }
    }

    /// The finding with its fix.
    pub fn finding(&self) -> Finding {
        let (kind, name, source) = match self {
            Self::Taken { kind, name } => {
                let kind = kind.resource().kind;
                let problem = format!("{kind} {name} exists and is not this pipeline's");
                return Finding::with_default_fix(reason::NAME_TAKEN, problem);
            }
            Self::Refused { kind, name, source } => (kind, name, source),
        };
        let resource = kind.resource();
        let kube::Error::Api(status) = source.as_ref() else {
            let problem = format!("{} {name} could not be applied: the API server does not answer", resource.kind);
            return Finding::with_default_fix(reason::API_ERROR, problem);
        };
        let problem =
            format!("{} {name} could not be applied: {}", resource.kind, status.message.trim_end_matches('.'));
        let missing = match kind {
            Kind::HttpRoute => Some(reason::GATEWAY_API_MISSING),
            Kind::PodMonitor => Some(reason::MONITORING_API_MISSING),
            _ => None,
        };
        if let (Some(missing), 404) = (missing, status.code) {
            return Finding::with_default_fix(missing, format!("the cluster has no {}", resource.kind));
        }
        if status.is_forbidden() && status.message.contains("exceeded quota") {
            return Finding::with_default_fix(reason::QUOTA_EXCEEDED, problem);
        }
        if status.is_forbidden() {
            let verbs =
                format!("grant the operator's ServiceAccount get, create, patch and delete on {}", resource.plural);
            return Finding::new(reason::FORBIDDEN, problem, verbs);
        }
        Finding::with_default_fix(reason::CHILD_REFUSED, problem)
    }
}
