//! Applies the rules of a point of the dialogue.
//!
//! Takes: a session's wire, the point, and the recipients known there. Gives: whether the session goes on as RFC 5321
//! has it. Does not: choose (`rules` does).

use crate::{
    rules::{Action, Phase},
    server::Server,
    wire::Wire,
};
use std::{io, time::Duration};

/// How a session goes on after the rules of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As if there were no rules.
    Proceed,
    /// The command was answered with a refusal.
    Refused,
    /// The session is over.
    Over,
}

/// Does what the rules say at a point.
///
/// # Errors
///
/// When the replies before that point cannot be sent.
pub(crate) async fn play(server: &Server, wire: &mut Wire, at: Phase, recipients: &[String]) -> io::Result<Verdict> {
    for action in server.rules.actions(at, recipients) {
        let goes_on = match action {
            Action::Reply { code, text } => {
                wire.reply(code, &text);
                return Ok(if code == 421 { Verdict::Over } else { Verdict::Refused });
            }
            Action::Close => false,
            Action::Hang => wait(wire, std::future::pending()).await?,
            Action::Delay { ms } => wait(wire, tokio::time::sleep(Duration::from_millis(ms))).await?,
            Action::Hold(name) => wait(wire, server.holds.pass(&name)).await?,
        };
        if !goes_on {
            return Ok(Verdict::Over);
        }
    }
    Ok(Verdict::Proceed)
}

/// Waits for `event`, with earlier replies sent; false when the client went first.
async fn wait(wire: &mut Wire, event: impl Future<Output = ()>) -> io::Result<bool> {
    wire.flush().await?;
    tokio::select! {
        () = event => Ok(true),
        () = wire.closed() => Ok(false),
    }
}
