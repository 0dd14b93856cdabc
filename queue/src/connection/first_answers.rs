//! Asks several servers the same at the same time.
//!
//! Takes: the questions. Gives: the answers that came with the first one or shortly after, and a failure. Does
//! not: wait for those that are silent once somebody has answered.

use crate::error::Error;
use futures::{StreamExt, stream::FuturesUnordered};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long others may take after the first answer: servers nearby answer within milliseconds, and one that is cut off
/// may know less.
const GRACE: Duration = Duration::from_millis(100);

pub(super) async fn first_answers<T>(
    questions: impl Iterator<Item = impl Future<Output = Result<T, Error>>>,
) -> (Vec<T>, Option<Error>) {
    let mut questions: FuturesUnordered<_> = questions.collect();
    let (mut answers, mut failure, mut until) = (Vec::new(), None, None);
    loop {
        let next = match until {
            None => questions.next().await,
            Some(until) => timeout_at(until, questions.next()).await.unwrap_or(None),
        };
        match next {
            Some(Ok(answer)) => {
                answers.push(answer);
                until.get_or_insert_with(|| Instant::now() + GRACE);
            }
            // A refusal says more than silence.
            Some(Err(error)) if failure.is_none() || !matches!(error, Error::Unreachable(_)) => failure = Some(error),
            Some(Err(_)) => {}
            None => return (answers, failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, future::pending, future::ready};

    #[tokio::test]
    async fn a_silent_one_is_not_waited_for_and_a_slower_one_is() {
        let slower = async {
            tokio::task::yield_now().await;
            Ok(2)
        };
        let questions = [pending().boxed(), ready(Ok(1)).boxed(), slower.boxed()];
        let (answers, failure) = first_answers(questions.into_iter()).await;
        assert!(answers == [1, 2] && failure.is_none());
    }

    #[tokio::test]
    async fn without_an_answer_the_failure_is_told() {
        let failed = || ready(Err::<(), _>(Error::UnexpectedReply { script: "TIME" })).boxed();
        let (answers, failure) = first_answers([failed(), failed()].into_iter()).await;
        assert!(answers.is_empty() && failure.is_some());
    }
}
