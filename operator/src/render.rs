//! `operator render`: every child of a pipeline, without a cluster.
//!
//! Takes: a file with a SignupPipeline. Gives: YAML that `kubectl apply` takes. Does not: print Secrets, or a number of
//! workers that follows the queue. Checksums of Secrets cover what the file holds, and owner references are absent,
//! because only a cluster gives the owner its uid.

use crate::{
    build::{self, Inputs, key_secret, names::Component},
    controller::endpoints,
    crd::{SignupPipeline, autoscaling::AutoscalingMode},
    manifest::{self, objects::Objects},
    scaling::Limits,
};
use std::{fmt::Write as _, path::PathBuf};

/// Flags of `operator render`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// File with a SignupPipeline; its Secrets may stand beside it.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Image of the pods when the pipeline names none.
    #[arg(long, env = "SIGNUP_IMAGE", value_name = "IMAGE", default_value = super::run::IMAGE)]
    pub image: String,
    /// Namespace when the file names none.
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    pub namespace: String,
}

/// A file that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The path given.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is no valid pipeline.
    #[error("{0}")]
    Invalid(manifest::problem::Problems),
    /// The processes would refuse the configuration.
    #[error("failed to build the configuration")]
    Document(#[from] pipeline::document::InvalidDocument),
    /// An object has no YAML form.
    #[error("failed to print an object")]
    Print(#[from] serde_yaml::ser::Error),
}

/// Reads the file and renders it.
///
/// # Errors
///
/// [`RenderError`], with every problem of the file.
pub fn run(options: &Options) -> Result<String, RenderError> {
    let path = &options.file;
    let text = std::fs::read_to_string(path).map_err(|source| RenderError::Read { path: path.clone(), source })?;
    let mut manifest = manifest::parse(&text).map_err(RenderError::Invalid)?;
    manifest.pipeline.metadata.namespace.get_or_insert_with(|| options.namespace.clone());
    render(&manifest.pipeline, &manifest.objects, &options.image)
}

/// Renders a pipeline; the same input gives the same bytes.
///
/// # Errors
///
/// [`RenderError::Document`] and [`RenderError::Print`].
pub fn render(pipeline: &SignupPipeline, objects: &Objects, image: &str) -> Result<String, RenderError> {
    let inputs: Inputs = endpoints::inputs(pipeline, &objects.secrets, image);
    let limits = Limits::from(&pipeline.spec.worker);
    let follows_queue = limits.mode == AutoscalingMode::Auto && limits.min < limits.max;
    let mut text = String::new();
    for child in build::children(pipeline, &inputs)? {
        let object = if follows_queue { child.object } else { child.as_made() };
        let _ = writeln!(text, "---\n{}", serde_yaml::to_string(&object)?.trim_end());
    }
    if follows_queue {
        let name = Component::Worker.child_name(pipeline.metadata.name.as_deref().unwrap_or_default());
        let (min, max) = (limits.min, limits.max);
        let _ = writeln!(
            text,
            "# and the pods of Deployment {name}: {min} to {max}, as many as the work that is due needs"
        );
    }
    if pipeline.spec.verification.key_secret_ref.is_none() {
        let secret = key_secret::build(pipeline, [0; 32]).metadata.name.unwrap_or_default();
        let _ = writeln!(text, "# and Secret {secret}, made once with a random key under `current` when it is absent");
    }
    Ok(text)
}
