//! Watches that the API server refuses.
//!
//! Takes: the events of a watch. Gives: those that are no errors, and a warning when the watch is forbidden. Does not:
//! try again: the watch does.

use futures::{Stream, StreamExt};
use kube::runtime::watcher;

/// Takes out the errors of a watch, which tries again by itself. A forbidden watch needs a person, so it is logged as a
/// warning.
pub(crate) fn working<K: Send + 'static>(
    stream: impl Stream<Item = watcher::Result<K>> + Send + 'static,
    plural: &str,
) -> impl Stream<Item = watcher::Result<K>> + Send + 'static {
    let (plural, mut is_refused) = (plural.to_owned(), false);
    stream.filter(move |event| {
        let is_news = is_refused_anew(event, &mut is_refused);
        match event {
            Err(error) if is_news => {
                let fix = format!("grant the operator's ServiceAccount list and watch on {plural}");
                tracing::warn!(%error, plural, fix, "a watch is forbidden; it is tried again");
            }
            Err(error) => tracing::debug!(%error, plural, "a watch failed; it is tried again"),
            Ok(_) => {}
        }
        std::future::ready(event.is_ok())
    })
}

/// True at the first refusal since the watch worked.
fn is_refused_anew<K>(event: &watcher::Result<K>, is_refused: &mut bool) -> bool {
    let was_refused = *is_refused;
    match event {
        Ok(_) => *is_refused = false,
        Err(error) => *is_refused |= is_forbidden(error),
    }
    *is_refused && !was_refused
}

pub(super) fn is_forbidden(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchError(status) => status.is_forbidden(),
        InitialListFailed(_) | WatchStartFailed(_) | WatchFailed(_) | NoResourceVersion => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn a_watch_that_may_not_be_made_is_told_once_and_again_when_it_had_worked() {
        let forbidden = || Err(watcher::Error::WatchError(Box::new(Status::failure("no", "Forbidden").with_code(403))));
        let other = || Err(watcher::Error::NoResourceVersion);
        let mut is_refused = false;
        let mut told = |event: watcher::Result<()>| is_refused_anew(&event, &mut is_refused);
        let told = [other(), forbidden(), other(), forbidden(), Ok(()), forbidden()].map(&mut told);
        assert_eq!(told, [false, true, false, false, false, true]);
    }
}
