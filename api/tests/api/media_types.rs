//! Bodies under other labels than `application/json`, and in other codings than their own.

use crate::harness::{TestApi, client::form};
use reqwest::Method;

#[tokio::test]
async fn a_body_in_a_coding_that_is_not_read_is_told_so() {
    let api = TestApi::spawn().await;
    let body = form("alice").to_string();
    for coding in ["gzip", "br", "deflate", "zstd", "X-GZIP", "identity, gzip", "made-up"] {
        let headers = [("content-encoding", coding), ("content-type", "application/json")];
        let answer = api.send_with(Method::POST, "/v1/create_user", &headers, body.clone()).await;
        let message = "request body is encoded; send it as it is, without Content-Encoding".to_owned();
        assert_eq!(answer.error(), (415, 3, message), "{coding}");
        assert_eq!(answer.header("accept-encoding"), "identity");
    }
    let form = api.send_with(
        Method::POST,
        "/v1/verify_email",
        &[("content-encoding", "gzip"), ("content-type", "application/x-www-form-urlencoded")],
        "email_id=1",
    );
    assert_eq!(form.await.error().0, 415);
    assert_eq!(api.stored(), (0, 0));
    let plain = api.send_with(Method::POST, "/v1/create_user", &[("content-encoding", "identity")], body).await;
    assert_eq!(plain.status, 200, "{plain:?}");
}

#[tokio::test]
async fn a_large_body_in_a_coding_is_read_to_its_end_before_the_answer() {
    let api = TestApi::spawn().await;
    let headers = [("content-encoding", "gzip")];
    let answer = api.send_with(Method::POST, "/v1/create_user", &headers, vec![0; 4 * 1024 * 1024]).await;
    assert_eq!(answer.error().0, 415);
}

#[tokio::test]
async fn what_is_no_json_by_its_own_label_is_of_a_type_that_is_not_read() {
    let api = TestApi::spawn().await;
    let utf_16: Vec<u8> = form("alice").to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (label, body) in [
        ("application/x-www-form-urlencoded", b"username=alice&password=secret".to_vec()),
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data; name=\"username\"\r\n".to_vec()),
        ("application/xml", b"<user><username>alice</username></user>".to_vec()),
        ("application/json; charset=utf-16le", utf_16),
    ] {
        let answer = api.send(Method::POST, "/v1/create_user", label, body).await;
        let message = "request body is not JSON; send application/json in UTF-8".to_owned();
        assert_eq!(answer.error(), (415, 3, message), "{label}");
        assert_eq!(answer.header("accept"), "application/json");
    }
    assert_eq!(api.stored(), (0, 0));
}

#[tokio::test]
async fn json_is_read_under_any_label_with_and_without_a_byte_order_mark() {
    let api = TestApi::spawn().await;
    for (number, label) in ["application/x-www-form-urlencoded", "text/plain", "", "application/json; charset=utf-8"]
        .into_iter()
        .enumerate()
    {
        let answer =
            api.send(Method::POST, "/v1/create_user", label, form(&format!("alice_{number}")).to_string()).await;
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
        let marked = format!("\u{feff}{}", form(&format!("bobby_{number}")));
        let answer = api.send(Method::POST, "/v1/create_user", label, marked).await;
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
    }
    let twice = api.post(format!("\u{feff}\u{feff}{}", form("carol"))).await;
    assert_eq!(twice.status, 400, "a mark stands once");
}
