//! Postfix' own load generator, as a baseline for speed.
//!
//! Takes: where to send, over how many connections, how many mails. Gives: how long that took, measured beside it.
//! Does not: learn: it stops at the first refusal, so it is told what the server takes.

use crate::{private_root::PrivateRoot, process::ServerError};
use std::time::Duration;

/// One process for all connections, each used for as many mails as come its way.
const ENDLESS: &str = "smtp-source -d -s CONNECTIONS -m MAILS OPTIONS";

/// One process per connection, so that each is left after exactly as many mails as the server takes on one. A server
/// that still counts the one that was just left is asked again.
const COUNTED: &str = "
pids=
for connection in $(seq CONNECTIONS); do
  (for turn in $(seq TURNS); do
    tries=0
    until smtp-source -d -s 1 -m EACH OPTIONS; do tries=$((tries + 1)); [ $tries -lt 1000 ]; done
  done) &
  pids=\"$pids $!\"
done
for pid in $pids; do wait \"$pid\"; done";

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct SmtpSource {
    /// TCP port on 127.0.0.1.
    pub port: u16,
    /// Open at once.
    pub connections: u32,
    /// Mails the server takes on one connection; `None`: any number.
    pub mails_per_connection: Option<u32>,
    /// Mails in all; rounded up to what fills connections.
    pub mails: u32,
    /// Bytes of a mail.
    pub length: u32,
}

impl SmtpSource {
    /// Runs it to its end, and tells mails per second.
    ///
    /// # Errors
    ///
    /// [`ServerError::Failed`] with what it printed when the server refused anything.
    pub fn per_second(self) -> Result<f64, ServerError> {
        let root = PrivateRoot::new("postfix")?;
        let (script, mails) = self.script();
        let script = format!("start=$(date +%s%N)\n{script}\necho $(($(date +%s%N) - start))");
        let output = root.output(&script)?;
        let printed = || ServerError::Failed {
            program: "smtp-source",
            output: String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).trim().to_owned(),
        };
        if !output.status.success() {
            return Err(printed());
        }
        let nanos = String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| printed())?;
        Ok(f64::from(mails) / Duration::from_nanos(nanos).as_secs_f64())
    }

    /// The script and how many mails it sends.
    fn script(self) -> (String, u32) {
        let Self { port, connections, mails, length, .. } = self;
        let options = format!("-l {length} -f no-reply@example.com -t user@example.com 127.0.0.1:{port}");
        let (script, turns, each) = match self.mails_per_connection {
            Some(each) => (COUNTED, mails.div_ceil(connections * each), each),
            None => (ENDLESS, 1, mails.div_ceil(connections)),
        };
        let mails = connections * turns * each;
        let values = [("CONNECTIONS", connections), ("TURNS", turns), ("EACH", each), ("MAILS", mails)];
        let script =
            values.iter().fold(script.to_owned(), |script, (name, value)| script.replace(name, &value.to_string()));
        (script.replace("OPTIONS", &options), mails)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(mails_per_connection: Option<u32>) -> SmtpSource {
        SmtpSource { port: 25, connections: 10, mails_per_connection, mails: 1001, length: 2000 }
    }

    #[test]
    fn connections_are_filled() {
        let (script, mails) = source(Some(20)).script();
        assert_eq!(mails, 1200);
        assert!(script.contains("seq 10") && script.contains("seq 6") && script.contains("-m 20 "), "{script}");
        let (script, mails) = source(None).script();
        assert_eq!(mails, 1010);
        assert!(script.contains("-s 10 -m 1010 "), "{script}");
    }
}
