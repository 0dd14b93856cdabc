//! What every mail must be, whatever the values in it.

mod spam;

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

const LINK: &str = "https://app.example.com/verify_email?email_id=7&secret_code=abcdefghijklmnopqrstuvwxyzabcdef";

static FROM: LazyLock<Mailbox> = LazyLock::new(|| Mailbox::parse("Example <no-reply@example.com>").expect("a sender"));
static TO: LazyLock<Address> = LazyLock::new(|| Address::parse("alice1@email.com").expect("an address"));

static VERIFICATION: LazyLock<Content> = LazyLock::new(|| Content::Verification {
    link: LINK.to_owned(),
    digits: Digits::parse("012345").expect("digits"),
    code_link: "https://app.example.com/verify_code".to_owned(),
    expires_in: Duration::from_secs(24 * 3600),
});

fn mail() -> Mail<'static> {
    Mail {
        from: &FROM,
        envelope_from: None,
        reply_to: None,
        to: &TO,
        message_id: "<0198c0de-0000-7000-8000-000000000001@example.com>",
        date: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        full_name: "Alice",
        username: "alice1",
        locale: None,
        content: &VERIFICATION,
    }
}

fn text_of(mail: &Mail<'_>) -> String {
    let ready = build(&Templates::built_in(), mail).expect("a good mail");
    String::from_utf8(ready.bytes).expect("mails are ASCII")
}

