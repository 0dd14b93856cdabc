//! The admin port tells the truth about readiness, configuration and metrics.

use lifecycle::admin::{Admin, record_metrics};
use pipeline::sample::TEXT;
use std::{
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) fn write(path: &Path, text: &str) {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().expect("a folder")).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file.persist(path).expect("renamed");
}

async fn get(base: &str, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("{base}{path}")).await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a body"))
}

#[tokio::test]
async fn the_admin_port_tells_readiness_configuration_and_metrics() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipeline.yaml");
    write(&path, TEXT);
    let mut live = pipeline::Live::open(&path).expect("a valid document");
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let metrics = record_metrics().expect("the only recorder");
    let admin = Admin::new(metrics.clone(), move || {
        let ready = asked.load(Ordering::SeqCst);
        async move { if ready { Ok("ok") } else { Err("PostgreSQL does not answer".into()) } }
    });
    let admin = admin.with_config(live.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let stop = CancellationToken::new();
    let served = tokio::spawn(admin.serve(listener, stop.clone()));

    assert_eq!(get(&base, "/livez").await.0, 200);
    assert_eq!(get(&base, "/readyz").await, (503, "not ready: PostgreSQL does not answer\n".into()));
    ready.store(true, Ordering::SeqCst);
    assert_eq!(get(&base, "/readyz").await, (200, "ok\n".into()));
    assert_eq!(get(&base, "/metrics").await.0, 200);

    let before = live.now().hash;
    assert_eq!(get(&base, "/config").await.1, format!(r#"{{"hash":"{before}"}}"#));
    write(&path, &TEXT.replace("delay: 10s", "delay: 1s"));
    let after = live.changed().await.expect("a change").hash;
    assert_ne!(before, after);
    assert_eq!(get(&base, "/config").await.1, format!(r#"{{"hash":"{after}"}}"#));

    stop.cancel();
    served.await.expect("no panic").expect("a clean end");
    has_no_configuration(Admin::new(metrics, async || Ok("standby"))).await;
}

/// A process without a configuration, as the operator is, answers the rest.
async fn has_no_configuration(admin: Admin) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(admin.serve(listener, CancellationToken::new()));
    assert_eq!(get(&base, "/readyz").await, (200, "standby\n".into()));
    assert_eq!(get(&base, "/config").await.0, 404);
}
