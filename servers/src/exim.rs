//! One Exim, from Debian's package `exim4-daemon-light`, in a root of its own.
//!
//! Takes: options of the main section and statements of the RCPT ACL (Exim's specification, chapters 14 and 44). Gives:
//! a server on a free port of 127.0.0.1 that takes mail for anybody at example.com and throws it away, and its log.
//! Does not: relay, nor look up names of clients.
//!
//! Installed for the first time in 15 s; started in 0.3 to 0.6 s on two busy cores.

use crate::{
    mail::{Accepted, DOMAIN, LOGIN, Security},
    port::free_port,
    private_root::PrivateRoot,
    process::ServerError,
};

const START: &str = "
install -m 640 -o root -g Debian-exim /srv/exim4.conf /etc/exim4/exim4.conf
for name in crt key; do
  [ ! -e /srv/server.$name ] || install -m 640 -o root -g Debian-exim /srv/server.$name /etc/exim4/server.$name
done
install -d -m 750 -o Debian-exim -g Debian-exim /var/spool/exim4 /run/exim4
for name in main reject panic; do install -m 644 -o Debian-exim /dev/null /srv/logs/$name; done
exec exim4 -bdf -q1m";

/// A running Exim; dropped, it ends.
#[derive(Debug)]
pub struct Exim {
    root: PrivateRoot,
    port: u16,
}

impl Exim {
    /// Starts a server; blocks until it greets. `options` are lines of the main section, such as `smtp_accept_max =
    /// 10`; who exists is `KNOWN = alice1 : bob1`. `rcpt_acl` are lines of the ACL for RCPT that come before our own.
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] or [`ServerError::NeedsRoot`] when this machine cannot, else what went wrong.
    pub fn start(security: Security<'_>, options: &[&str], rcpt_acl: &[&str]) -> Result<Self, ServerError> {
        let (mut root, port) = (PrivateRoot::new("exim")?, free_port()?);
        security.write(&root)?;
        root.write("exim4.conf", &configuration(security, port, options, rcpt_acl))?;
        root.start(START, port)?;
        Ok(Self { root, port })
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.root.read("logs/main")
    }

    /// The mails it took.
    pub fn accepted(&self) -> Accepted {
        accepted(&self.log())
    }
}

fn configuration(security: Security<'_>, port: u16, options: &[&str], rcpt_acl: &[&str]) -> String {
    let (user, password) = LOGIN;
    let tls = match security.authority() {
        Some(_) => {
            "tls_advertise_hosts = *\ntls_certificate = /etc/exim4/server.crt\ntls_privatekey = /etc/exim4/server.key"
        }
        None => "tls_advertise_hosts =",
    };
    let login =
        if security.wants_login() { "deny message = authentication required\n  !authenticated = *" } else { "" };
    let (options, rcpt_acl) = (options.join("\n"), rcpt_acl.join("\n"));
    let values = [
        ("@OPTIONS@", options.as_str()),
        ("@PORT@", &port.to_string()),
        ("@TLS@", tls),
        ("@DOMAIN@", DOMAIN),
        ("@RCPT_ACL@", &rcpt_acl),
        ("@LOGIN@", login),
        ("@USER@", user),
        ("@PASSWORD@", password),
    ];
    values.iter().fold(include_str!("exim.conf").to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Lines `date time id <= sender ... id=Message-ID ...`, one a mail.
fn accepted(log: &str) -> Accepted {
    let mut accepted = Accepted::new();
    for line in log.lines().filter(|line| line.split(' ').nth(3) == Some("<=")) {
        if let Some(name) = line.split(' ').find_map(|word| word.strip_prefix("id=")) {
            *accepted.entry(name.to_owned()).or_default() += 1;
        }
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_counts_when_it_arrives_and_not_when_it_is_delivered() {
        let log = "\
2026-11-29 23:18:13 1vQ-000-00 <= no-reply@example.com H=(x.example.com) [127.0.0.1] P=esmtp S=700 id=one@example.com
2026-11-29 23:18:13 1vQ-000-00 => alice1 <alice1@example.com> R=known T=discard
2026-11-29 23:18:13 1vQ-000-00 Completed
";
        assert_eq!(accepted(log), Accepted::from([("one@example.com".to_owned(), 1)]));
    }
}
