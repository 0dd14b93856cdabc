//! What is valid and rarely meant.
//!
//! Takes: a resource. Gives: warnings. Pure. Does not: look at a cluster.

use super::line::Line;
use crate::crd::SignupPipeline;

/// Judges a resource.
pub(super) fn judge(pipeline: &SignupPipeline) -> Vec<Line> {
    signup_limit(pipeline).into_iter().collect()
}

/// `api` takes the address of its peer for the client's, and does not believe `X-Forwarded-For`, which anybody can write.
fn signup_limit(pipeline: &SignupPipeline) -> Option<Line> {
    let limit = pipeline.spec.signup.per_minute_per_ip;
    (limit > 0 && pipeline.spec.expose.is_some()).then(|| {
        let message = format!(
            "spec.signup.perMinutePerIP is {limit}, and through an Ingress or Gateway all clients have its address: each api pod accepts {limit} signups a minute from all of them together"
        );
        Line::warning("limit of signups", message, "set it to 0 and limit clients at the ingress controller, or raise it to what all may do")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_per_client_behind_a_proxy_is_told() {
        let warned = |more: &str| {
            let text = include_str!("../../../samples/minimal.yaml").replace("spec:\n", &format!("spec:\n  {more}\n"));
            !judge(&crate::manifest::parse(&text).expect("valid").pipeline).is_empty()
        };
        let exposed = "expose: {host: a.test, ingress: {}}";
        assert!(warned(exposed) && warned(&format!("{exposed}\n  signup: {{perMinutePerIP: 600}}")));
        assert!(!warned("paused: false") && !warned(&format!("{exposed}\n  signup: {{perMinutePerIP: 0}}")));
    }
}
