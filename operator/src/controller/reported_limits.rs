//! Which limits of the number of workers are reported.
//!
//! Takes: what limited a decision. Gives: a reason and words, where it is reported. Pure. Does not: decide what limits.

use super::reason::{self, Reason};
use crate::scaling::LimitedBy;

/// What is reported of a limit by which the work asks for more workers than there may be, until something else changes;
/// of the others, which time alone ends, nothing is.
pub(super) fn reported(by: LimitedBy) -> Option<(Reason, &'static str)> {
    match by {
        LimitedBy::MaxReplicas => Some((reason::TOO_MANY_REPLICAS, "the work asks for more workers than maxReplicas")),
        LimitedBy::Mail => Some((reason::MAIL_SERVER_LIMIT, "the mail server takes no more than is sent already")),
        LimitedBy::RetryStorm => {
            Some((reason::RETRY_STORM, "most attempts fail, and more workers would not change that"))
        }
        LimitedBy::Ineffective => Some((reason::INEFFECTIVE, "the workers that were added last brought nothing")),
        LimitedBy::NotStarting => {
            Some((reason::PODS_NOT_STARTING, "workers that were asked for have not started, so there are no more"))
        }
        LimitedBy::MinReplicas
        | LimitedBy::ScaleUp
        | LimitedBy::Cooldown
        | LimitedBy::LookAhead
        | LimitedBy::MissingQueue
        | LimitedBy::ScaleDown
        | LimitedBy::Busy => None,
    }
}
