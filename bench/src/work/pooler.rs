//! Signups through PgBouncer in transaction mode, with its defaults, against straight to the same PostgreSQL.
//!
//! Two api processes share the database, one on either way; they take turns in slices within a round. The second row is
//! the store alone, without hashes: what it costs that no statement stays prepared and each has a transaction. It has
//! no target, for no signup is without a hash.

use super::{
    Round,
    owed::{CALLERS, write_users},
    signups::sign_up,
};
use crate::{
    deployment::{Deployment, Variation},
    figure::{Better, Goal, Measured, Target, Unit},
};
use servers::{PgBouncer, PoolMode};
use signup::Store;
use std::{
    path::Path,
    time::{Duration, Instant},
};

pub(super) const GOALS: [Goal; 2] = [
    goal("pooler_signups", "signups over HTTP through PgBouncer, against straight", Target::TimesBaseline(0.9)),
    goal("pooler_statements", "users written by the store alone through PgBouncer, against straight", Target::Nothing),
];

const fn goal(key: &'static str, work: &'static str, target: Target) -> Goal {
    Goal { key, work, unit: Unit::PerSecond, better: Better::Higher, target }
}

/// Slices of each kind in a round.
const SLICES: usize = 4;
/// Signups in a slice: about two seconds on two cores.
const SLICE: usize = 320;
/// Users written in a slice of the second row.
const USERS: usize = 800;
/// As in the work `signups`.
const DELAY: Duration = Duration::from_secs(50);

pub(super) async fn measure(programs: &Path, round: Round) -> anyhow::Result<Vec<Measured>> {
    let deployment = Deployment::start(programs, Variation { delay: DELAY, concurrency: 16 })?;
    let pooler = PgBouncer::start(&deployment.postgres, PoolMode::Transaction, "")?;
    let through = pooler.before(&deployment.database_uri);
    let straight_api = deployment.api().await?;
    deployment.lead_to(&through)?;
    let pooled_api = deployment.api().await?;
    let apis = [pooled_api.address("http")?, straight_api.address("http")?];
    let stores = [&through, &deployment.database_uri].map(|uri| Store::connect(uri, None, CALLERS as u32 + 1));
    let [pooled, straight] = stores;
    let stores = [pooled?, straight?];
    let (mut signing_up, mut writing) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
    let order = if round.baseline_first() { [1, 0] } else { [0, 1] };
    for (slice, way) in (0..=SLICES).flat_map(|slice| order.map(|way| (slice, way))) {
        let first = (slice * 2 + way) * 100_000;
        let signed_up = sign_up(apis[way], first, SLICE).await?;
        let (start, first) = (Instant::now(), first + 50_000);
        write_users(&deployment, &stores[way], first..first + USERS).await?;
        let written = start.elapsed();
        // The first slice warms both ways up.
        if slice > 0 {
            signing_up[way] += signed_up;
            writing[way] += written;
        }
    }
    let rate = |count: usize, took: Duration| (SLICES * count) as f64 / took.as_secs_f64();
    Ok(vec![
        Measured::against("pooler_signups", rate(SLICE, signing_up[0]), rate(SLICE, signing_up[1])),
        Measured::against("pooler_statements", rate(USERS, writing[0]), rate(USERS, writing[1])),
    ])
}
