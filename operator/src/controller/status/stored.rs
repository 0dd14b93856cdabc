//! Whether the status in the API server is the one that was written.
//!
//! Takes: each version of the resource that the watch shows, and what the API server answered to our own writes. Gives:
//! that somebody else has changed the status since, once. Does not: take our own write for somebody else's because the
//! watch was quicker than the answer; compare `status.operator`, which is claimed and not reported.

use crate::crd::SignupPipeline;
use kube::ResourceExt;
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

/// The status in one version of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::controller) struct Stored {
    version: u64,
    hash: u64,
}

impl Stored {
    /// `None` where the versions cannot be put in order.
    pub(super) fn of(pipeline: &SignupPipeline) -> Option<Self> {
        let version = pipeline.resource_version()?.parse().ok()?;
        let mut status = pipeline.status.clone().unwrap_or_default();
        status.operator = None;
        let mut hasher = DefaultHasher::new();
        serde_json::to_vec(&status).ok()?.hash(&mut hasher);
        Some(Self { version, hash: hasher.finish() })
    }
}

/// The status of one pipeline, as it was written and as it is.
#[derive(Debug, Default)]
pub(in crate::controller) struct StatusWatch {
    own: Option<Stored>,
    seen: Option<Stored>,
    is_writing: bool,
    is_foreign: bool,
}

impl StatusWatch {
    /// The watch shows this; true: somebody else has changed it, which was not known.
    pub(in crate::controller) fn see(&mut self, pipeline: &SignupPipeline) -> bool {
        self.seen = Stored::of(pipeline);
        self.judge()
    }

    /// A write of our own begins; true: it has to put right what somebody else changed.
    pub(in crate::controller) fn begin(&mut self) -> bool {
        self.is_writing = true;
        std::mem::take(&mut self.is_foreign)
    }

    /// It has ended, and this was written last; true as in [`see`](Self::see).
    pub(in crate::controller) fn end(&mut self, own: Option<Stored>) -> bool {
        (self.own, self.is_writing) = (own, false);
        self.judge()
    }

    fn judge(&mut self) -> bool {
        let (Some(own), Some(seen)) = (self.own, self.seen) else { return false };
        let is_foreign = !self.is_writing && seen.version > own.version && seen.hash != own.hash;
        is_foreign && !std::mem::replace(&mut self.is_foreign, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(version: &str, url: &str) -> SignupPipeline {
        let text = include_str!("../../../../samples/minimal.yaml");
        let mut pipeline = crate::manifest::parse(text).expect("it is valid").pipeline;
        pipeline.metadata.resource_version = Some(version.to_owned());
        pipeline.status = Some(Default::default());
        pipeline.status.as_mut().expect("it was set").url = Some(url.to_owned());
        pipeline
    }

    #[test]
    fn another_s_change_is_told_once_and_our_own_never() {
        let (mut watch, own) = (StatusWatch::default(), |version| Stored::of(&pipeline(version, "ours")));
        assert!(!watch.see(&pipeline("5", "of an operator before")));
        assert!(!watch.begin());
        assert!(!watch.see(&pipeline("6", "ours")), "the watch is quicker than the answer");
        assert!(!watch.end(own("6")));
        assert!(!watch.see(&pipeline("5", "of an operator before")), "it is older");
        assert!(!watch.see(&pipeline("7", "ours")), "an edit of something else");
        assert!(watch.see(&pipeline("8", "theirs")));
        assert!(!watch.see(&pipeline("9", "theirs")), "it is known");
        assert!(watch.begin());
        assert!(!watch.end(own("10")));
        assert!(!watch.begin());
        assert!(!watch.see(&pipeline("12", "theirs")), "ours may be on its way");
        assert!(watch.end(own("11")));
    }
}
