//! The way out to other sites: through a proxy, to a server that a company's own authority vouches for.
//!
//! The server is OpenSSL's own.

use crate::harness::{Setup, TestApi, client::form};
use pipeline::document::BreachCheck;
use rustix::process::Signal;
use servers::{Authority, Process};
use std::{net::SocketAddr, process::Command, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// HTTPS with one file, the range of the password `password`; gives its port.
fn site(authority: &Authority) -> (Process, u16) {
    let port = servers::free_port().expect("a port");
    let mut process = Process::new("site", Signal::KILL).expect("a folder");
    let folder = process.folder().join("range");
    std::fs::create_dir(&folder).expect("the folder is ours");
    std::fs::write(folder.join("5BAA6"), "1E4C9B93F3F0682250B6CF8331B7EE68FD8:10434004\r\n").expect("a file");
    let mut command = Command::new("openssl");
    command.args(["s_server", "-WWW", "-quiet", "-accept", &format!("127.0.0.1:{port}")]).current_dir(process.folder());
    command.arg("-cert").arg(authority.certificate()).arg("-key").arg(authority.key());
    process.spawn(command).expect("openssl runs");
    process.until("the site", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).expect("it listens");
    (process, port)
}

/// A proxy that takes CONNECT alone, and notes for which place and by whom.
async fn proxy(asked: Arc<parking_lot::Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let asked = Arc::clone(&asked);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await?);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let place = head.split(' ').nth(1).unwrap_or_default().to_owned();
                asked.lock().push(head);
                let mut far = TcpStream::connect(place).await?;
                near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                copy_bidirectional(&mut near, &mut far).await.map(drop)
            });
        }
    });
    address
}

async fn refused(setup: Setup) -> bool {
    let api = TestApi::spawn_with(setup).await;
    let mut form = form("user_1");
    form["password"] = "password".into();
    let status = api.post(form.to_string()).await.status;
    assert!([200, 400].contains(&status), "{status}");
    status == 400
}

fn asks(url: String, variables: &[(&'static str, String)]) -> Setup {
    let mut setup = Setup::new().with(|document| document.signup.password.breach_check = Some(BreachCheck { url }));
    setup.variables = variables.to_vec();
    setup
}

#[tokio::test]
async fn the_breach_check_goes_through_the_proxy_and_trusts_the_authority_that_the_variables_name() {
    let authority = Authority::make().expect("openssl runs");
    let (_site, port) = site(&authority);
    let asked = Arc::default();
    let proxy = proxy(Arc::clone(&asked)).await;
    let trusted = ("SSL_CERT_FILE", authority.ca().display().to_string());
    let proxied = ("HTTPS_PROXY", format!("http://team:pass@{proxy}"));
    let here = format!("https://localhost:{port}/range");
    assert!(refused(asks(here.clone(), std::slice::from_ref(&trusted))).await, "directly");
    assert!(!refused(asks(here.clone(), &[])).await, "nobody vouches for it, so nobody knows");
    assert_eq!(asked.lock().len(), 0);
    assert!(refused(asks(here.clone(), &[trusted.clone(), proxied.clone()])).await, "through the proxy");
    let head = asked.lock().remove(0);
    assert!(head.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic dgvhbtpwyxnz"), "{head}");
    let without = ("NO_PROXY", "localhost,.svc".to_owned());
    assert!(refused(asks(here, &[trusted, proxied, without])).await, "beside the proxy");
    assert_eq!(asked.lock().len(), 0);
}
