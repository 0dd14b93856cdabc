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
        assert_eq!((failure.phase.label(), failure.class()), ("tls", Class::RelayDown));
    }
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
