//! Specs that the definition refuses, each with a part of the message, and the nearest ones that it accepts.
//!
//! Gives: tables of changes to the minimal sample. Does not: say who refuses: the validator of files and a real
//! API server are both held to them.

use serde_json::{Value, json};

const MINIMAL: &str = include_str!("../../../samples/minimal.yaml");

/// The minimal sample with `changes` merged over it (RFC 7386: null removes).
pub(crate) fn with(changes: Value) -> String {
    let mut document: Value = serde_yaml::from_str(MINIMAL).expect("the sample is YAML");
    merge(&mut document, changes);
    serde_json::to_string(&document).expect("JSON is YAML")
}

fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(fields) => {
            if !target.is_object() {
                *target = json!({});
            }
            for (name, value) in fields {
                if value.is_null() {
                    target.as_object_mut().map(|target| target.remove(&name));
                } else {
                    merge(&mut target[&name], value);
                }
            }
        }
        other => *target = other,
    }
}

pub(crate) fn spec(changes: Value) -> String {
    with(json!({"spec": changes}))
}

/// A change of the spec that a rule over several fields refuses, a part of its message, and the nearest change that
/// passes.
pub(crate) fn rules() -> Vec<(Value, &'static str, Value)> {
    [task_rules(), worker_rules(), pod_rules(), other_rules()].concat()
}

fn pod_rules() -> Vec<(Value, &'static str, Value)> {
    let with_ids =
        |component: &str, who: &str| json!({component: pod_of(security(json!({"fsGroup": 7}))), "podSecurity": who});
    let budget = |budget: Value| json!({"worker": {"podDisruptionBudget": budget}});
    vec![
        (with_ids("api", "Fixed"), "set podSecurity: Assigned", with_ids("api", "Assigned")),
        (with_ids("worker", "Fixed"), "set podSecurity: Assigned", with_ids("worker", "Assigned")),
        (
            budget(json!({"maxUnavailable": 1, "minAvailable": "50%"})),
            "one of maxUnavailable and minAvailable",
            budget(json!({"minAvailable": "50%"})),
        ),
    ]
}

fn task_rules() -> Vec<(Value, &'static str, Value)> {
    vec![
        (json!({"task": {"queue": "mail"}}), "one of queues", json!({"task": {"queue": "default"}})),
        (
            json!({"task": {"delay": "2h", "deadline": "2h"}}),
            "longer than task.delay",
            json!({"task": {"delay": "2h", "deadline": "3h"}}),
        ),
        (
            json!({"task": {"backoff": {"initial": "31m"}}}),
            "must not exceed task.backoff.max",
            json!({"task": {"backoff": {"initial": "30m"}}}),
        ),
        (
            json!({"verification": {"linkTTL": "1m"}, "task": {"delay": "60s"}}),
            "linkTTL must be longer",
            json!({
            "verification": {"linkTTL": "61s"}, "task": {"delay": "60s"}}),
        ),
        (
            json!({"task": {"timeout": "41s"}}),
            "shutdownGracePeriod must be task.timeout or longer",
            json!({
            "task": {"timeout": "40s"}}),
        ),
    ]
}

fn worker_rules() -> Vec<(Value, &'static str, Value)> {
    vec![
        (
            json!({"worker": {"replicas": 3}}),
            "set worker.autoscaling.mode to Off",
            json!({
            "worker": {"replicas": 3, "autoscaling": {"mode": "Off"}}}),
        ),
        (
            json!({"worker": {"autoscaling": {"minReplicas": 11}}}),
            "must not exceed maxReplicas",
            json!({"worker": {"autoscaling": {"minReplicas": 10}}}),
        ),
        (
            json!({"api": {"autoscaling": {"minReplicas": 11}}}),
            "api.autoscaling.minReplicas must not exceed",
            json!({"api": {"autoscaling": {"minReplicas": 10}}}),
        ),
        (
            json!({"worker": {"autoscaling": {"fallback": {"replicas": 11}}}}),
            "fallback.replicas must not exceed",
            json!({"worker": {"autoscaling": {"fallback": {"replicas": 10}}}}),
        ),
    ]
}

