//! Encryption and sign-in.

use super::*;

#[tokio::test]
async fn starttls_with_a_private_ca() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = Tls::StartTls(Certificates::generate().expect("certificates"));
    let inbox = inbox(Settings { tls, ..Settings::default() });
    let ca_file = Some(write(folder.path(), "ca.pem", inbox.ca_pem().expect("TLS is on")));
    let settings = Smtp { ca_file, ..settings(&inbox, SmtpTls::StartTLS) };
    assert!(matches!(send(&mailer(), &settings).await, Sent::Accepted(_)));
}

#[tokio::test]
async fn implicit_tls_with_a_private_ca() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tls = Tls::Implicit(Certificates::generate().expect("certificates"));
    let inbox = inbox(Settings { tls, ..Settings::default() });
    let ca_file = Some(write(folder.path(), "ca.pem", inbox.ca_pem().expect("TLS is on")));
    let settings = Smtp { ca_file, ..settings(&inbox, SmtpTls::Implicit) };
    assert!(matches!(send(&mailer(), &settings).await, Sent::Accepted(_)));
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    for (server, client) in [
        (Tls::StartTls as fn(Certificates) -> Tls, SmtpTls::StartTLS),
        (Tls::Implicit as fn(Certificates) -> Tls, SmtpTls::Implicit),
    ] {
        let tls = server(Certificates::generate().expect("certificates"));
        let inbox = inbox(Settings { tls, ..Settings::default() });
        let failure = fail(&mailer(), &settings(&inbox, client)).await;
        assert_eq!((failure.phase.label(), failure.class()), ("tls", Class::Misconfigured));
        let said = "at tls: invalid peer certificate: UnknownIssuer; name its certificate authority in \
                    mail.smtp.caSecretRef";
        assert!(failure.to_string().ends_with(said), "{failure}");
    }
}

/// Starts an inbox whose certificate, by an authority of its own, is for this name and was good until that year.
fn certified(folder: &Path, name: &str, year: i32, tls: fn(Certificates) -> Tls) -> (Inbox, std::path::PathBuf) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut ca = CertificateParams::new([]).expect("no names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (ca_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let ca_file = write(folder, "ca.pem", &ca.self_signed(&ca_key).expect("a certificate").pem());
    let mut server = CertificateParams::new([name.to_owned()]).expect("a name");
    server.not_after = rcgen::date_time_ymd(year, 1, 1);
    let server = server.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
    write(folder, "server.pem", &server.pem());
    write(folder, "server.key", &key.serialize_pem());
    let certificates = Certificates::load_or_generate(folder).expect("certificates");
    (inbox(Settings { tls: tls(certificates), ..Settings::default() }), ca_file)
}

#[tokio::test]
async fn a_certificate_for_another_name_or_out_of_date_is_a_setting_to_correct() {
    for (server, client) in [
        (Tls::StartTls as fn(Certificates) -> Tls, SmtpTls::StartTLS),
        (Tls::Implicit as fn(Certificates) -> Tls, SmtpTls::Implicit),
    ] {
        for (name, year, reason, fix) in [
            ("mx.example.com", 2999, "not valid for name", "set mail.smtp.host to a name of the certificate"),
            ("127.0.0.1", 2020, "certificate expired", "renew the server's certificate"),
        ] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let (inbox, ca_file) = certified(folder.path(), name, year, server);
            let failure = fail(&mailer(), &Smtp { ca_file: Some(ca_file), ..settings(&inbox, client) }).await;
            assert_eq!((failure.phase.label(), failure.class()), ("tls", Class::Misconfigured));
            let said = failure.to_string();
            assert!(said.contains(reason) && said.ends_with(fix), "{said}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (inbox, ca_file) = certified(folder.path(), "127.0.0.1", 2999, server);
        let settings = Smtp { ca_file: Some(ca_file), ..settings(&inbox, client) };
        assert!(matches!(send(&mailer(), &settings).await, Sent::Accepted(_)), "the same without a fault is trusted");
    }
}

#[tokio::test]
async fn a_server_that_speaks_old_tls_alone_is_a_setting_to_correct() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (settings, _served) = crate::raw::serve(async |mut session| {
        session.greet("250-STARTTLS\r\n").await;
        session.hear("\r\n").await;
        session.say("220 go ahead\r\n").await;
        let mut hello = [0; 4096];
        tokio::io::AsyncReadExt::read(&mut session.0, &mut hello).await.expect("the client speaks");
        // An alert, fatal: protocol_version (RFC 8446 section 6.2), as OpenSSL sends it when it knows TLS 1.0 at best.
        session.say([21, 3, 1, 0, 2, 2, 70]).await;
    })
    .await;
    let failure = fail(&mailer(), &Smtp { tls: SmtpTls::StartTLS, ..settings }).await;
    assert_eq!((failure.phase.label(), failure.class()), ("tls", Class::Misconfigured));
    assert!(failure.to_string().ends_with("the server must speak TLS 1.2 or newer"), "{failure}");
}

/// What a server hears that offers these mechanisms and answers AUTH so.
async fn signed_in(offer: &'static str, answer: &'static str, folder: &Path) -> (Sent, String) {
    let (settings, served) = crate::raw::serve(async move |mut session| {
        session.greet(offer).await;
        let command = session.line("\r\n").await.unwrap_or_default();
        session.say(answer).await;
        command + &session.rest().await
    })
    .await;
    let sent = send(&mailer(), &Smtp { auth_dir: Some(folder.into()), ..settings }).await;
    (sent, served.await.expect("no panic"))
}

