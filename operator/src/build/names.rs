//! Names, labels, ports and annotations of the children, in one place.
//!
//! Takes: the name of a pipeline. Gives: what its children are called. Does not: look anything up.

use serde_json::{Value, json};

/// Field manager of everything but the workers' replicas.
pub const FIELD_MANAGER: &str = "signup-operator";
/// Field manager of the workers' replicas.
pub const SCALER_FIELD_MANAGER: &str = "signup-operator-scaler";

/// Label of every child; the operator watches nothing else.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", FIELD_MANAGER);
/// Label with the name of the pipeline.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the component: `api` or `worker`.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label of the pipeline's objects, whatever its name.
pub const NAME: (&str, &str) = ("app.kubernetes.io/name", "signup-pipeline");

/// Annotation of a pod; a change of it makes the kubelet sync the pod's volumes at once.
pub const SYNC: &str = "signup.dev/sync";

/// Annotation of the api's Deployment: the image that a pipeline without `spec.image` began with and keeps. Without the
/// annotation the operator's own is taken.
pub const IMAGE: &str = "signup.dev/image";

/// Annotation of both Deployments: which [`super::pod_defaults`] their pods have.
pub const POD_DEFAULTS: &str = "signup.dev/pod-defaults";

/// Annotation of every child: a hash of all that was desired when it was applied.
pub const DESIRED: &str = "signup.dev/desired";

/// Port of the HTTP interface inside a pod.
pub const HTTP_PORT: u16 = 8080;
/// Port of the gRPC interface inside a pod.
pub const GRPC_PORT: u16 = 9090;
/// Port of health, metrics and the configuration in force, inside every pod.
pub const ADMIN_PORT: u16 = 8081;

/// A component of the pipeline that runs in pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The HTTP and gRPC service.
    Api,
    /// Sends the mails.
    Worker,
}

impl Component {
    /// All components.
    pub const ALL: [Self; 2] = [Self::Api, Self::Worker];

    /// Name of the component and of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }

    /// Name of the component's Deployment, ServiceAccount, policy and so on.
    pub fn child_name(self, pipeline: &str) -> String {
        format!("{pipeline}-{}", self.name())
    }
}

/// Name of the ConfigMap with `pipeline.yaml`.
pub fn config_map(pipeline: &str) -> String {
    format!("{pipeline}-config")
}

/// Name of the Secret with the generated keys.
pub fn key_secret(pipeline: &str) -> String {
    format!("{pipeline}-keys")
}

/// Labels by which a component's pods are selected; they can never change.
pub fn selector(pipeline: &str, component: Component) -> Value {
    json!({NAME.0: NAME.1, INSTANCE: pipeline, COMPONENT: component.name()})
}

/// The same labels as text, for the scale subresource.
pub fn selector_text(pipeline: &str, component: Component) -> String {
    format!("{COMPONENT}={},{INSTANCE}={pipeline},{}={}", component.name(), NAME.0, NAME.1)
}
