//! What SpamAssassin, with its local rules, has against the built-in mails.

use super::{Content, Language, Mail, Templates, build, mail};
use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// Points that a mail may have; five make it spam.
const MAX_POINTS: f64 = 0.1;

/// Debian's package as `scripts/setup.sh test` unpacks it, over the messages of an mbox.
fn spamassassin(mbox: &[u8]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/spamassassin");
    let root = root.canonicalize().expect("SpamAssassin is unpacked by `scripts/setup.sh test`");
    let home = tempfile::tempdir().expect("a folder");
    let mut program = Command::new("perl")
        .arg("-T")
        .args(folders_of_modules(&root).iter().flat_map(|folder| ["-I", folder]))
        .arg(root.join("usr/bin/spamassassin"))
        .args(["--local", "--mbox", "--nocreate-prefs"])
        .arg(format!("--configpath={}/usr/share/spamassassin", root.display()))
        .arg(format!("--siteconfigpath={}/etc/spamassassin", root.display()))
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("perl runs");
    program.stdin.take().expect("a pipe").write_all(mbox).expect("it reads");
    let output = program.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("mails are ASCII")
}

/// Those written in Perl, and those of the machine's architecture and version of Perl.
fn folders_of_modules(root: &Path) -> Vec<String> {
    let of_architecture = std::fs::read_dir(root.join("usr/lib")).expect("a folder").flatten();
    let of_version = of_architecture.filter_map(|folder| std::fs::read_dir(folder.path().join("perl5")).ok());
    let compiled = of_version.flatten().flatten().map(|folder| folder.path());
    let folders = compiled.chain([root.join("usr/share/perl5")]);
    folders.map(|folder| folder.to_string_lossy().into_owned()).collect()
}

#[test]
fn spamassassin_has_nothing_against_any_mail_in_any_language() {
    let templates = Templates::built_in();
    let mut mbox = Vec::new();
    for language in Language::ALL {
        for content in [mail().content, &Content::Notice] {
            let ready =
                build(&templates, &Mail { locale: Some(language.tag()), content, ..mail() }).expect("a good mail");
            mbox.extend_from_slice(b"From no-reply@example.com Tue Nov 14 22:13:20 2023\n");
            mbox.extend(ready.bytes.iter().filter(|byte| **byte != b'\r'));
            mbox.extend_from_slice(b"\n\n");
        }
    }
    let judged = spamassassin(&mbox).replace("\n\t", " ");
    let verdicts: Vec<&str> = judged.lines().filter(|line| line.starts_with("X-Spam-Status: ")).collect();
    assert_eq!(verdicts.len(), 2 * Language::ALL.len(), "{judged}");
    for verdict in verdicts {
        let points = verdict.split("score=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a score");
        assert!(points.parse::<f64>().expect("a number") <= MAX_POINTS, "{verdict}");
    }
}
