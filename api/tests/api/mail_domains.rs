//! `signup.emailDomains.requireMX`: the whole program beside a name server that nobody here wrote.

use crate::harness::{CANARY, Setup, TestApi, client::Answer, client::form};
use reqwest::Method;
use serde_json::json;
use servers::{Dnsmasq, Network};

const NO_MAIL: &str = "is at a domain that takes no mail; look for a typing error";

/// Starts the name server that `/etc/resolv.conf` of [`setup`] leads to.
fn name_server() -> Dnsmasq {
    let domains = [
        "--local=/example/",
        "--mx-host=mx.example,mail.mx.example",
        "--host-record=address.example,192.0.2.1",
        "--dns-rr=null.example,15,000000",
    ];
    Dnsmasq::start_at(53, &domains).expect("dnsmasq runs; install it with `make setup`")
}

/// With a root file system in which the name server is that at port 53 of 127.0.0.1.
fn setup(folder: &std::path::Path) -> Setup {
    let file = folder.join("resolv.conf");
    // A search list would make a name of whatever is asked for below it.
    std::fs::write(&file, "nameserver 127.0.0.1\nsearch mx.example\n").expect("a file");
    let mount = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;
    // The resolver would tell of each domain.
    let mut setup = Setup::new().with(|document| document.observability.log_level = "debug".into());
    setup.through = ["unshare", "--mount", "sh", "-c", mount].map(str::to_owned).to_vec();
    setup.through.push(file.to_string_lossy().into_owned());
    setup
}

async fn signup(api: &TestApi, name: &str, domain: &str) -> Answer {
    let mut form = form(name);
    form["email"] = format!("{CANARY}.{name}@{domain}").into();
    api.post(form.to_string()).await
}

fn is_refused(answer: &Answer) -> bool {
    let violation = &answer.json()["details"][0]["field_violations"][0];
    answer.status == 400 && (&violation["field"], &violation["description"]) == (&json!("email"), &json!(NO_MAIL))
}

/// How many checks had this result.
async fn counted(api: &TestApi, result: &str) -> u64 {
    let metrics = api.admin("/metrics").await.text;
    let name = format!("signup_mx_checks_total{{result=\"{result}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().expect("a number"))
}

/// Sends requests until the name server answers one in time, which is refused; one that it does not is counted.
async fn refused(api: &TestApi, send: impl AsyncFn(usize) -> Answer) {
    for turn in 0.. {
        let failed = counted(api, "failed").await;
        let answer = send(turn).await;
        if counted(api, "failed").await == failed {
            return assert!(is_refused(&answer), "{answer:?}");
        }
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn domains_that_take_no_mail_are_refused_live_and_taken_while_nobody_says() {
    Network::Both.run("mail_domains::domains_that_take_no_mail_are_refused_live_and_taken_while_nobody_says", || {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(refuses_live());
    });
}

async fn refuses_live() {
    let (folder, server) = (tempfile::tempdir().expect("a folder"), name_server());
    let mut api = TestApi::spawn_with(setup(folder.path())).await;
    assert_eq!(signup(&api, "early", "absent.example").await.status, 200, "by default nobody is asked");
    api.edit(|document| document.signup.email_domains.require_mx = true).await;
    for (name, domain) in [("alice", "mx.example"), ("bobby", "Address.Example")] {
        assert_eq!(signup(&api, name, domain).await.status, 200, "{domain}");
    }
    for (number, domain) in ["canary.example", "null.example", "münchen.example", "a.absent.example"].iter().enumerate()
    {
        refused(&api, async |turn| signup(&api, &format!("carol_{number}_{turn}"), domain).await).await;
    }
    let correct = async |email: &str| {
        let body = json!({"username": "alice", "password": form("alice")["password"], "email": email});
        api.send_with(Method::PATCH, "/v1/users/me/email", &[], body.to_string()).await
    };
    refused(&api, async |turn| correct(&format!("{CANARY}{turn}@null.example")).await).await;
    assert_eq!(correct(&format!("{CANARY}@address.example")).await.status, 200);
    assert_eq!(counted(&api, "no_mail").await, 5);

    let under_key = async |name: &str| {
        let mut form = form(name);
        form["email"] = format!("{CANARY}.{name}@mx.example").into();
        api.send_with(Method::POST, "/v1/create_user", &[("idempotency-key", name)], form.to_string()).await
    };
    let first = under_key("daisy").await;
    drop(server);
    let before = counted(&api, "failed").await;
    assert_eq!(signup(&api, "later", "canary2.example").await.status, 200, "nobody says that it takes none");
    assert_eq!(counted(&api, "failed").await, before + 1);
    let asked = async || (counted(&api, "failed").await, counted(&api, "takes_mail").await);
    let before = asked().await;
    assert_eq!((first.status, under_key("daisy").await.text), (200, first.text));
    assert_eq!(asked().await, before, "what is answered again is not asked for again");
    let told = "a check of mail servers (signup.emailDomains.requireMX) failed; addresses are taken without it";
    assert!(!api.lines(told).is_empty());
}
