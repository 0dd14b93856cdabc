//! Folders of templates, good and bad.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a writable folder");
    }
    folder
}

#[test]
fn the_built_in_mails_parse_and_each_has_what_it_needs_in_both_bodies() {
    let templates = Templates::built_in();
    for language in Language::ALL {
        let (verification, notice) =
            (templates.verification.of(Some(language.tag())), templates.notice.of(Some(language.tag())));
        assert!(verification.text.has_link() && verification.html.has_link(), "{language:?}");
        let notice = [&notice.subject, &notice.text, &notice.html];
        assert!(notice.iter().all(|template| !template.speaks_of_a_link()), "{language:?}");
        for text in [&verification.subject, &verification.text, &verification.html].into_iter().chain(notice) {
            assert!(!format!("{text:?}").contains("[["), "a slot of the layout is not filled: {text:?}");
        }
    }
}

#[test]
fn missing_files_come_from_the_built_in_mail_and_no_mail_mixes_languages() {
    let folder = folder(&[("subject.txt", "Welcome, {{username}}"), ("notice_body.txt", "Again, {{full_name}}?")]);
    let (templates, built_in) = (Templates::read(folder.path()).expect("a good folder"), Templates::built_in());
    for language in Language::ALL {
        let (verification, notice) =
            (templates.verification.of(Some(language.tag())), templates.notice.of(Some(language.tag())));
        let english = built_in.verification.of(None);
        assert_ne!(verification.subject, english.subject);
        assert_eq!(verification.html, english.html);
        let english = built_in.notice.of(None);
        assert_ne!(notice.text, english.text);
        assert_eq!(notice.subject, english.subject);
    }
    std::fs::remove_file(folder.path().join("notice_body.txt")).expect("it is there");
    let templates = Templates::read(folder.path()).expect("a good folder");
    assert_eq!(templates.notice, built_in.notice, "a mail that the folder has no file of has all languages");
}

#[test]
fn a_language_of_the_folder_is_taken_by_the_longest_part_of_the_tag_that_has_one() {
    let mail = |tag: &str| {
        [("subject", "txt"), ("body", "txt"), ("body", "html")]
            .map(|(name, ending)| (format!("{name}.{tag}.{ending}"), format!("{tag} {{{{link}}}}")))
    };
    let files: Vec<_> = ["de", "pt-BR", "fr"].into_iter().flat_map(mail).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let given = folder(&files);
    let templates = Templates::read(given.path()).expect("a good folder");
    let built_in = Templates::built_in();
    let text = |templates: &Templates, locale| templates.verification.of(locale).clone();
    for (locale, tag) in [("de", "de"), ("DE-at", "de"), ("pt-br-x-y", "pt-BR"), ("fr-CA", "fr")] {
        let subject = Template::parse(&format!("{tag} {{{{link}}}}")).expect("a template");
        assert_eq!(text(&templates, Some(locale)).subject, subject, "{locale}");
    }
    for locale in [None, Some("vi"), Some("pt"), Some("ar-EG"), Some("x")] {
        assert_eq!(text(&templates, locale), text(&built_in, locale), "{locale:?}: built in");
    }
    assert_eq!(templates.notice, built_in.notice);
    std::fs::write(given.path().join("subject.txt"), "Everybody").expect("a file");
    let templates = Templates::read(given.path()).expect("a good folder");
    assert_eq!(text(&templates, Some("vi")).subject, Template::parse("Everybody").expect("a template"));
    assert_ne!(text(&templates, Some("de")).subject, text(&templates, Some("vi")).subject);
}

#[test]
fn a_language_with_a_file_too_few_and_a_name_without_one_are_refused_with_the_fix() {
    let refused = |files: &[(&str, &str)]| Templates::read(folder(files).path()).expect_err("refused").to_string();
    let (subject, body) = (("notice_subject.de.txt", "x"), ("notice_body.de.html", "x"));
    let told = refused(&[subject, body]);
    assert!(told.contains("notice_body.de.txt is missing") && told.contains("add it"), "{told}");
    let told = refused(&[("body.deutsch.txt", "{{link}}")]);
    assert!(told.contains("body.deutsch.txt") && told.contains("such as de or pt-BR"), "{told}");
    let error = Templates::read(folder(&[("subject.de.txt", "x"), ("body.de.txt", "a\n{{lnk}}")]).path());
    let told = pipeline::chain(&error.expect_err("refused"));
    assert!(told.contains("body.de.txt") && told.contains("line 2: `{{lnk}}` is not a placeholder"), "{told}");
}

#[test]
fn a_bad_file_is_named() {
    for (name, text) in [
        ("body.txt", "{{nope}} {{link}}"),
        ("body.html", "<p>no address</p>"),
        ("notice_body.html", "<p>{{link}}</p>"),
        ("notice_subject.txt", "Within {{expires_in}}"),
        ("subject.txt", ""),
        ("subject.txt", " \r\n"),
        ("notice_body.txt", "\u{feff}\n"),
    ] {
        let folder = folder(&[(name, text)]);
        let error = Templates::read(folder.path()).expect_err("a bad file").to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_mark_of_the_byte_order_is_no_part_of_a_mail() {
    let folder = folder(&[("subject.txt", "\u{feff}Welcome"), ("body.txt", "\u{feff}{{link}}")]);
    let templates = Templates::read(folder.path()).expect("a good folder");
    let verification = templates.verification.of(None);
    assert_eq!(verification.subject, Template::parse("Welcome").expect("a template"));
    assert_eq!(verification.text, Template::parse("{{link}}").expect("a template"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let folder = folder(&[]);
    std::fs::write(folder.path().join("subject.txt"), b"\xff\xfe").expect("a writable folder");
    assert!(matches!(Templates::read(folder.path()), Err(TemplatesError::Read { .. })));
}