fn other_rules() -> Vec<(Value, &'static str, Value)> {
    let auth = json!({"name": "app-smtp"});
    vec![
        (
            json!({"verification": null}),
            "set verification.publicURL or expose.host",
            json!({
            "verification": null, "expose": {"host": "app.example.com", "ingress": {}}}),
        ),
        (
            json!({"verification": null, "expose": {"host": "*.example.com", "ingress": {}}}),
            "expose.host (without *)",
            json!({"expose": {"host": "*.example.com", "ingress": {}}}),
        ),
        (
            json!({"mail": {"smtp": {"authSecretRef": auth, "tls": "None"}}}),
            "set StartTLS or Implicit",
            json!({"mail": {"smtp": {"authSecretRef": auth, "tls": "Implicit"}}}),
        ),
        (
            json!({"expose": {"host": "app.example.com"}}),
            "exactly one of ingress and gateway",
            json!({"expose": {"host": "app.example.com", "ingress": {}}}),
        ),
        (
            json!({"expose": {"host": "app.example.com", "ingress": {},
                "gateway": {"parentRefs": [{"name": "edge"}]}}}),
            "exactly one of ingress and gateway",
            json!({"expose": {"host": "app.example.com", "gateway": {"parentRefs": [{"name": "edge"}]}}}),
        ),
        (
            json!({"retention": {"mails": "23h"}}),
            "write 0s to keep mails for ever",
            json!({"retention": {"mails": "0s", "unverifiedUsers": "24h"}}),
        ),
        (
            json!({"queues": [{"name": "critical", "priority": 0}]}),
            "set paused: true",
            json!({"queues": [{"name": "critical", "priority": 1, "paused": true}]}),
        ),
    ]
}

fn queue(name: &str) -> Value {
    json!({"queues": [{"name": name, "priority": 1}], "task": {"queue": name}})
}

fn delay(text: &str) -> Value {
    json!({"task": {"delay": text}})
}

fn url(text: &str) -> Value {
    json!({"verification": {"publicURL": text}})
}

fn from(text: &str) -> Value {
    json!({"mail": {"from": text}})
}

fn host(text: &str) -> Value {
    json!({"mail": {"smtp": {"host": text}}})
}

fn hello(name: &str) -> Value {
    json!({"mail": {"smtp": {"helloName": name}}})
}

fn schema(name: &str) -> Value {
    json!({"database": {"schema": name}})
}

fn handed_over_by(pipeline: &str) -> Value {
    json!({"database": {"takeOverFrom": pipeline}})
}

fn proxies(network: &str) -> Value {
    json!({"api": {"http": {"trustedProxies": [network]}}})
}

fn origin(text: &str) -> Value {
    json!({"signup": {"allowedOrigins": [text]}})
}

fn webhook(url: &str) -> Value {
    json!({"webhooks": [{"url": url, "secretRef": {"name": "hooks"}}]})
}

fn denied(domain: &str) -> Value {
    json!({"signup": {"emailDomains": {"deny": [domain]}}})
}

fn pod_of(pod: Value) -> Value {
    json!({"pod": pod})
}

fn pod(pod: Value) -> Value {
    json!({"api": pod_of(pod)})
}

fn security(context: Value) -> Value {
    json!({"securityContext": context})
}

fn variable(name: &str) -> Value {
    pod(json!({"env": [{"name": name, "value": "1"}]}))
}

fn mount(path: &str) -> Value {
    pod(json!({"volumes": [{"name": "more", "emptyDir": {}}], "volumeMounts": [{"name": "more", "mountPath": path}]}))
}

