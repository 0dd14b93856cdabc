//! Reads one named object.
//!
//! Takes: its kind and name. Gives: what it resolves to, and its resource version. Does not: list or watch.

use crate::{
    controller::{
        observe::ObserveError,
        validate::{Reference, Resolved, Source},
    },
    manifest::objects::Content,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};

/// A missing or forbidden object is not an error.
///
/// # Errors
///
/// [`ObserveError::Read`].
pub(crate) async fn resolve(client: &Client, namespace: &str, reference: &Reference) -> Result<Resolved, ObserveError> {
    Ok(read(client, namespace, reference.source, &reference.name).await?.0)
}

/// The same, with the resource version of what was found.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    source: Source,
    name: &str,
) -> Result<(Resolved, Option<String>), ObserveError> {
    let (kind, read) = match source {
        Source::Secret => ("Secret", read_secret(client, namespace, name).await),
        Source::ConfigMap => ("ConfigMap", read_config_map(client, namespace, name).await),
    };
    match read {
        Ok(Some((content, version))) => Ok((Resolved::Found(content), version)),
        Ok(None) => Ok((Resolved::Missing, None)),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok((Resolved::Forbidden, None)),
        Err(source) => Err(ObserveError::Read { kind, name: name.to_owned(), source: Box::new(source) }),
    }
}

type Found = Option<(Content, Option<String>)>;

async fn read_secret(client: &Client, namespace: &str, name: &str) -> Result<Found, kube::Error> {
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await?;
    Ok(secret.map(|secret| {
        let content = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
        (content, secret.metadata.resource_version)
    }))
}

async fn read_config_map(client: &Client, namespace: &str, name: &str) -> Result<Found, kube::Error> {
    let map = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(name).await?;
    Ok(map.map(|map| (map.data.unwrap_or_default().into_iter().collect(), map.metadata.resource_version)))
}
