//! One Postfix, from Debian's package, in a root of its own.
//!
//! Takes: parameters of main.cf (postconf(5)). Gives: a server on a free port of 127.0.0.1 that takes mail for anybody
//! at example.com and throws it away, its log, and `smtp-source`, Postfix' own load generator. Does not: relay;
//! 127.0.0.1 is in no way trusted, so limits for clients hold for it too.
//!
//! Installed for the first time in 28 s; started in 1 to 2 s on two busy cores.

use crate::{
    mail::{Accepted, DOMAIN, LOGIN, Security},
    port::free_port,
    private_root::PrivateRoot,
    process::ServerError,
};
use std::collections::{BTreeMap, BTreeSet};

/// What differs from Postfix' defaults; whatever a test names replaces it.
const PARAMETERS: [(&str, &str); 14] = [
    ("compatibility_level", "3.6"),
    ("inet_interfaces", "127.0.0.1"),
    ("inet_protocols", "ipv4"),
    ("myhostname", "postfix.example.com"),
    ("mydestination", DOMAIN),
    ("mynetworks", ""),
    ("alias_maps", ""),
    ("local_recipient_maps", ""),
    ("local_transport", "discard:"),
    ("maillog_file", "/dev/stdout"),
    // A short one may come again within the log.
    ("enable_long_queue_ids", "yes"),
    ("smtpd_tls_security_level", "may"),
    ("smtpd_sasl_local_domain", "postfix.example.com"),
    // Nobody is asked for names of 127.0.0.1.
    ("smtpd_peername_lookup", "no"),
];

const STARTTLS: [(&str, &str); 1] = [("smtpd_tls_chain_files", "/srv/server.key, /srv/server.crt")];

/// AUTH without Dovecot: Cyrus' library with a file of its own.
const LOGIN_PARAMETERS: [(&str, &str); 3] = [
    ("smtpd_sasl_auth_enable", "yes"),
    ("smtpd_tls_auth_only", "yes"),
    ("smtpd_client_restrictions", "permit_sasl_authenticated, reject"),
];

/// Postfix looks its installation over at every start (1 s) unless a file says that somebody just did: the package did.
const START: &str = "
cp /srv/main.cf /etc/postfix/main.cf
cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
postconf -M smtp/inet=\"PORT inet n - n - - smtpd\"
postconf -F '*/*/chroot=n'
if [ -e /srv/password ]; then
  mkdir -p /etc/postfix/sasl
  printf 'pwcheck_method: auxprop\\nauxprop_plugin: sasldb\\nmech_list: PLAIN LOGIN\\n' >/etc/postfix/sasl/smtpd.conf
  rm -f /etc/sasldb2
  saslpasswd2 -p -c -u postfix.example.com USER </srv/password
  chown postfix /etc/sasldb2
fi
mkdir -p /var/spool/postfix
[ ! -d /var/spool/postfix/active ] || touch /var/spool/postfix/quick-start
exec postfix start-fg";

/// A running Postfix; dropped, it ends.
#[derive(Debug)]
pub struct Postfix {
    root: PrivateRoot,
    port: u16,
}

impl Postfix {
    /// Starts a server; blocks until it greets. `parameters` are lines of main.cf, such as `message_size_limit =
    /// 10000`; who exists is `local_recipient_maps = inline:{ {alice1=1} }`.
    ///
    /// # Errors
    ///
    /// [`ServerError::Missing`] or [`ServerError::NeedsRoot`] when this machine cannot, else what went wrong.
    pub fn start(security: Security<'_>, parameters: &[&str]) -> Result<Self, ServerError> {
        let (mut root, port) = (PrivateRoot::new("postfix")?, free_port()?);
        security.write(&root)?;
        root.write("main.cf", &main_cf(security, parameters))?;
        if security.wants_login() {
            root.write("password", LOGIN.1)?;
        }
        root.start(&START.replace("PORT", &port.to_string()).replace("USER", LOGIN.0), port)?;
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

    /// The mails it took: those that its queue manager knows.
    pub fn accepted(&self) -> Accepted {
        accepted(&self.log())
    }
}

fn main_cf(security: Security<'_>, parameters: &[&str]) -> String {
    let mut all: BTreeMap<&str, &str> = PARAMETERS.into();
    if security.authority().is_some() {
        all.extend(STARTTLS);
    }
    if security.wants_login() {
        all.extend(LOGIN_PARAMETERS);
    }
    all.extend(
        parameters.iter().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim(), value.trim())),
    );
    all.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
}

fn accepted(log: &str) -> Accepted {
    let (mut queued, mut named) = (BTreeSet::new(), Vec::new());
    for line in log.lines() {
        let Some((service, id, text)) = event(line) else { continue };
        if service == "qmgr" && text.ends_with("(queue active)") {
            queued.insert(id);
        } else if let Some(name) = text.strip_prefix("message-id=<") {
            named.push((id, name.trim_end_matches('>')));
        }
    }
    let mut accepted = Accepted::new();
    for (_, name) in named.into_iter().filter(|(id, _)| queued.contains(id)) {
        *accepted.entry(name.to_owned()).or_default() += 1;
    }
    accepted
}

/// Service, queue id and text of `Nov 29 23:18:13 host postfix/qmgr[7]: 4bXyz: text`.
fn event(line: &str) -> Option<(&str, &str, &str)> {
    let (service, rest) = line.split_once("postfix/")?.1.split_once('[')?;
    let (id, text) = rest.split_once("]: ")?.1.split_once(": ")?;
    Some((service, id, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_counts_once_the_queue_manager_has_it() {
        let log = "\
Nov 29 23:18:13 host postfix/cleanup[9]: 4bA: message-id=<one@example.com>
Nov 29 23:18:13 host postfix/qmgr[7]: 4bA: from=<no-reply@example.com>, size=700, nrcpt=1 (queue active)
Nov 29 23:18:14 host postfix/cleanup[9]: 4bB: message-id=<one@example.com>
Nov 29 23:18:14 host postfix/qmgr[7]: 4bB: from=<no-reply@example.com>, size=700, nrcpt=1 (queue active)
Nov 29 23:18:15 host postfix/cleanup[9]: 4bC: message-id=<cut@example.com>
Nov 29 23:18:15 host postfix/smtpd[8]: lost connection after DATA (12 bytes) from unknown[127.0.0.1]
";
        assert_eq!(accepted(log), Accepted::from([("one@example.com".to_owned(), 2)]));
    }

    #[test]
    fn a_parameter_that_a_test_names_replaces_ours() {
        let text = main_cf(Security::Plain, &["mynetworks = 127.0.0.0/8", "message_size_limit=1000"]);
        assert!(text.contains("mynetworks = 127.0.0.0/8\n") && text.contains("message_size_limit = 1000\n"), "{text}");
        assert_eq!(text.matches("mynetworks").count(), 1);
    }
}