/// Of pods: what would take the place of something of the operator's.
fn ours() -> Vec<(Value, &'static str)> {
    let container = |context: Value| pod(json!({"containerSecurityContext": context}));
    let mut refused = vec![
        (variable("CONFIG"), "the programs take their settings from the fields of spec"),
        (variable("MAX_CONNECTIONS"), "the programs take their settings from the fields of spec"),
        (variable("PGSSLMODE"), "PostgreSQL's (PG...) from its Secret"),
        (pod(json!({"volumes": [{"name": "keys", "emptyDir": {}}]})), "name it otherwise"),
        (pod(security(json!({"runAsNonRoot": false}))), "fsGroupChangePolicy are the operator's; remove them"),
        (pod(security(json!({"seccompProfile": {"type": "Unconfined"}}))), "are the operator's; remove them"),
        (container(json!({"privileged": true})), "are the operator's; remove them"),
        (container(json!({"capabilities": {"add": ["NET_RAW"]}})), "are the operator's; remove them"),
        (container(json!({"runAsUser": 0})), "ids stand in pod.securityContext"),
    ];
    for path in ["/", "/etc", "/etc/signup", "/etc/signup/more", "/etc/signup-templates", "/run/secrets/keys", "/run/"]
    {
        refused.push((mount(path), "beside what the operator mounts"));
    }
    for path in ["/api", "/worker", "etc/ssl", "/etc/../run/secrets", "/etc//signup"] {
        refused.push((mount(path), "must be an absolute path"));
    }
    refused
}

/// A text that its own rule refuses, and a part of the message.
pub(crate) fn malformed() -> Vec<(Value, &'static str)> {
    [malformed_texts(), ours()].concat()
}

fn malformed_texts() -> Vec<(Value, &'static str)> {
    vec![
        (delay("-5s"), "from 0s to 24h"),
        (delay("1e9h"), "from 0s to 24h"),
        (delay("10"), "like 10s"),
        (delay("24h1s"), "24h"),
        (delay(""), "like 10s"),
        (delay("1m1h"), "like 10s"),
        (queue("{mail}"), "letters"),
        (queue("a\nb"), "letters"),
        (queue("mail\n"), "letters"),
        (url("app.example.com"), "https://app.example.com"),
        (url("https://a.b/?x"), "no ?"),
        (url("https://user:pw@a.b"), "no user"),
        (url("ftp://a.b"), "http or https"),
        (from("nobody"), "no-reply@example.com"),
        (from("a@b\r\nBcc: x@y"), "no-reply@example.com"),
        (from("Example <no reply@example.com>"), "no-reply@example.com"),
        (from("a <b@c.com> <d@e.com>"), "no-reply@example.com"),
        (from("no-reply@10.0.0.1"), "no-reply@example.com"),
        (host("smtp://a.b"), "without a port or scheme"),
        (host("a b"), "without a port or scheme"),
        (host("smtp.a.b:587"), "the port is mail.smtp.port"),
        (host("cafe:587"), "the port is mail.smtp.port"),
        (host("[2001:db8::1]"), "2001:db8::1 (no brackets)"),
        (url("http://[2001:db8::1"), "http or https"),
        (hello("worker"), "a full DNS name"),
        (hello("mail.example.com."), "a full DNS name"),
        (hello("a.b\r\nMAIL"), "a full DNS name"),
        (json!({"mail": {"envelopeFrom": "Bounces <bounces@example.com>"}}), "bounces@example.com"),
        (json!({"mail": {"envelopeFrom": "a@b\r\nRCPT"}}), "bounces@example.com"),
        (json!({"mail": {"replyTo": "help"}}), "no-reply@example.com"),
        (schema("1st"), "the first a letter or _"),
        (schema("sign up"), "1 to 63 letters, digits"),
        (schema("a\"b"), "1 to 63 letters, digits"),
        (schema("signup\n"), "1 to 63 letters, digits"),
        (schema("pg_signup"), "PostgreSQL's own schemas"),
        (schema("information_schema"), "PostgreSQL's own schemas"),
        (handed_over_by("demo"), "such as shop/demo"),
        (handed_over_by("shop/demo/api"), "such as shop/demo"),
        (handed_over_by("shop/demo\n"), "such as shop/demo"),
        (proxies("10.0.0.0/33"), "10.0.0.0/8"),
        (proxies("10.0.0.256"), "10.0.0.0/8"),
        (proxies("fe80::1%eth0"), "10.0.0.0/8"),
        (proxies("2001:db8::1::/64"), "10.0.0.0/8"),
        (proxies("proxy.example.com"), "10.0.0.0/8"),
        (origin("*"), "https://*.example.com"),
        (origin("null"), "https://app.example.com"),
        (origin("app.example.com"), "a scheme"),
        (origin("https://app.example.com/"), "no slash at the end"),
        (origin("https://App.example.com"), "a host in small letters"),
        (origin("https://app.*.com"), "https://*.example.com"),
        (origin("https://app.example.com:65536"), "https://app.example.com"),
        (origin("https://app.example.com\nhttps://b.c"), "https://app.example.com"),
        (webhook("app.example.com/hooks"), "https://app.example.com/hooks"),
        (webhook("https://user@app.example.com/hooks"), "no user"),
        (webhook("https://app.example.com/hooks#a"), "no #"),
        (webhook("https://app.example.com/a b"), "https://app.example.com/hooks"),
        (webhook("ftp://app.example.com/"), "http or https"),
        (denied("@example.com"), "without @, * or port"),
        (denied("*.example.com"), "without @, * or port"),
        (denied("example..com"), "like example.com"),
        (denied("example.com\n"), "like example.com"),
    ]
}

