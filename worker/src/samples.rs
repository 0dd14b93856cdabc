//! A configuration for unit tests.

use pipeline::Document;

pub(crate) fn document() -> Document {
    let text = r"
pipeline: default/demo
task:
  delay: 10s
  maxRetries: 10
  queue: critical
  deadline: 72h
  timeout: 30s
  backoff: {initial: 15s, max: 30m, formula: Jitter}
queues:
- {name: critical, priority: 10}
- {name: default, priority: 5}
strictPriority: false
database: {uriFile: /nowhere/database, maxConnectionsPerPod: 10, migrations: Auto}
redis: {uriFile: /nowhere/redis}
mail:
  from: no-reply@example.com
  smtp: {host: localhost, port: 25, tls: None}
verification: {publicURL: https://app.example.com, linkTTL: 24h, keysDir: /nowhere/keys}
signup: {passwordMinLength: 6, hideExistingAccounts: false, perMinutePerIP: 10}
worker: {concurrency: 16, shutdownGracePeriod: 40s}
observability: {logLevel: info, logFormat: Json}
";
    Document::parse(text).expect("a good sample")
}
