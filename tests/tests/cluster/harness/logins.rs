//! More logins at the servers beside the cluster, so that a password can be replaced while the old one still works.
//!
//! Takes: the namespace's stores. Gives: URIs with other users and passwords. Does not: change the login of other
//! tests.

use super::{
    Turn,
    cluster::state,
    inbox,
    namespace::Namespace,
    stores::{HOST, Stores},
};
use ::inbox::Certificates;
use pipeline_tests::Database;
use serde_json::{Value, json};

impl Stores {
    /// A user `name` who acts as the database's owner, whose tables then are; gives the URI for pods.
    ///
    /// # Panics
    ///
    /// When PostgreSQL refuses.
    pub(crate) async fn another_login(&self, name: &str, password: &str) -> String {
        let (user_info, server) = self.database_uri.split_once('@').expect("a URI with a user");
        let (owner, _) = user_info.trim_start_matches("postgres://").split_once(':').expect("a password");
        let path = state().join("servers/superuser-password");
        let superuser = std::fs::read_to_string(path).expect("servers.sh writes it");
        let server_here = server.replace("postgres.test", HOST);
        let database = Database::new(&format!("postgres://postgres:{}@{server_here}", superuser.trim()));
        // What an earlier run's database holds of the user's went with that database.
        let statements = format!(
            "DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD '{password}'; GRANT {owner} TO {name};
             ALTER ROLE {name} SET role = {owner}"
        );
        database.expect("a valid URI").run(&statements).await.expect("PostgreSQL answers");
        format!("postgres://{name}:{password}@{server}")
    }

    /// A user `name` with two passwords that both work; gives a URI for pods with each.
    pub(crate) fn redis_logins(&self, name: &str, passwords: [&str; 2]) -> [String; 2] {
        let [first, second] = passwords.map(|password| format!(">{password}"));
        self.redis(&["ACL", "SETUSER", name, "reset", "on", "~*", "&*", "+@all", &first, &second]);
        let (_, server) = self.redis_uri.split_once('@').expect("a URI with a password");
        passwords.map(|password| format!("redis://{name}:{password}@{server}"))
    }

    /// Takes one of the passwords away.
    pub(crate) fn redis_login_without(&self, name: &str, password: &str) {
        self.redis(&["ACL", "SETUSER", name, &format!("<{password}")]);
    }
}

impl Namespace {
    /// A namespace whose mail server speaks TLS and wants `user` and `password`; Secret `app-smtp` holds `user` and
    /// `given`.
    pub(crate) async fn with_smtp_login(name: &str, user: &str, password: &str, given: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Certificates::load_or_generate(folder.path()).expect("certificates");
        let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).expect("it was written");
        let (ca, server, key) = (read("ca.pem"), read("server.pem"), read("server.key"));
        let login = format!("{user}:{password}");
        let files = [("ca.pem", ca.as_str()), ("server.pem", &server), ("server.key", &key), ("login", &login)];
        let given = [("username", user), ("password", given)];
        let secrets = [("inbox-files", &files[..]), ("app-smtp", &given), ("inbox-ca", &[("ca.crt", ca.as_str())])];
        let arguments = ["--tls=starttls", "--cert-dir=/files", "--auth=/files/login"];
        let volume = ("files", "/files", json!({"secret": {"secretName": "inbox-files"}}));
        let pod = |image: &str| inbox::pod(image, &arguments, &[volume]);
        Self::create_in(Turn::Shared, name, pod, &secrets).await
    }
}

/// What a pipeline in [`Namespace::with_smtp_login`] says of its mail server.
pub(crate) fn smtp_with_login() -> Value {
    json!({"smtp": {"tls": "StartTLS", "authSecretRef": {"name": "app-smtp"}, "caSecretRef": {"name": "inbox-ca"}}})
}