/// Texts at the edge of what is accepted.
pub(crate) fn well_formed() -> Vec<Value> {
    vec![
        delay("0s"),
        json!({"task": {"delay": "24h"}, "verification": {"linkTTL": "25h"}}),
        delay("1h30m"),
        delay("250ms"),
        queue("mail:bulk_1.x"),
        url("http://127.0.0.1:8080"),
        url("https://example.com/signup/"),
        url("http://[2001:db8::1]:8080/signup"),
        json!({"networkPolicy": {"dnsPorts": [53, 5353], "extraEgress": [{}],
            "extraIngress": [{"from": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}]}}),
        from("Example Inc. <no-reply@example.com>"),
        from("Example, Inc. <no-reply@example.com>"),
        from("\"Example, Inc. <us>\" <no-reply@example.com>"),
        from("us @ Example \"Zoë's\" \\ <no-reply@example.com>"),
        host("10.0.0.1"),
        host("2001:db8::1"),
        host("::ffff:192.0.2.1"),
        hello("mail.example.com"),
        json!({"mail": {"envelopeFrom": "bounces+signup@example.com", "replyTo": "Help <help@example.com>"}}),
        json!({"mail": {"smtp": {"maxConnections": 3}}}),
        schema("Sign-Up"),
        schema("_a$1"),
        schema(&"s".repeat(63)),
        handed_over_by("shop-1/demo.2"),
        proxies("10.0.0.0/8"),
        proxies("203.0.113.7"),
        proxies("2001:db8:5::/48"),
        proxies("::1"),
        proxies("::/0"),
        proxies("1:2:3:4:5:6:7:8/128"),
        proxies("1::"),
        origin("https://app.example.com"),
        origin("https://*.example.com:8443"),
        origin("http://localhost:3000"),
        origin("http://[::1]:3000"),
        origin("capacitor://localhost"),
        webhook("https://app.example.com"),
        webhook("http://receiver.shop:8080/hooks/a%20b?token=a-b_c"),
        webhook("http://[::1]:8080/hooks"),
        denied("Example.com"),
        denied("münchen.example"),
        denied("xn--mnchen-3ya.example"),
        denied("tk"),
        variable("HTTPS_PROXY"),
        variable("CONFIG_2"),
        mount("/etc/ssl/certs"),
        mount("/run/postgresql"),
        mount("/var/run/secrets/eks.amazonaws.com/serviceaccount"),
        pod(security(
            json!({"supplementalGroups": [7], "sysctls": [{"name": "net.ipv4.tcp_keepalive_time", "value": "60"}]}),
        )),
        pod(json!({"containerSecurityContext": {"seLinuxOptions": {"level": "s0:c1,c2"}}})),
        pod(
            json!({"topologySpreadConstraints": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.53"]}}),
        ),
        json!({"image": format!("registry.example.com:5000/team/signup@sha256:{}", "0".repeat(64))}),
        json!({"api": {"service": {"type": "NodePort"}}, "worker": {"podDisruptionBudget": {"maxUnavailable": 2}}}),
    ]
}

/// A change that the schema itself refuses, and what the validator of files says.
pub(crate) fn structural() -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({"task": {"delai": "1s"}}),
            "spec.task.delai: is not a known field; remove it, or use one of backoff, deadline, delay",
        ),
        (json!({"task": {"maxRetries": 101}}), "spec.task.maxRetries: 101 must be 0 to 100"),
        (json!({"mail": {"smtp": {"maxConnections": 0}}}), "spec.mail.smtp.maxConnections: 0 must be 1 to 10000"),
        (json!({"task": {"maxRetries": -1}}), "spec.task.maxRetries: -1 must be 0 to 100"),
        (json!({"task": {"maxRetries": "5"}}), "spec.task.maxRetries: \"5\" must be a whole number"),
        (json!({"task": {"maxRetries": 1.5}}), "spec.task.maxRetries: 1.5 must be a whole number"),
        (json!({"task": {"delay": 10}}), "spec.task.delay: 10 must be a string; put it in quotes"),
        (json!({"task": "fast"}), "spec.task: \"fast\" must be an object"),
        (json!({"paused": "yes"}), "spec.paused: \"yes\" must be true or false"),
        (json!({"database": null}), "spec.database: is missing; add it. PostgreSQL"),
        (json!({"database": {"secretRef": {"name": null}}}), "spec.database.secretRef.name: is missing"),
        (json!({"database": {"secretRef": {"name": "App_DB"}}}), "spec.database.secretRef.name: \"App_DB\" must match"),
        (json!({"mail": {"smtp": {"tls": "starttls"}}}), "\"starttls\" must be one of StartTLS, Implicit, None"),
        (
            json!({"worker": {"autoscaling": {"mode": false}}}),
            "mode: \"false\" is how YAML reads a bare word such as Off",
        ),
        (json!({"mail": {"smtp": {"port": 0}}}), "spec.mail.smtp.port: 0 must be 1 to 65535"),
        (json!({"networkPolicy": {"dnsPorts": [0]}}), "spec.networkPolicy.dnsPorts[0]: 0 must be 1 to 65535"),
        (json!({"queues": []}), "spec.queues: has 0 entries and needs 1 or more"),
        (
            json!({"queues": [{"name": "critical", "priority": 1}, {"name": "critical", "priority": 2}]}),
            "spec.queues[1].name: \"critical\" is in the list twice",
        ),
        (json!({"signup": {"passwordMinLength": 5}}), "spec.signup.passwordMinLength: 5 must be 6 to 128"),
        (
            pod(json!({"volumes": [{"name": "node", "hostPath": {"path": "/"}}]})),
            "spec.api.pod.volumes[0].hostPath: is not a known field; remove it, or use one of configMap, csi",
        ),
        (
            pod(json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]})),
            "spec.api.pod.env[1].name: \"A\" is in the list twice",
        ),
        (pod(json!({"env": [{"value": "1"}]})), "spec.api.pod.env[0].name: is missing"),
        (pod(security(json!({"runAsUser": 0}))), "spec.api.pod.securityContext.runAsUser: 0 must be 1 to 2147483647"),
        (json!({"podSecurity": "None"}), "spec.podSecurity: \"None\" must be one of Fixed, Assigned"),
        (json!({"worker": {"resources": {"limits": {"cpu": true}}}}), "spec.worker.resources.limits.cpu: true must be"),
    ]
}
