//! Logs on standard output.
//!
//! Takes: a filter such as `info` or `info,queue=debug`, and a format. Gives: one line per event, fields flattened
//! beside `timestamp`, `level`, `target` and `message`, and a handle that changes the level of a running process. Does
//! not: write files or talk to a collector; the platform gathers standard output.

use pipeline::document::LogFormat;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::ParseError, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Logs that could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter is not one.
    #[error(
        "failed to parse the log level `{level}`; write `error`, `warn`, `info`, `debug` or e.g. `info,queue=debug`"
    )]
    Level {
        /// The text given.
        level: String,
        /// What the parser says.
        source: ParseError,
    },
    /// A subscriber was already installed in this process.
    #[error("failed to install the log subscriber")]
    Install(#[from] tracing_subscriber::util::TryInitError),
    /// The subscriber is gone (the process is ending).
    #[error("failed to change the log level")]
    Change(#[from] reload::Error),
}

/// Changes the level of this process's logs.
#[derive(Debug, Clone)]
pub struct Logs(reload::Handle<EnvFilter, Registry>);

/// Installs the subscriber of this process.
///
/// # Errors
///
/// [`LogsError::Level`] for a filter that does not parse, [`LogsError::Install`] when called twice.
pub fn start(level: &str, format: LogFormat) -> Result<Logs, LogsError> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let lines = tracing_subscriber::fmt::layer();
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(Logs(handle))
}

impl Logs {
    /// Applies another filter from the next event on.
    ///
    /// # Errors
    ///
    /// [`LogsError::Level`] for a filter that does not parse; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), LogsError> {
        Ok(self.0.reload(parse(level)?)?)
    }
}

/// PostgreSQL's notices about existing relations at each start say nothing to an operator; the resolver of DNS names
/// the domains of users, in warnings too.
fn parse(level: &str) -> Result<EnvFilter, LogsError> {
    let quiet = format!("sqlx::postgres::notice=warn,hickory_net=off,hickory_resolver=off,{level}");
    quiet.parse().map_err(|source| LogsError::Level { level: level.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_level_is_named_with_its_fix() {
        let error = parse("info,queue=loud").expect_err("not a level").to_string();
        assert!(error.contains("`info,queue=loud`") && error.contains("`debug`"), "{error}");
        assert!(parse("info,queue=debug").is_ok());
    }
}
