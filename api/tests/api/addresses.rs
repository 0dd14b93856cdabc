//! Who may sign up: names of any script, domains in Unicode, lists of domains.

use crate::harness::{Setup, TestApi, client::Answer, client::form};
use serde_json::Value;

async fn signup(api: &TestApi, username: &str, field: &str, value: &str) -> Answer {
    let mut form = form(username);
    form[field] = value.into();
    api.post(form.to_string()).await
}

fn refusal(answer: &Answer) -> (String, String) {
    let violation = answer.json()["details"][0]["field_violations"][0].clone();
    let text = |name: &str| violation[name].as_str().map(str::to_owned).unwrap_or_default();
    (text("field"), text("description"))
}

const NOT_HERE: &str = "is at a domain whose addresses may not sign up here; use another address";

#[tokio::test]
async fn a_name_of_any_script_is_stored_composed_and_only_where_an_edit_says_so_by_the_go_programs_rule() {
    let mut api = TestApi::spawn().await;
    for (number, (written, stored)) in
        [("Jose\u{301} O’Brien", "José O’Brien"), ("山田\u{3000}太郎", "山田 太郎"), ("Dr. Ngô", "Dr. Ngô")]
            .into_iter()
            .enumerate()
    {
        let answer = signup(&api, &format!("user_{number}"), "full_name", written).await;
        assert_eq!((answer.status, &answer.json()["user"]["full_name"]), (200, &Value::from(stored)));
        assert_eq!(api.sql(&format!("SELECT full_name FROM users WHERE username = 'user_{number}'")), stored);
    }
    let link = signup(&api, "spammer", "full_name", "Cheap pills at evil.example").await;
    assert_eq!(refusal(&link).0, "full_name");
    api.edit(|document| document.signup.unicode_names = false).await;
    let answer = signup(&api, "user_9", "full_name", "José").await;
    assert_eq!(refusal(&answer), ("full_name".into(), "must contain only letters or spaces".into()));
    assert_eq!(signup(&api, "user_9", "full_name", "Jose").await.status, 200);
}

#[tokio::test]
async fn a_domain_in_unicode_is_one_mailbox_with_its_form_in_ascii_which_is_mailed_to() {
    let api = TestApi::spawn().await;
    let answer = signup(&api, "alice", "email", "Alice.canary@MÜNCHEN.example").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["user"]["email"], "Alice.canary@xn--mnchen-3ya.example");
    assert_eq!(api.sql("SELECT email FROM email_intents"), "Alice.canary@xn--mnchen-3ya.example");
    for email in ["alice.canary@mu\u{308}nchen.example", "ALICE.canary@XN--MNCHEN-3YA.example"] {
        let answer = signup(&api, "bobby", "email", email).await;
        assert_eq!(answer.error(), (409, 6, "email already exists".into()), "{email}");
    }
}

#[tokio::test]
async fn domains_are_allowed_and_denied_with_those_below_them_in_every_writing_and_live() {
    let mut api = TestApi::spawn_with(Setup::new().with(|document| {
        document.signup.email_domains.allow =
            vec!["München.example".to_owned().into(), "corp.example".to_owned().into()];
        document.signup.email_domains.deny = vec!["guests.corp.example".to_owned().into()];
    }))
    .await;
    let mut number = 0;
    let mut status = async |api: &TestApi, domain: &str| {
        number += 1;
        let answer = signup(api, &format!("user_{number}"), "email", &format!("canary{number}@{domain}")).await;
        if answer.status != 200 {
            assert_eq!(refusal(&answer), ("email".into(), NOT_HERE.into()));
        }
        answer.status
    };
    for (domain, expected) in [
        ("corp.example", 200),
        ("MAIL.Corp.Example", 200),
        ("xn--mnchen-3ya.example", 200),
        ("münchen.example", 200),
        ("guests.corp.example", 400),
        ("a.guests.corp.example", 400),
        ("evilcorp.example", 400),
        ("example", 400),
    ] {
        assert_eq!(status(&api, domain).await, expected, "{domain}");
    }
    api.edit(|document| document.signup.email_domains = Default::default()).await;
    assert_eq!(status(&api, "guests.corp.example").await, 200);
}

#[tokio::test]
async fn a_mounted_list_of_throw_away_domains_follows_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("throw-away.txt");
    std::fs::write(&list, "# a list\nTrash.example\nnot a domain\n").expect("a file");
    let setup = Setup::new();
    let api = TestApi::spawn_with(setup.with(|document| {
        document.signup.email_domains.deny_list_dir = Some(folder.path().to_owned());
    }))
    .await;
    let refused = signup(&api, "alice", "email", "canary@a.trash.example").await;
    assert_eq!(refusal(&refused), ("email".into(), NOT_HERE.into()));
    assert_eq!(signup(&api, "bobby", "email", "canary@other.example").await.status, 200);
    let told = api.lines(
        "lines of a list of signup.emailDomains.denyListRef are no domains and are left out; write one a line, such as \
         example.com",
    );
    assert_eq!((told.len(), &told[0]["first"], &told[0]["file"]), (1, &3.into(), &"throw-away.txt".into()));

    std::fs::write(folder.path().join("next"), "other.example\n").expect("a file");
    std::fs::rename(folder.path().join("next"), &list).expect("a file");
    api.until("the new list is in force", async || !api.lines("configuration applied").is_empty()).await;
    api.until("the old list is not", async || {
        signup(&api, "alice", "email", "canary@a.trash.example").await.status != 400
    })
    .await;
    assert_eq!(refusal(&signup(&api, "carol", "email", "canary@other.example").await).1, NOT_HERE);
}
