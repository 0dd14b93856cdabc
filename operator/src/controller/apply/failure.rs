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
        if is_of_a_policy(status) {
            return Finding::with_default_fix(reason::ADMISSION_REFUSED, problem);
        }
        if status.is_forbidden() {
            let verbs =
                format!("grant the operator's ServiceAccount get, create, patch and delete on {}", resource.plural);
            return Finding::new(reason::FORBIDDEN, problem, verbs);
        }
        if !is_malformed(status) && (!matches!(status.code, 400..=422) || matches!(status.code, 409 | 408)) {
            return Finding::with_default_fix(reason::API_ERROR, problem);
        }
        Finding::with_default_fix(reason::CHILD_REFUSED, problem)
    }

    /// The namespace is being deleted, and everything in it goes.
    pub fn is_of_a_namespace_that_goes(&self) -> bool {
        match self {
            Self::Refused { source, .. } => namespace_goes(source),
            Self::Taken { .. } => false,
        }
    }
}

/// Whether the API server makes nothing more in the namespace (Kubernetes, NamespaceLifecycle admission).
pub(in crate::controller) fn namespace_goes(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_forbidden() && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Server-side apply answers a field that the kind has not, or a value of another type, with 500 (Kubernetes 1.30 to
/// 1.37, managedfields); only the words tell.
fn is_malformed(status: &kube::core::Status) -> bool {
    status.message.starts_with("failed to create typed patch object")
}

/// Webhooks, ValidatingAdmissionPolicies and Pod Security name themselves in the API server's words; whatever code a
/// webhook chooses, it is no field of ours that is malformed.
fn is_of_a_policy(status: &kube::core::Status) -> bool {
    ["admission webhook \"", "ValidatingAdmissionPolicy '", "violates PodSecurity"]
        .iter()
        .any(|words| status.message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn reason_of(code: u16, message: &str) -> reason::Reason {
        let mut status = Status::failure(message, if code == 403 { "Forbidden" } else { "Other" });
        status.code = code;
        let source = Box::new(kube::Error::Api(Box::new(status)));
        ApplyError::Refused { kind: Kind::Deployment, name: "demo-api".to_owned(), source }.finding().reason
    }

    #[test]
    fn a_refusal_is_told_apart_by_who_refuses() {
        for (code, message, expected) in [
            (422, "Deployment.apps \"demo-api\" is invalid: spec.template", reason::CHILD_REFUSED),
            (403, "deployments.apps is forbidden: User \"x\" cannot patch", reason::FORBIDDEN),
            (403, "exceeded quota: small", reason::QUOTA_EXCEEDED),
            (403, "admission webhook \"policy.example.com\" denied the request: no", reason::ADMISSION_REFUSED),
            (400, "admission webhook \"policy.example.com\" denied the request: no", reason::ADMISSION_REFUSED),
            (
                422,
                "ValidatingAdmissionPolicy 'team-label' with binding 'b' denied request: no",
                reason::ADMISSION_REFUSED,
            ),
            (500, "Internal error occurred: failed calling webhook \"p\"", reason::API_ERROR),
            (
                500,
                "failed to create typed patch object (shop/demo-api; networking.k8s.io/v1, Kind=NetworkPolicy): \
                    .spec.egress[2].ports[0].protokoll: field not declared in schema",
                reason::CHILD_REFUSED,
            ),
            (429, "too many requests", reason::API_ERROR),
            (409, "Apply failed with 1 conflict", reason::API_ERROR),
        ] {
            assert_eq!(reason_of(code, message), expected, "{code} {message}");
        }
    }
}
