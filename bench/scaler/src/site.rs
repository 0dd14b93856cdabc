//! All that runs during the bench.
//!
//! Takes: the arguments. Gives: the control plane, the operator, KEDA when it is asked for, Redis, and sides with a
//! database each. Does not: measure.

use crate::{
    arguments::Arguments,
    control_plane::ControlPlane,
    keda::{self, Flavour, Keda, Wish},
    load::Side,
    objects::{api, apply},
    ours::{self, Operator},
    record::Record,
};
use anyhow::ensure;
use kube::{Client, api::DeleteParams};
use serde_json::{Value, json};
use servers::Redis;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Who scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    Ours,
    Keda(Flavour),
}

pub(crate) const ALL: [Contender; 3] =
    [Contender::Ours, Contender::Keda(Flavour::Tuned), Contender::Keda(Flavour::Default)];

impl Contender {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Keda(Flavour::Tuned) => "tuned",
            Self::Keda(Flavour::Default) => "default",
        }
    }
}

/// Everything. Fields are dropped in order: who scales before what is scaled.
pub(crate) struct Site<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) operator: Operator,
    keda: Option<Keda>,
    pub(crate) client: Client,
    pub(crate) plane: ControlPlane,
    pub(crate) redis: Redis,
    pub(crate) record: Arc<Record>,
    databases: AtomicU32,
}

impl<'a> Site<'a> {
    pub(crate) async fn start(arguments: &'a Arguments) -> anyhow::Result<Self> {
        let redis = Redis::start_with(&["--databases", "16384"])?;
        let plane = ControlPlane::start().await?;
        let client = plane.client()?;
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
        let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "scalers"});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "scalers"}, "roleRef": role, "subjects": [subject]});
        apply(&client, "bench", binding).await?;
        let operator = Operator::start(&plane, &arguments.programs, "watch").await?;
        let keda = if arguments.without_keda { None } else { Some(Keda::start(&plane, &arguments.keda).await?) };
        let (record, databases) = (Arc::default(), AtomicU32::new(0));
        Ok(Self { arguments, operator, keda, client, plane, redis, record, databases })
    }

    /// With a database that no other has.
    pub(crate) fn side(&self, name: &str) -> Side {
        let database = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
        Side { name: name.to_owned(), uri: self.redis.uri(database) }
    }

    /// Removes what is in a side's queue.
    pub(crate) fn empty(&self, side: &Side) -> anyhow::Result<()> {
        let database = side.uri.rsplit('/').next().unwrap_or_default();
        self.redis.command(&["-n", database, "FLUSHDB"])?;
        Ok(())
    }

    /// Those that take part.
    pub(crate) fn contenders(&self) -> impl Iterator<Item = Contender> + '_ {
        ALL.into_iter().filter(|contender| *contender == Contender::Ours || self.keda.is_some())
    }

    /// Sides of all contenders in a namespace of their own, once each has its first pods.
    pub(crate) async fn compete(
        &self,
        namespace: &str,
        autoscaling: &Value,
        wish: impl Fn(Flavour) -> Wish,
    ) -> anyhow::Result<Vec<(Contender, Side)>> {
        ours::namespace(&self.client, namespace).await?;
        let mut sides = Vec::new();
        for contender in self.contenders() {
            let side = self.side(&format!("{namespace}-{}", contender.word()));
            match contender {
                Contender::Ours => drop(ours::pipeline(&self.client, namespace, &side, autoscaling).await?),
                Contender::Keda(flavour) => keda::scale(&self.client, namespace, &side, wish(flavour)).await?,
            }
            sides.push((contender, side));
        }
        Ok(sides)
    }

    /// Waits until each side has so many pods, all ready.
    pub(crate) async fn has_pods(&self, namespace: &str, sides: &[Side], pods: i32) -> anyhow::Result<()> {
        for side in sides {
            let is_so = async || ours::pods(&self.client, namespace, side).await == Some((pods, pods));
            self.wait(&format!("{pods} pods of {}", side.name), is_so).await?;
        }
        Ok(())
    }

    /// Waits up to five minutes.
    pub(crate) async fn wait(&self, what: &str, is_so: impl AsyncFn() -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !is_so().await {
            ensure!(began.elapsed() < Duration::from_secs(300), "not within five minutes: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Ends a competition; the garbage collector removes what belongs to it.
    pub(crate) async fn end(&self, namespace: &str, sides: &[(Contender, Side)]) -> anyhow::Result<()> {
        for (contender, side) in sides {
            let (kind, name) = match contender {
                Contender::Ours => (("signup.dev/v1alpha1", "SignupPipeline"), side.name.clone()),
                Contender::Keda(_) => (("keda.sh/v1alpha1", "ScaledObject"), side.name.clone()),
            };
            api(&self.client, kind, Some(namespace)).delete(&name, &DeleteParams::default()).await?;
            // The pipeline's own may be gone by then.
            let deployments = api(&self.client, ("apps/v1", "Deployment"), Some(namespace));
            let _ = deployments.delete(&side.deployment(), &DeleteParams::background()).await;
        }
        Ok(())
    }
}