/// The header block, long lines unfolded (RFC 5322 section 2.2.3).
fn headers(message: &str) -> Vec<String> {
    let block = message.split("\r\n\r\n").next().expect("a header block");
    block.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

#[test]
fn the_headers_say_who_to_whom_and_which() {
    let message = text_of(&mail());
    for expected in [
        "From: Example <no-reply@example.com>",
        "To: alice1@email.com",
        "Subject: Verify your email address",
        "Message-ID: <0198c0de-0000-7000-8000-000000000001@example.com>",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-generated",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
    ] {
        assert!(headers(&message).iter().any(|line| line == expected), "{expected} in {message}");
    }
}

#[test]
fn bounces_and_answers_go_where_the_settings_say() {
    let envelope = |mail: &Mail<'_>| build(&Templates::built_in(), mail).expect("a good mail").envelope;
    let from = |envelope: Envelope| envelope.from().map(ToString::to_string);
    assert_eq!(from(envelope(&mail())).as_deref(), Some("no-reply@example.com"));
    assert!(!text_of(&mail()).contains("Reply-To"));
    let bounces = Address::parse("bounces@example.com").expect("an address");
    let help = Mailbox::parse("Help <help@example.com>").expect("an address");
    let mail = Mail { envelope_from: Some(&bounces), reply_to: Some(&help), ..mail() };
    assert_eq!(from(envelope(&mail)).as_deref(), Some("bounces@example.com"));
    let message = text_of(&mail);
    assert!(headers(&message).iter().any(|line| line == "Reply-To: Help <help@example.com>"), "{message}");
    assert!(!message.contains("bounces@"), "the envelope is not part of the message: {message}");
}

#[test]
fn both_parts_hold_the_link_and_the_way_out() {
    let message = text_of(&mail());
    let decoded = message.replace("=\r\n", "").replace("=3D", "=");
    let (text, html) = decoded.split_once("Content-Type: text/html").expect("two parts");
    assert!(text.contains(LINK));
    assert!(html.contains(&LINK.replace('&', "&amp;")));
    for part in [text, html] {
        assert!(part.contains("Hello Alice") && part.contains("24 hours"));
        assert!(part.contains("If you did not sign up, nothing needs to be done"));
    }
}

#[test]
fn both_parts_hold_the_digits_and_where_they_are_typed() {
    let message = text_of(&mail());
    let decoded = message.replace("=\r\n", "").replace("=3D", "=");
    let (text, html) = decoded.split_once("Content-Type: text/html").expect("two parts");
    for part in [text, html] {
        assert!(part.contains("012345") && part.contains("https://app.example.com/verify_code"), "{part}");
        assert!(part.contains("enter your username alice1"), "{part}");
    }
    assert!(text.find(LINK) < text.find("verify_code"), "the link comes first: {text}");
}

#[test]
fn every_language_has_a_small_mail_with_a_button_and_a_text_that_stands_alone() {
    for language in Language::ALL {
        for content in [&*VERIFICATION, &Content::Notice] {
            let message = text_of(&Mail { locale: Some(language.tag()), content, ..mail() });
            assert!(message.len() < 30 * 1024, "{language:?}: {} bytes", message.len());
            let read = mail_parser::MessageParser::default().parse(message.as_bytes()).expect("a message");
            let (text, html) = (read.body_text(0).expect("a text"), read.body_html(0).expect("HTML"));
            let attributes = format!(r#"<html lang="{}" dir="{}">"#, language.tag(), language.direction());
            assert!(html.contains(&attributes) && html.contains("prefers-color-scheme: dark"), "{html}");
            assert!(text.contains("Alice") && text.contains("alice1") && !text.contains('<'), "{text}");
            let is_verification = matches!(content, Content::Verification { .. });
            assert_eq!(
                html.contains(&format!(r#"<a class="button" href="{}""#, LINK.replace('&', "&amp;"))),
                is_verification
            );
            assert_eq!(text.contains(LINK) && text.contains("012345"), is_verification, "{text}");
            for forbidden in ["<script", "<img", "src=", "[[", "{{"] {
                assert!(!html.contains(forbidden) && !text.contains(forbidden), "{language:?} has {forbidden}");
            }
            assert!(!message.contains("List-Unsubscribe"));
        }
    }
}

#[test]
fn a_notice_names_the_account_and_has_no_link() {
    let message = text_of(&Mail { content: &Content::Notice, ..mail() });
    assert!(headers(&message).iter().any(|line| line == "Subject: You already have an account"), "{message}");
    let decoded = message.replace("=\r\n", "").replace("=3D", "=");
    let (text, html) = decoded.split_once("Content-Type: text/html").expect("two parts");
    for part in [text, html] {
        assert!(part.contains("Hello Alice") && part.contains("Its username is alice1."), "{part}");
        assert!(!part.contains("http") && !part.contains("href"), "{part}");
    }
}

#[test]
fn a_second_rendering_gives_the_same_bytes() {
    assert_eq!(text_of(&mail()), text_of(&mail()));
}

#[test]
fn another_date_changes_only_the_date() {
    let later = Mail { date: mail().date + Duration::from_secs(3600), ..mail() };
    let without_date = |message: String| message.lines().filter(|line| !line.starts_with("Date:")).collect::<String>();
    assert_ne!(text_of(&mail()), text_of(&later));
    assert_eq!(without_date(text_of(&mail())), without_date(text_of(&later)));
}

/// Name and address in the `From` header, as a mail program reads them.
fn sender(from: &Mailbox) -> (Option<String>, String) {
    let message = text_of(&Mail { from, ..mail() });
    let read = mail_parser::MessageParser::default().parse(message.as_bytes()).expect("a message");
    let sender = read.from().and_then(|from| from.first()).expect("a sender");
    (sender.name().map(ToOwned::to_owned), sender.address().expect("an address").to_owned())
}

#[test]
fn every_display_name_arrives_as_it_was_written() {
    for name in [
        "Example",
        "Example, Inc.",
        "Exa\"mple\" \\ Co",
        "us @ Example",
        "Example: (a) [b]; c. <d>",
        "Zoë, 株式会社 🔑",
        "a",
        &"long ".repeat(55),
        &"名".repeat(290),
    ] {
        let quoted = name.trim().replace('\\', "\\\\").replace('"', "\\\"");
        let from = Mailbox::parse(&format!("\"{}\" <no-reply@example.com>", quoted)).expect(name);
        assert_eq!(sender(&from), (Some(name.trim().to_owned()), "no-reply@example.com".to_owned()));
    }
}

#[test]
fn durations_read_like_a_sentence() {
    for (seconds, words) in [(0, "0 seconds"), (1, "1 second"), (900, "15 minutes"), (5400, "1 hour 30 minutes")] {
        assert_eq!(words::of(Language::English).duration(Duration::from_secs(seconds)), words);
    }
    for (language, seconds, words) in [
        (Language::German, 3600, "1 Stunde"),
        (Language::German, 86_400, "24 Stunden"),
        (Language::Vietnamese, 5400, "1 giờ 30 phút"),
        (Language::Arabic, 3600, "ساعة واحدة"),
        (Language::Arabic, 7200, "ساعتين"),
        (Language::Arabic, 10_800, "3 ساعات"),
        (Language::Arabic, 86_400, "24 ساعة"),
        (Language::Arabic, 103 * 3600, "103 ساعات"),
    ] {
        assert_eq!(words::of(language).duration(Duration::from_secs(seconds)), words);
    }
}

proptest! {
    #[test]
    fn no_value_begins_a_header(
        full_name in any::<String>(),
        username in "[a-z\r\n: ]{0,40}",
        subject in "[^{]{0,60}",
        message_id in "[a-z@\r\n: -]{1,60}",
    ) {
        let mut templates = Templates::built_in();
        templates.verification.first_mut().subject =
            template::Template::parse(&format!("{subject}{{{{full_name}}}}")).expect("no other braces");
        let mail = Mail { full_name: &full_name, username: &username, message_id: &message_id, ..mail() };
        let ready = build(&templates, &mail).expect("a good mail");
        let message = String::from_utf8(ready.bytes).expect("mails are ASCII");
        let mut names: Vec<String> =
            headers(&message).iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
        names.sort();
        let expected =
            ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"];
        prop_assert_eq!(names, expected);
        prop_assert_eq!(message.matches('\r').count(), message.matches("\r\n").count());
        prop_assert_eq!(message.matches('\n').count(), message.matches("\r\n").count());
    }

    #[test]
    fn no_name_of_a_sender_is_changed_or_breaks_a_header(name in "[^\\p{Cc}]{0,60}") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let from = Mailbox::parse(&format!("\"{quoted}\" <no-reply@example.com>")).expect("a sender");
        let (read, address) = sender(&from);
        prop_assert_eq!(address, "no-reply@example.com");
        prop_assert_eq!(read.as_deref(), from.name());
    }

    #[test]
    fn lines_are_never_longer_than_smtp_carries(full_name in ".{0,2000}") {
        let message = text_of(&Mail { full_name: &full_name, ..mail() });
        prop_assert!(message.split("\r\n").all(|line| line.len() <= 998));
        prop_assert!(message.is_ascii());
    }
}
