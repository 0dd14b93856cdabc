//! Asks pods of images that are older than `GET /state`.
//!
//! Takes: an address. Gives: a [`Report`] from `/config`, `/readyz`, and of a worker `/metrics` and `/mail`. Does not:
//! learn of a change; such pods are asked again and again.

use super::{Mail, Report};
use crate::build::names::Component;
use serde::Deserialize;
use std::{net::SocketAddr, time::Duration};

/// A pod that takes longer is asked again at the next poll.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Body of `GET /config`.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    hash: String,
    refused: Option<String>,
}

/// Body of `GET /mail` of a worker.
#[derive(Debug, Default, Deserialize)]
struct MailReport {
    said: Option<String>,
    fault: Option<String>,
    connections: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct AskerOfOld(reqwest::Client);

impl AskerOfOld {
    /// # Errors
    ///
    /// The HTTP client's, when it cannot be set up.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // Idle connections kept for the next poll would be most of the memory: two of each pod.
        let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).pool_max_idle_per_host(0).no_proxy();
        Ok(Self(client.build()?))
    }

    pub(super) async fn ask(&self, address: SocketAddr, silent: &Report) -> Report {
        let mut report = silent.clone();
        let component = report.component;
        let get = |path: &str| self.0.get(format!("http://{address}{path}")).send();
        // All at once: requests to a pod on a lost node each run into their timeout.
        let of_worker = async |path| if component == Some(Component::Worker) { get(path).await.ok() } else { None };
        let asked = (get("/config"), get("/readyz"), of_worker("/metrics"), of_worker("/mail"));
        let (config, ready, metrics, said) = tokio::join!(asked.0, asked.1, asked.2, asked.3);
        if let Ok(response) = config
            && let Ok(config) = response.json::<Config>().await
        {
            (report.hash, report.refused) = (Some(config.hash), config.refused);
        }
        if let Ok(response) = ready {
            let works = response.status().is_success();
            let text = response.text().await.unwrap_or_default();
            let missing = text.trim().trim_start_matches("not ready: ").chars().take(200).collect();
            report.ready = Some(if works { Ok(()) } else { Err(missing) });
        }
        if let Some(response) = metrics {
            report.mail = mail(&response.text().await.unwrap_or_default());
        }
        if let (Some(mail), Some(response)) = (&mut report.mail, said) {
            let told = response.json::<Option<MailReport>>().await.ok().flatten().unwrap_or_default();
            match mail {
                Mail::Works { connections } => *connections = told.connections,
                Mail::Fails { said, fault, .. } => (*said, *fault) = (told.said, told.fault),
            }
        }
        report
    }
}

fn mail(metrics: &str) -> Option<Mail> {
    let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    if value("signup_mail_reachable ")? > 0.0 {
        return Some(Mail::Works { connections: None });
    }
    let phases =
        metrics.lines().filter_map(|line| line.strip_prefix("signup_mail_failing{phase=\"")?.split_once("\"} "));
    let failing = phases.into_iter().find(|(_, value)| value.trim().parse::<f64>().is_ok_and(|value| value > 0.0));
    Some(Mail::Fails { phase: failing.map(|(phase, _)| phase.to_owned()).unwrap_or_default(), said: None, fault: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::names::ADMIN_PORT;
    use std::net::IpAddr;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    #[test]
    fn the_metrics_of_a_worker_tell_whether_the_mail_server_works_and_at_which_step_it_fails() {
        assert_eq!(mail("signup_mail_sent_total 0\n"), None);
        assert_eq!(
            mail("signup_mail_reachable 1\nsignup_mail_failing{phase=\"tls\"} 0\n"),
            Some(Mail::Works { connections: None })
        );
        let failing =
            "signup_mail_reachable 0\nsignup_mail_failing{phase=\"auth\"} 0\nsignup_mail_failing{phase=\"tls\"} 1\n";
        let fails = |phase: &str| Some(Mail::Fails { phase: phase.to_owned(), said: None, fault: None });
        assert_eq!(mail(failing), fails("tls"));
        assert_eq!(mail("signup_mail_reachable 0\n"), fails(""), "an older worker");
    }

    /// Answers only once it was asked for everything.
    async fn answer_all_at_once(listener: TcpListener) {
        let mut asked = Vec::new();
        while asked.len() < 4 {
            let (mut stream, _) = listener.accept().await.expect("it listens");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.expect("a request");
            asked.push((stream, String::from_utf8_lossy(&request[..length]).into_owned()));
        }
        for (mut stream, request) in asked {
            let body = match request.split(' ').nth(1) {
                Some("/config") => "{\"hash\":\"1\"}",
                Some("/metrics") => "signup_mail_reachable 0\nsignup_mail_failing{phase=\"rcpt\"} 1\n",
                Some("/mail") => {
                    "{\"works\":false,\"phase\":\"rcpt\",\"said\":\"550 relay not permitted\",\"fault\":\"relay\"}"
                }
                _ => "ok\n",
            };
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("it is read");
        }
    }

    #[tokio::test]
    async fn a_worker_is_asked_for_everything_at_once_so_that_a_dead_one_costs_one_wait() {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = IpAddr::from([127, high, low, 1]);
        let listener = TcpListener::bind((address, ADMIN_PORT)).await.expect("the address is free");
        let silent =
            Report { pod: "demo-worker-1".to_owned(), component: Some(Component::Worker), ..Report::default() };
        let asker = AskerOfOld::new().expect("a client");
        let asked = asker.ask(SocketAddr::new(address, ADMIN_PORT), &silent);
        let (report, ()) = tokio::join!(asked, answer_all_at_once(listener));
        let expected = Report {
            hash: Some("1".to_owned()),
            refused: None,
            ready: Some(Ok(())),
            mail: Some(Mail::Fails {
                phase: "rcpt".to_owned(),
                said: Some("550 relay not permitted".to_owned()),
                fault: Some("relay".to_owned()),
            }),
            ..silent
        };
        assert_eq!(report, expected);
    }
}
