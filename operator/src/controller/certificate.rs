//! Does the certificate of an Ingress fit the host that it is for?
//!
//! Takes: the Secret that `spec.expose.ingress.tlsSecretName` names, as it was found, and the host. Gives: when the
//! certificate ends, or what is wrong with it. Pure: the time is a parameter. Does not: check who signed it, for
//! clients may know authorities that nobody here does. The status and `operator check` both ask here.

use super::{
    reason::{self, Finding},
    validate::Resolved,
};
use jiff::Timestamp;
use x509_parser::{extensions::GeneralName, pem::Pem, prelude::X509Certificate};

const FIELD: &str = "spec.expose.ingress.tlsSecretName";

/// Judges it; `None`: nobody here may read it.
///
/// # Errors
///
/// The finding: the Secret is not there or holds no certificate, or that is for other hosts or not of this time.
pub(crate) fn judge(
    secret: &str,
    resolved: &Resolved,
    host: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Finding> {
    let content = match resolved {
        Resolved::Found(content) => content,
        Resolved::Forbidden => return Ok(None),
        Resolved::Missing => {
            let problem = format!("Secret {secret}, named by {FIELD}, does not exist");
            return Err(Finding::with_default_fix(reason::CERTIFICATE_MISSING, problem));
        }
    };
    let first = content.get("tls.crt").and_then(|pem| Pem::iter_from_buffer(pem).next()?.ok());
    let Some(certificate) = first.as_ref().and_then(|pem| pem.parse_x509().ok()) else {
        let problem = format!("Secret {secret}, named by {FIELD}, holds no PEM certificate under tls.crt");
        return Err(Finding::with_default_fix(reason::CERTIFICATE_MISSING, problem));
    };
    let names = names(&certificate);
    if !names.iter().any(|name| covers(name, host)) {
        let found = if names.is_empty() { "no host".to_owned() } else { names.join(", ") };
        let problem =
            format!("the certificate in Secret {secret}, named by {FIELD}, is for {found}, and not for {host}");
        return Err(Finding::with_default_fix(reason::CERTIFICATE_UNFIT, problem));
    }
    let validity = certificate.validity();
    let time = |seconds: i64| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let (begins, ends) = (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
    if now < begins || now >= ends {
        let word = if now < begins { format!("is valid from {begins} on") } else { format!("ended at {ends}") };
        let problem = format!("the certificate in Secret {secret}, named by {FIELD}, {word}");
        return Err(Finding::with_default_fix(reason::CERTIFICATE_EXPIRED, problem));
    }
    Ok(Some(ends))
}

/// When the judgement changes by time alone: the certificate begins, or ends.
pub(crate) fn next_change(resolved: &Resolved, now: Timestamp) -> Option<Timestamp> {
    let Resolved::Found(content) = resolved else { return None };
    let pem = Pem::iter_from_buffer(content.get("tls.crt")?).next()?.ok()?;
    let validity = pem.parse_x509().ok()?.validity().clone();
    let times = [validity.not_before, validity.not_after].map(|time| Timestamp::from_second(time.timestamp()).ok());
    times.into_iter().flatten().find(|time| *time > now)
}

/// The hosts that it is for (RFC 6125, section 6.4: names in the subject itself count no more).
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|extension| &extension.value.general_names);
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_lowercase()),
        _ => None,
    };
    names.filter_map(host).collect()
}

/// `*` stands for one label, whole (RFC 6125, section 6.4.3).
fn covers(name: &str, host: &str) -> bool {
    let rest = |host: &str| host.split_once('.').map(|(_, rest)| rest.to_owned());
    name == host || name.strip_prefix("*.").is_some_and(|domain| rest(host).is_some_and(|rest| rest == domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(hosts: &[&str], from: (i32, u8), to: (i32, u8)) -> Resolved {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(hosts).expect("hosts");
        parameters.not_before = rcgen::date_time_ymd(from.0, from.1, 1);
        parameters.not_after = rcgen::date_time_ymd(to.0, to.1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        Resolved::Found(std::iter::once(("tls.crt", pem)).collect())
    }

    fn told(resolved: &Resolved, host: &str) -> Result<Option<Timestamp>, reason::Reason> {
        let now = "2026-06-01T00:00:00Z".parse().expect("a time");
        judge("cert", resolved, host, now).map_err(|finding| finding.reason)
    }

    #[test]
    fn a_certificate_is_judged_by_its_hosts_and_its_time() {
        let good = secret(&["app.example.com", "*.shop.example.com"], (2026, 1), (2026, 12));
        let ends = "2026-12-01T00:00:00Z".parse().ok();
        for host in ["app.example.com", "a.shop.example.com", "*.shop.example.com"] {
            assert_eq!(told(&good, host), Ok(ends), "{host}");
        }
        for host in ["example.com", "a.b.shop.example.com", "shop.example.com"] {
            assert_eq!(told(&good, host), Err(reason::CERTIFICATE_UNFIT), "{host}");
        }
        let (old, early) = (((2025, 1), (2026, 6)), ((2026, 7), (2027, 1)));
        for (from, to) in [old, early] {
            let other = secret(&["app.example.com"], from, to);
            assert_eq!(told(&other, "app.example.com"), Err(reason::CERTIFICATE_EXPIRED));
        }
        let changes = |secret: &Resolved| next_change(secret, "2026-06-01T00:00:00Z".parse().expect("a time"));
        assert_eq!(changes(&good), ends);
        assert_eq!(changes(&secret(&["app.example.com"], early.0, early.1)), "2026-07-01T00:00:00Z".parse().ok());
        assert_eq!(changes(&secret(&["app.example.com"], old.0, old.1)), None);
        assert_eq!(told(&Resolved::Missing, "app.example.com"), Err(reason::CERTIFICATE_MISSING));
        let empty = Resolved::Found(std::iter::once(("tls.crt", "none")).collect());
        assert_eq!(told(&empty, "app.example.com"), Err(reason::CERTIFICATE_MISSING));
        assert_eq!(told(&Resolved::Forbidden, "app.example.com"), Ok(None));
    }
}
