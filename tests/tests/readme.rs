//! The README's commands do what the README says.
//!
//! Takes: README.md, the Makefile and a free port for each address. Shows: `make run` starts everything, the curl line
//! it prints is a signup, its mail arrives, the mail's button verifies the address, the page signs up as well, and
//! Ctrl-C leaves nothing behind.

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::{
    fs,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A build of everything that `make run` needs, on a busy machine, is part of it.
const PATIENCE: Duration = Duration::from_secs(1200);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn until<T>(what: &str, patience: Duration, mut attempt: impl FnMut() -> Option<T>) -> T {
    servers::until_blocking(what, patience, || attempt().ok_or_else(String::new))
}

/// `make run`, in a process group of its own; killed when dropped.
struct Run {
    make: Child,
    screen: PathBuf,
}

impl Run {
    fn start(folder: &Path, addresses: &[(&str, String)]) -> Self {
        let screen = folder.join("screen");
        let file = || fs::File::options().create(true).append(true).open(&screen).expect("a file");
        let mut command = Command::new("make");
        servers::nested_cargo(&mut command)
            .arg("run")
            .envs(addresses.iter().map(|(name, value)| (name, value)))
            .current_dir(root());
        command.stdin(Stdio::null()).stdout(file()).stderr(file()).process_group(0);
        Self { make: command.spawn().expect("make is installed"), screen }
    }

    fn shown(&self) -> String {
        fs::read_to_string(&self.screen).unwrap_or_default()
    }

    fn line(&mut self, start: &str) -> String {
        let screen = self.screen.clone();
        let make = &mut self.make;
        until(&format!("a line `{start}`"), PATIENCE, || {
            let shown = fs::read_to_string(&screen).unwrap_or_default();
            assert!(make.try_wait().expect("a child").is_none(), "make run ended:\n{shown}");
            shown.lines().map(str::trim).find(|line| line.starts_with(start)).map(str::to_owned)
        })
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(self.make.id().cast_signed()).expect("a process id");
        // The group may have ended already.
        let _ = kill_process_group(group, signal);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.make.wait();
    }
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS"]).args(arguments).output().expect("curl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn make_run_answers_a_signup_and_sends_one_mail_whose_button_verifies() {
    let folder = tempfile::tempdir().expect("a folder");
    let [api, grpc, inbox] = [(); 3].map(|()| format!("127.0.0.1:{}", servers::free_port().expect("a port")));
    let addresses = [("API_ADDR", api.clone()), ("GRPC_ADDR", grpc), ("INBOX_ADDR", inbox.clone())];
    let mut run = Run::start(folder.path(), &addresses);

    let line = run.line("curl ");
    let output = Command::new("sh").args(["-c", &line]).output().expect("sh runs");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}: {output:?}"));
    assert_eq!(answer["user"]["username"], "alice", "{answer}");

    let mail = until("the mail", Duration::from_secs(60), || {
        let mails: Value = serde_json::from_str(&curl(&[&format!("http://{inbox}/messages.json")])).expect("JSON");
        mails.get(0).cloned()
    });
    assert_eq!(mail["to"][0], answer["user"]["email"]);
    let text = mail["text"].as_str().expect("a text");
    let link = text.split_whitespace().find(|word| word.contains("/verify_email?")).expect("a link");
    assert!(link.starts_with(&format!("http://{api}/")), "{link}");
    assert!(curl(&[link]).contains("<form method=\"post\""), "the link leads to a page with a button");
    let (page, query) = link.split_once('?').expect("a query");
    assert!(curl(&["-d", query, page]).contains("verified"));

    let line = run.line("sign up on http://");
    let page = line.split_whitespace().find(|word| word.starts_with("http")).expect("an address").trim_end_matches(',');
    assert!(curl(&[page]).contains("<form method=\"post\" action=\"signup\""), "{page}");
    let form = "username=bobby&full_name=Bobby&email=bobby@example.com&password=correct-horse-battery";
    assert!(curl(&["-d", form, page]).contains("look into your inbox"));

    run.signal(Signal::INT);
    until("the end", Duration::from_secs(60), || run.make.try_wait().expect("a child"));
    assert!(run.shown().contains("nothing is left"), "{}", run.shown());
    assert!(TcpStream::connect(&api).is_err(), "the api still listens");
}

#[test]
fn every_make_target_in_the_readme_exists() {
    let makefile = read("Makefile");
    let readme = read("README.md");
    let blocks = readme.split("```sh").skip(1).filter_map(|rest| rest.split("```").next());
    let named: Vec<&str> = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("make ")).collect();
    assert!(named.len() >= 2, "the README promises at least `make run` and `make test`");
    for target in named.iter().filter_map(|line| line.split_whitespace().next()) {
        assert!(makefile.contains(&format!("\n{target}:")), "`make {target}` is in the README and not in the Makefile");
    }
}
