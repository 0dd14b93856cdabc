use super::*;

fn parsed(text: &str) -> RedisUri {
    RedisUri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn host(name: &str, port: u16) -> Host {
    Host { name: name.into(), port }
}

fn login(user: &str, password: &str) -> Login {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Login { user: given(user), password: given(password) }
}

#[test]
fn one_server_is_read_as_it_is_written_everywhere() {
    for (text, name, port, given, is_tls, index) in [
        ("redis://redis", "redis", 6379, login("", ""), false, 0),
        (" redis://:secret@redis:6380/3\n", "redis", 6380, login("", "secret"), false, 3),
        ("rediss://app:secret@redis.example.com/", "redis.example.com", 6379, login("app", "secret"), true, 0),
        ("redis://u%40x:p%40%2F%3A%23%3F%25@redis/15", "redis", 6379, login("u@x", "p@/:#?%"), false, 15),
        ("redis://:p@ss@redis", "redis", 6379, login("", "p@ss"), false, 0),
        ("redis://[::1]:6380/1", "::1", 6380, login("", ""), false, 1),
        ("redis://[2001:db8::1]", "2001:db8::1", 6379, login("", ""), false, 0),
        ("redis://[fe80::1%25eth0]:6379", "fe80::1%eth0", 6379, login("", ""), false, 0),
        ("valkeys://:secret@valkey:6379?timeout=5s&db=2", "valkey", 6379, login("", "secret"), true, 2),
        ("redis://redis?password=a%26b&username=app", "redis", 6379, login("app", "a&b"), false, 0),
        ("rediss://default:p@eu1-a.upstash.io:6379", "eu1-a.upstash.io", 6379, login("default", "p"), true, 0),
        ("rediss://:p@redis:6380/2?ssl_cert_reqs=required", "redis", 6380, login("", "p"), true, 2),
        ("redis://redis/1?db=2&ssl_cert_reqs=none", "redis", 6379, login("", ""), false, 1),
    ] {
        let uri = parsed(text);
        assert_eq!(uri.place, Place::Server(host(name, port)), "{text}");
        assert_eq!((uri.login, uri.is_tls, uri.database), (given, is_tls, index), "{text}");
    }
}

#[test]
fn a_socket_is_a_path_in_every_spelling_of_it() {
    for (text, index, password) in [
        ("unix:///run/redis/a%20b.sock", 0, ""),
        ("redis+unix:///run/redis/a%20b.sock?db=2&pass=secret", 2, "secret"),
        ("redis-socket://:secret@/run/redis/a%20b.sock?db=2", 2, "secret"),
        ("valkey+unix:///run/redis/a%20b.sock?database=0", 0, ""),
    ] {
        let uri = parsed(text);
        assert_eq!(uri.place, Place::Socket("/run/redis/a b.sock".into()), "{text}");
        assert_eq!((uri.database, uri.login.password.unwrap_or_default()), (index, password.to_owned()), "{text}");
    }
}

#[test]
fn sentinels_have_a_master_and_a_login_of_their_own() {
    let hosts = vec![host("one", 26379), host("::1", 26380)];
    for (text, index, of_servers, of_sentinels, is_tls) in [
        ("redis+sentinel://one,[::1]:26380/mymaster", 0, login("", ""), login("", ""), false),
        ("rediss+sentinel://u:p@one:26379,[::1]:26380/mymaster/4", 4, login("u", "p"), login("", ""), true),
        (
            "redis+sentinel://:p@one,[::1]:26380/mymaster/4?sentinelUser=s&sentinelPassword=q%26",
            4,
            login("", "p"),
            login("s", "q&"),
            false,
        ),
        ("redis-sentinel://:q@one,[::1]:26380?master=mymaster", 0, login("", ""), login("", "q"), false),
        ("redis-sentinel://:q@one,[::1]:26380/2?master=mymaster&password=p", 2, login("", "p"), login("", "q"), false),
    ] {
        let uri = parsed(text);
        let (hosts, master) = (hosts.clone(), "mymaster".to_owned());
        let sentinels = SentinelHosts { hosts, master, login: of_sentinels, server_port: 6379 };
        assert_eq!(uri.place, Place::Sentinels(sentinels), "{text}");
        assert_eq!((uri.database, uri.login, uri.is_tls), (index, of_servers, is_tls), "{text}");
    }
    assert_eq!(parsed("redis+sentinel://one,two:26380/m").ports(), [6379, 26379, 26380]);
    assert_eq!(parsed("redis+sentinel://one/m?serverPort=7000").ports(), [7000, 26379]);
}

#[test]
fn a_cluster_is_any_of_its_nodes_and_database_0() {
    for text in ["redis+cluster://u:p@one,two:7001", "redis+cluster://u:p@one:6379,two:7001/0"] {
        let uri = parsed(text);
        assert_eq!(uri.place, Place::Cluster(vec![host("one", 6379), host("two", 7001)]), "{text}");
        assert_eq!((uri.login.clone(), uri.is_tls, uri.ports()), (login("u", "p"), false, vec![6379, 7001]));
    }
    assert!(parsed("rediss+cluster://one").is_tls());
}

#[test]
fn what_leads_to_the_same_tasks_has_the_same_identity() {
    let same = |one: &str, other: &str| parsed(one).identity() == parsed(other).identity();
    assert!(same("redis://:a@redis/", "rediss://app:b@redis:6379/0"));
    assert!(same("redis+cluster://a,b", "redis+cluster://b,a"));
    assert!(same("redis-sentinel://:q@a?master=m", "redis+sentinel://a:26379/m/0"));
    assert!(!same("redis://redis/0", "redis://redis/1") && !same("redis://redis", "redis+cluster://redis"));
}

#[test]
fn what_is_wrong_is_told_with_the_fix_and_without_a_secret() {
    for (text, problem, fix) in [
        ("hunter2", "does not begin", "write it like redis://"),
        ("redis:hunter2@host", "does not begin", "write it like redis://"),
        ("", "does not begin", "redis+cluster://"),
        ("hunter2://host", "before ://", "redis+sentinel://"),
        ("http://user:hunter2@host", "http: is not Redis'", "write it like redis://"),
        ("jdbc:redis://user:hunter2@host", "jdbc: is not Redis'", "write it like redis://"),
        ("redis://:hunter2@/0", "names no host", "write it like redis://"),
        ("redis://:hunter2/b@host/0", "port is no number", "%2F"),
        ("redis://:hunter2?b@host/0", "port is no number", "%3F"),
        ("redis://:hunter2#b@host/0", "has a #", "%23"),
        ("redis://:hunter2@host:0", "port is no number", "host and port"),
        ("redis://:hunter2@host:65536", "port is no number", "host and port"),
        ("redis://:hunter2@host/zero", "database index", "/0"),
        ("redis://:hunter2@host/-1", "database index", "/0"),
        ("redis://:hunter2@ho st", "character", "host and port"),
        ("redis://:hunter2@::1/0", "several colons", "[::1]"),
        ("redis://:hunter2@2001:db8::1/0", "several colons", "[::1]"),
        ("redis://:hunter2@[::1/0", "has no ]", "host and port"),
        ("redis://:hunter2@0.0.0.0:6379", "nobody reaches", "127.0.0.1"),
        ("redis://:hunter2@one,two/0", "several hosts", "redis+cluster://"),
        ("redis://:hunter2@host?ssl=true", "TLS", "rediss://"),
        ("rediss://:hunter2@host/#insecure", "not supported", "caSecretRef"),
        ("rediss://:hunter2@host?ssl_cert_reqs=CERT_NONE", "?ssl_cert_reqs would switch off", "caSecretRef"),
        ("rediss://:hunter2@host/0?skip_verify=true", "?skip_verify would switch off", "caSecretRef"),
        ("rediss+sentinel://:hunter2@host/m?insecure", "?insecure would switch off", "caSecretRef"),
        ("rediss://:hunter2@host?ssl_check_hostname=false", "?ssl_check_hostname would switch off", "caSecretRef"),
        ("host.redis.cache.windows.net:6380,password=hunter2,ssl=True", "does not begin", "rediss:// for TLS"),
        ("redis://:hunter2@host?protocol=4", "protocol", "protocol=2"),
        ("redis://:hunter2%FF@host", "not UTF-8", "percent-encode"),
        ("redis+sentinel://:hunter2@host:26379", "does not name the master", "redis+sentinel://host:26379/master/0"),
        ("redis-sentinel://:hunter2@host:26379?master=", "does not name the master", "sentinel monitor"),
        ("redis+cluster://:hunter2@host/3", "no database 3", "cluster of its own"),
        ("redis+unix://hunter2/run/redis.sock", "is a path", "three slashes"),
        ("redis-socket://", "is a path", "three slashes"),
    ] {
        let error = RedisUri::parse(text).expect_err(text);
        assert!(error.problem().contains(problem) && error.fix().contains(fix), "{text}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn debug_shows_no_login() {
    let uri = parsed("redis+sentinel://user:hunter2@a/m?sentinelPassword=hunter3");
    assert!(!format!("{uri:?}").contains("hunter") && !format!("{uri:?}").contains("\"user\""));
}
