//! An API server that is gone for a while.
//!
//! Takes: the cluster's own, by tests/cluster/api-server.sh; the test has its turn alone. Gives: an outage that ends
//! with its guard, also when the test fails. Does not: touch etcd or any other part.

use std::{path::Path, process::Command};

/// How it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Killed: connections break, and new ones are refused.
    Killed,
    /// It stands still: connections stay, and nothing is answered.
    Paused,
}

/// An outage under way.
#[must_use]
pub(crate) struct Out(Outage);

impl Outage {
    /// Begins it.
    pub(crate) fn begin(self) -> Out {
        run(match self {
            Self::Killed => "kill",
            Self::Paused => "pause",
        });
        Out(self)
    }
}

impl Out {
    /// Ends it, and waits until the API server answers.
    pub(crate) fn end(self) {
        drop(self);
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        run(match self.0 {
            Outage::Killed => "start",
            Outage::Paused => "resume",
        });
    }
}

fn run(verb: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/api-server.sh");
    let output = Command::new(&script).arg(verb).output().expect("the script runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {verb}: {said}", script.display());
}