#[tokio::test]
async fn a_token_is_read_anew_for_every_connection_and_sent_to_none_that_does_not_ask_for_it() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "username", "app@example.com");
    write(folder.path(), "password", "unused");
    for token in ["ya29.first", "ya29.second"] {
        write(folder.path(), "token", token);
        let (_, heard) = signed_in("250-AUTH LOGIN XOAUTH2\r\n", "421 enough\r\n", folder.path()).await;
        let said = STANDARD.encode(format!("user=app@example.com\x01auth=Bearer {token}\x01\x01"));
        assert_eq!(heard, format!("AUTH XOAUTH2 {said}\r\n"));
    }
    let refusal = "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n535 5.7.8 token expired\r\n";
    let (sent, heard) = signed_in("250-AUTH XOAUTH2\r\n", refusal, folder.path()).await;
    assert!(heard.ends_with("\r\n\r\n"), "the challenge is answered with an empty line: {heard}");
    assert!(matches!(&sent, Sent::Failed(failure) if failure.code() == Some(535)), "{sent:?}");
    let (sent, heard) = signed_in("250-AUTH PLAIN LOGIN\r\n", "", folder.path()).await;
    assert!(matches!(&sent, Sent::Failed(failure) if failure.class() == Class::Misconfigured), "{sent:?}");
    assert_eq!(heard, "", "a server that knows passwords alone gets neither");
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_a_setting_to_correct_with_either_encryption() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (server, client) in [
        (Tls::StartTls as fn(Certificates) -> Tls, SmtpTls::StartTLS),
        (Tls::Implicit as fn(Certificates) -> Tls, SmtpTls::Implicit),
    ] {
        let tls = server(Certificates::generate().expect("certificates"));
        let inbox = inbox(Settings { tls, ..Settings::default() });
        for text in ["", "no certificate", broken] {
            let ca_file = Some(write(folder.path(), "ca.pem", text));
            let failure = fail(&mailer(), &Smtp { ca_file, ..settings(&inbox, client) }).await;
            assert_eq!((failure.phase.label(), failure.class()), ("tls", Class::Misconfigured), "{text}");
            let message = failure.to_string();
            assert!(message.ends_with("holds no usable PEM certificate; check mail.smtp.caSecretRef"), "{message}");
        }
    }
}

#[tokio::test]
async fn tls_from_the_first_byte_with_a_server_that_greets_in_clear_fails_at_tls() {
    let inbox = inbox(Settings::default());
    let failure = fail(&mailer(), &settings(&inbox, SmtpTls::Implicit)).await;
    assert_eq!((failure.phase.label(), failure.class()), ("tls", Class::RelayDown));
}

#[tokio::test]
async fn an_interrupted_dialogue_names_encryption_and_sign_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "username", "relay-user");
    write(folder.path(), "password", "secret");
    for (server, client, at, step) in [
        (Tls::Implicit as fn(Certificates) -> Tls, SmtpTls::Implicit, Phase::Connect, "tls"),
        (Tls::StartTls, SmtpTls::StartTLS, Phase::StartTls, "tls"),
        (Tls::StartTls, SmtpTls::StartTLS, Phase::Auth, "auth"),
    ] {
        let tls = server(Certificates::generate().expect("certificates"));
        let credentials = Some(Credentials::new("relay-user", "secret"));
        let inbox = inbox(Settings { tls, credentials, ..Settings::default() });
        let ca_file = Some(write(folder.path(), "ca.pem", inbox.ca_pem().expect("TLS is on")));
        let auth_dir = Some(folder.path().to_owned());
        let settings = Smtp { ca_file, auth_dir, ..settings(&inbox, client) };
        assert_eq!(interrupted(&inbox, &settings, at).await, step, "{at:?}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_mail_nor_password() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "username", "relay-user");
    write(folder.path(), "password", "relay-password");
    let inbox = inbox(Settings::default());
    let auth_dir = Some(folder.path().to_owned());
    let settings = Smtp { auth_dir, ..settings(&inbox, SmtpTls::StartTLS) };
    let failure = fail(&mailer(), &settings).await;
    assert_eq!((failure.phase.label(), failure.class()), ("tls", Class::Misconfigured));
    assert!(inbox.messages().is_empty());
}

#[tokio::test]
async fn credentials_are_read_from_their_files_at_each_new_connection() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "username", "relay-user\n");
    write(folder.path(), "password", "old\n");
    let tls = Tls::StartTls(Certificates::generate().expect("certificates"));
    let credentials = Some(Credentials::new("relay-user", "new"));
    let inbox = inbox(Settings { tls, credentials, ..Settings::default() });
    let ca_file = Some(write(folder.path(), "ca.pem", inbox.ca_pem().expect("TLS is on")));
    let auth_dir = Some(folder.path().to_owned());
    let settings = Smtp { ca_file, auth_dir, ..settings(&inbox, SmtpTls::StartTLS) };
    let mailer = mailer();
    let failure = fail(&mailer, &settings).await;
    assert_eq!((failure.code(), failure.class()), (Some(535), Class::Misconfigured));
    write(folder.path(), "password", "new\n");
    assert!(matches!(send(&mailer, &settings).await, Sent::Accepted(_)));
}
