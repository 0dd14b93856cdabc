//! Why Redis cannot be used.
//!
//! Takes: the error of a poll of a queue, and the URI. Gives: a finding whose message holds no address and no password.
//! Does not: speak more of either protocol than the first bytes.
//!
//! A server without TLS does not answer a client that speaks TLS, nor the reverse, so the other protocol is tried once.

use crate::{
    controller::reason::{self, Finding, Reason},
    crd::stores::Redis,
};
use queue::RedisUri;
use std::{error::Error as _, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long the answer is waited for; the poll before it has waited already.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// What is wrong. The text of the cause may hold an address, so it is searched and not shown.
pub(super) async fn trouble(redis: &Redis, uri: &str, error: &queue::Error) -> Finding {
    let secret = &redis.secret_ref.name;
    if let queue::Error::InvalidUri(_) = error {
        return unusable(redis, uri, error);
    }
    let cause = error.source().map(pipeline::chain).unwrap_or_default();
    let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    let effect = "signups go on, mails wait, and no worker is removed";
    if let Some(finding) = trouble_of_sentinels(secret, error, effect) {
        return finding;
    }
    if says(&["WRONGPASS", "NOAUTH", "invalid username-password", "Password authentication failed"]) {
        let problem = format!("Redis refuses the user or password of Secret {secret}; {effect}");
        return Finding::with_default_fix(reason::CREDENTIALS_REFUSED, problem);
    }
    if let Some((reason, words)) = refusal(&cause) {
        return Finding::with_default_fix(reason, format!("Redis answers, {words}; {effect}"));
    }
    if let Some((words, fix)) = hindrance(&cause) {
        let problem = format!("Redis does not answer the operator as it should: {words}; {effect}");
        return Finding::new(reason::NO_ANSWER, problem, fix);
    }
    let is_mismatch =
        says(&["certificate", "tls handshake", "corrupt message", "InvalidContentType", "HandshakeFailure"]);
    if is_mismatch || (error.is_unreachable() && speaks_the_other_way(uri).await) {
        let problem = format!("no TLS connection to Redis can be made; {effect}");
        let fix = format!(
            "write rediss:// in Secret {secret} for a port with TLS and redis:// for one without, and name the \
                server's authority in spec.redis.caSecretRef"
        );
        return Finding::new(reason::TLS_MISMATCH, problem, fix);
    }
    let problem = format!("Redis does not answer the operator as it should ({error}); {effect}");
    let fix = format!(
        "check that Redis runs, that the URI in Secret {secret} names its host, port and TLS (rediss://), and that \
            network policies let the operator reach it"
    );
    Finding::new(reason::NO_ANSWER, problem, fix)
}

fn trouble_of_sentinels(secret: &str, error: &queue::Error, effect: &str) -> Option<Finding> {
    match error {
        queue::Error::NoMaster { master } => {
            let problem = format!("no sentinel in Secret {secret} knows the master {master}; {effect}");
            let fix = "name the master there as `sentinel monitor` names it";
            Some(Finding::new(reason::URI_INVALID, problem, fix))
        }
        queue::Error::Sentinel(_) => {
            let problem = format!("the sentinels in Secret {secret} refuse to be asked; {effect}");
            let fix = "give their user and password there, as ?sentinelUser= and ?sentinelPassword=";
            Some(Finding::new(reason::CREDENTIALS_REFUSED, problem, fix))
        }
        _ => None,
    }
}

/// What an error of a Redis that answers means; with its code in the words of the redis crate, or as a script has it.
fn refusal(cause: &str) -> Option<(Reason, &'static str)> {
    let known: [(&[&str], _, _); 3] = [
        (&["BusyLoading", "LOADING"], reason::REDIS_LOADING, "and still reads its data from disk"),
        (
            &["NoPerm", "NOPERM", "The user executing the script can't", "ACL failure in script"],
            reason::REDIS_FORBIDS,
            "and its access list forbids the user of the URI to read the queues",
        ),
        (&["WRONGTYPE"], reason::QUEUE_UNREADABLE, "and a key of the queues holds something else"),
    ];
    let found = known.into_iter().find(|(codes, ..)| codes.iter().any(|code| cause.contains(code)));
    found.map(|(_, reason, words)| (reason, words))
}

/// What keeps a Redis that answers from its work for now, and what helps; found as in [`refusal`].
fn hindrance(cause: &str) -> Option<(&'static str, &'static str)> {
    let known: [(&[&str], _, _); 5] = [
        (
            &["ClusterDown", "CLUSTERDOWN"],
            "its cluster is down",
            "see `redis-cli cluster info` and `cluster nodes`: each slot needs a node that lives",
        ),
        (
            &["MasterDown", "MASTERDOWN"],
            "it is a replica that has lost its master",
            "name the master in the URI, or its sentinels (redis+sentinel://)",
        ),
        (&["busy running"], "somebody's script keeps it busy", "end that with SCRIPT KILL, or FUNCTION KILL"),
        (
            &["max number of clients"],
            "it takes no more connections",
            "raise its maxclients, or end connections of others (CLIENT LIST)",
        ),
        // Upstash's.
        (
            &["max requests limit exceeded", "max daily request limit exceeded"],
            "the requests of its plan are used up",
            "choose a plan with more: workers and the operator ask all the time",
        ),
    ];
    let found = known.into_iter().find(|(texts, ..)| texts.iter().any(|text| cause.contains(text)));
    found.map(|(_, words, fix)| (words, fix))
}

/// What is wrong with one queue, while others of the same server can be read.
pub(super) fn unreadable(queue: &str, error: &queue::Error) -> Finding {
    let effect = "the number of workers follows the others, and none is removed";
    Finding::with_default_fix(reason::PARTIAL_QUEUES, format!("queue {queue} cannot be read ({error}); {effect}"))
}

/// A queue whose tasks wait although workers live.
pub(super) fn unserved(queue: &str) -> Finding {
    let effect = "its mails ask for no more workers, and no worker is removed";
    let problem = format!("mails wait in queue {queue}, and none of the workers takes from it; {effect}");
    Finding::with_default_fix(reason::QUEUE_MISSING, problem)
}

/// What is wrong with a URI that cannot be opened; a certificate authority needs TLS.
pub(super) fn unusable(redis: &Redis, uri: &str, error: &queue::Error) -> Finding {
    let secret = &redis.secret_ref.name;
    if redis.ca_secret_ref.is_some() && RedisUri::parse(uri).is_ok_and(|uri| !uri.is_tls()) {
        let problem =
            format!("spec.redis.caSecretRef names an authority, and the URI in Secret {secret} is without TLS");
        return Finding::new(reason::TLS_MISMATCH, problem, "write rediss:// there, or remove caSecretRef");
    }
    match error {
        queue::Error::InvalidUri(error) => {
            let problem = format!("the Redis URI in Secret {secret} cannot be used: {}", error.problem());
            Finding::new(reason::URI_INVALID, problem, error.fix())
        }
        _ => {
            let problem = "the certificate of spec.redis.caSecretRef cannot be used";
            Finding::new(reason::TLS_MISMATCH, problem, "store the authority's certificate as PEM there")
        }
    }
}

/// A socket is a file of one machine, and neither this process nor the pods see it.
pub(super) fn socket(redis: &Redis) -> Finding {
    let problem = format!("the Redis URI in Secret {} names a unix socket, which no pod sees", redis.secret_ref.name);
    Finding::new(reason::URI_INVALID, problem, "name the server by host and port, like redis://:password@host:6379/0")
}

/// Whether the server speaks TLS and the URI does not, or the reverse.
async fn speaks_the_other_way(uri: &str) -> bool {
    let Ok(uri) = RedisUri::parse(uri) else { return false };
    let addresses = uri.addresses();
    let Some(address) = addresses.first() else { return false };
    let (question, answers) = if uri.is_tls() { (PING, b"+-") } else { (HELLO, TLS_RECORDS) };
    let answer = timeout(ANSWER_TIMEOUT, first_byte(address, question)).await;
    matches!(answer, Ok(Ok(byte)) if answers.contains(&byte))
}

/// Answered in clear text, also to a client without a password.
const PING: &[u8] = b"PING\r\n";

/// A TLS record with a truncated handshake message, which a server with TLS refuses by an alert.
const HELLO: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0];

/// Alert, handshake (RFC 8446 section 5.1).
const TLS_RECORDS: &[u8; 2] = &[21, 22];

async fn first_byte(address: &str, question: &[u8]) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(question).await?;
    stream.read_u8().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_redis_from_its_work_is_told_with_what_helps() {
        for (cause, words, fix) in [
            ("ClusterDown: Hash slot not served", "its cluster is down", "each slot needs a node"),
            ("MASTERDOWN Link with MASTER is down", "lost its master", "its sentinels"),
            ("BUSY: Redis is busy running a script.", "keeps it busy", "SCRIPT KILL"),
            ("ERR: max number of clients reached", "no more connections", "maxclients"),
            ("ERR: max requests limit exceeded. Limit: 500000, Usage: 500001.", "are used up", "a plan"),
        ] {
            let (told, helps) = hindrance(cause).unwrap_or_else(|| panic!("{cause}"));
            assert!(told.contains(words) && helps.contains(fix), "{cause}: {told}; {helps}");
        }
        assert_eq!(hindrance("An error was signalled by the server - ResponseError: something else"), None);
    }
}
