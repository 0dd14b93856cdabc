//! One OpenSMTPD, from Debian's package, in a root of its own.
//!
//! Takes: who exists, and lines of smtpd.conf(5). Gives: a server on a free port of 127.0.0.1 that takes mail for
//! example.com and keeps its Message-IDs only, and its log. Does not: relay, nor encrypt: Debian 12's 6.8.0p2 fails
//! every handshake with OpenSSL 3 (tried with RSA and EC keys, TLS 1.2 and 1.3), and it signs nobody in without.
//!
//! Installed for the first time in 16 s; started in 0.3 to 0.6 s on two busy cores.

use crate::{
    mail::{Accepted, DOMAIN},
    port::free_port,
    private_root::PrivateRoot,
    process::ServerError,
};
use std::time::{Duration, Instant};

/// Between a mail that was taken and its delivery to the file of Message-IDs.
const DELIVERY_LIMIT: Duration = Duration::from_secs(30);

const START: &str = "
install -m 600 /srv/smtpd.conf /etc/smtpd.conf
install -m 666 /dev/null /srv/logs/accepted
exec smtpd -d -f /etc/smtpd.conf";

/// A running OpenSMTPD; dropped, it ends.
#[derive(Debug)]
pub struct OpenSmtpd {
    root: PrivateRoot,
    port: u16,
}

impl OpenSmtpd {
    /// Starts a server; blocks until it greets. `known` are the names at example.com that exist (none: every name
    /// does). `rules` are lines of smtpd.conf that come before our own.
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] or [`ServerError::NeedsRoot`] when this machine cannot, else what went wrong.
    pub fn start(known: &[&str], rules: &[&str]) -> Result<Self, ServerError> {
        let (mut root, port) = (PrivateRoot::new("opensmtpd")?, free_port()?);
        root.write("smtpd.conf", &configuration(port, known, rules))?;
        root.start(START, port)?;
        Ok(Self { root, port })
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.root.read("log")
    }

    /// The mails it took. Its log has no Message-IDs, so the deliveries of what it took are waited for.
    pub fn accepted(&self) -> Accepted {
        let taken = || self.log().lines().filter(|line| line.contains(" smtp message ")).count();
        let start = Instant::now();
        loop {
            let (taken, delivered) = (taken(), self.root.read("logs/accepted"));
            if delivered.lines().count() >= taken || start.elapsed() > DELIVERY_LIMIT {
                return accepted(&delivered);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn configuration(port: u16, known: &[&str], rules: &[&str]) -> String {
    let known: Vec<String> = match known {
        [] => vec![format!("\"@{DOMAIN}\" = \"nobody\"")],
        names => names.iter().map(|name| format!("\"{name}@{DOMAIN}\" = \"nobody\"")).collect(),
    };
    let (known, rules) = (known.join(", "), rules.join("\n"));
    format!(
        "table known {{ {known} }}
listen on 127.0.0.1 port {port} hostname opensmtpd.example.com
{rules}
action \"note\" mda \"grep -im1 '^message-id:' >>/srv/logs/accepted\" virtual <known>
match from any for domain \"{DOMAIN}\" action \"note\"
"
    )
}

/// Lines `Message-ID: <one@example.com>`, one a mail.
fn accepted(lines: &str) -> Accepted {
    let mut accepted = Accepted::new();
    for name in lines.lines().filter_map(|line| line.split_once(": ")?.1.trim().strip_prefix('<')?.strip_suffix('>')) {
        *accepted.entry(name.to_owned()).or_default() += 1;
    }
    accepted
}
