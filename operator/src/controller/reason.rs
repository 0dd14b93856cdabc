//! Every condition and every reason that a pipeline's status and events can show; only this file can make one.
//!
//! Gives: one table of each, from which programs take constants and docs/conditions.md its text (a test holds it), and
//! [`Finding`], a reason with its message for people, which ends with `Fix: ...`. Does not: decide which one is true.

/// A word for programs, with what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    name: &'static str,
    meaning: &'static str,
    fix: Option<&'static str>,
}

impl Reason {
    /// As status and events show it.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        self.meaning
    }

    /// What to do about it, when something is wrong. A message may say it with names in place of general words.
    pub fn fix(self) -> Option<&'static str> {
        self.fix
    }
}

/// The reason of that name; `None` for one of another version.
pub fn named(name: &str) -> Option<Reason> {
    ALL.iter().flat_map(|(_, reasons)| *reasons).copied().find(|reason| reason.name == name)
}

/// Makes a constant of each line, and the table of them all.
macro_rules! reasons {
    ($($group:literal { $($constant:ident $name:literal $meaning:literal $($fix:literal)?;)+ })+) => {
        $($(
            #[doc = $meaning]
            pub const $constant: Reason = Reason { name: $name, meaning: $meaning, fix: reasons!(@fix $($fix)?) };
        )+)+
        /// All reasons, by what they speak of.
        pub const ALL: &[(&str, &[Reason])] = &[$(($group, &[$($constant),+])),+];
    };
    (@fix) => { None };
    (@fix $fix:literal) => { Some($fix) };
}

// A reason is one entry: constant, name, meaning and, when something is wrong, what to do (small letter first, no full
// stop).
reasons! {
    "What the resource names" {
        SECRET_MISSING "SecretMissing" "A Secret that the resource names does not exist."
            "create it with the keys that the message names, or name another";
        SECRET_KEY_MISSING "SecretKeyMissing" "A Secret exists and lacks a key; the message names the keys that exist."
            "add the key, or name the right one in the field that the message names";
        CONFIG_MAP_MISSING "ConfigMapMissing" "A ConfigMap that the resource names does not exist."
            "create it with the keys that the message names, or name another";
        CONFIG_MAP_KEY_MISSING "ConfigMapKeyMissing" "A ConfigMap exists and lacks a key; the message names the keys \
            that exist."
            "add the key";
        CONFIG_INVALID "ConfigInvalid" "The processes would refuse the configuration."
            "correct that field of the pipeline";
        URI_INVALID "UriInvalid" "The URI of a Secret cannot be used."
            "write it in the form that the message shows";
        REDIS_SHARED "RedisShared" "Another pipeline uses the same Redis database."
            "give each its own database index at the end of its Redis URI";
    }
    "Children" {
        AS_DESIRED "AsDesired" "All is as the resource says.";
        ROLLING_OUT "RollingOut" "Pods are starting or being replaced."
            "none while pods start; else see `kubectl describe pods`";
        DEADLINE_EXCEEDED "ProgressDeadlineExceeded" "The pods of the newest edit are not ready in the time of \
            `spec.progressDeadline`."
            "see `kubectl describe pods` and the pods' logs, or raise spec.progressDeadline";
        NO_PODS_WANTED "NoPodsWanted" "The resource asks for no pods of api or worker."
            "set spec.api.replicas or spec.worker.replicas to 1 or more";
        FORBIDDEN "Forbidden" "RBAC forbids the operator what it needs."
            "grant its ServiceAccount what the message names";
        QUOTA_EXCEEDED "QuotaExceeded" "A ResourceQuota leaves no room."
            "raise the ResourceQuota, or lower replicas or resources";
        NAME_TAKEN "NameTaken" "An object of that name belongs to somebody else."
            "delete or rename it, or rename the pipeline";
        GATEWAY_API_MISSING "GatewayApiMissing" "The cluster lacks the Gateway API."
            "install the Gateway API (gateway.networking.k8s.io/v1), or use expose.ingress";
        MONITORING_API_MISSING "MonitoringApiMissing" "The cluster lacks the Prometheus operator's PodMonitor."
            "install the Prometheus operator (monitoring.coreos.com/v1), or set observability.podMonitor to false";
        CRD_OUTDATED "CrdOutdated" "The cluster's definition of SignupPipeline is older than the operator, and lacks \
            fields."
            "helm upgrade with crd.install=true, or `operator crd | kubectl apply --server-side --force-conflicts -f \
                -`";
        ADMISSION_REFUSED "AdmissionRefused" "A policy of the cluster (an admission webhook or policy, Pod Security) \
            refuses an object."
            "change what the message names, or have whoever keeps that policy let it pass";
        CHILD_REFUSED "ChildRefused" "The API server refused an object."
            "correct the field of the pipeline that the message names";
        API_ERROR "ApiError" "The API server did not answer as it should."
            "none; it is tried again";
        FOREIGN_AUTOSCALER "ForeignAutoscaler" "A HorizontalPodAutoscaler of somebody else sets the number of api \
            pods, so the operator leaves it alone."
            "set spec.api.autoscaling.mode to External, or delete that HorizontalPodAutoscaler";
        AUTOSCALER_INACTIVE "AutoscalerInactive" "The HorizontalPodAutoscaler of the api cannot act, so the number of \
            api pods stays as it is; the message has its words."
            "install the metrics API (metrics-server) and leave spec.api.resources a CPU request, or set \
                spec.api.autoscaling.mode to Off";
        PAUSED "PausedBySpec" "The resource says `paused`, so the operator leaves the children as they are."
            "remove spec.paused";
        NOT_PAUSED "NotPaused" "The operator keeps the children as the resource says.";
    }
    "Pods" {
        IMAGE_PULL_FAILED "ImagePullFailed" "The image of a pod cannot be fetched."
            "correct spec.image, or name the registry's credentials in spec.imagePullSecrets";
        IMAGE_NAME_INVALID "ImageNameInvalid" "What stands where the name of an image goes is none."
            "correct spec.image";
        POD_CRASHING "PodCrashing" "A container ends again and again, or is killed for its memory; it counts as one \
            trouble until the container has run well for 10 minutes."
            "read why with `kubectl logs POD --previous`; when its memory is named, raise its limit";
        POD_NOT_STARTED "PodNotStarted" "A container cannot be made."
            "see `kubectl describe pod POD`";
        VOLUME_NOT_MOUNTED "VolumeNotMounted" "A volume, or the Secret or ConfigMap in it, cannot be brought to a pod."
            "make the Secret, ConfigMap or volume that the message names; the pod goes on by itself";
        PROBE_FAILING "ProbeFailing" "A container runs, and its probe says that it is not ready."
            "none while it starts; else read why with `kubectl logs POD`";
        NODE_GONE "NodeGone" "The node of a pod does not answer."
            "see `kubectl describe node`; without the node its pods are made elsewhere after 5 minutes";
        POD_UNSCHEDULABLE "PodUnschedulable" "A pod finds no node."
            "add a node, or change resources, nodeSelector, affinity, topologySpreadConstraints or tolerations";
        PODS_REFUSED "PodsRefused" "Pods cannot be made (quota, Pod Security, admission)."
            "change what the message names; spec.api and spec.worker set pods' fields, spec.podSecurity: Assigned \
                leaves user ids to the cluster";
    }
    "PostgreSQL, Redis and mail" {
        ANSWERS "Answers" "It answers.";
        NO_ANSWER "NoAnswer" "It does not answer as it should."
            "check that it runs, that the Secret that the message names has its host, port, credentials and TLS, and \
                that network policies let it be reached";
        CREDENTIALS_REFUSED "CredentialsRefused" "It refuses the user or the password of the Secret."
            "correct the URI in that Secret";
        REDIS_LOADING "RedisLoading" "Redis still reads its data from disk."
            "none; it answers when it has read all of it";
        REDIS_FORBIDS "RedisForbids" "The access list of Redis forbids the operator to read the queues."
            "allow the user of the Redis URI what docs/scaling.md names (`ACL SETUSER`)";
        TLS_MISMATCH "TlsMismatch" "One side speaks TLS and the other does not, or the certificate is not trusted."
            "agree with the server on TLS (sslmode, rediss://, spec.mail.smtp.tls), and name its authority in \
                caSecretRef";
        NOT_KNOWN "NotKnown" "Nobody could look yet.";
        SENDER_REFUSED "SenderRefused" "The mail server refuses the sender, or demands credentials."
            "set spec.mail.from to an address that the server accepts, or name credentials in \
                spec.mail.smtp.authSecretRef";
        DATABASE_MISSING "DatabaseMissing" "PostgreSQL has no database of the name that the URI gives."
            "create it, or correct the end of the URI";
        DATABASE_READ_ONLY "DatabaseReadOnly" "PostgreSQL answers and takes no writes: a standby, or set to read only."
            "name the primary in the Secret of spec.database.secretRef, or a name that follows it";
        DATABASE_FULL "DatabaseFull" "PostgreSQL, or a pooler before it, takes no more connections."
            "raise max_connections of PostgreSQL (max_client_conn of PgBouncer), or lower \
                spec.database.maxConnectionsPerPod";
        POOLER_UNFIT "PoolerUnfit" "The pooler before PostgreSQL takes no transactions, or not the URI's parameters."
            "set its pool_mode to transaction (or session) for this database";
        DATABASE_FOREIGN "DatabaseForeign" "What stands where a table of the pipeline's goes belongs to another \
            application; nothing was changed."
            "set spec.database.schema to a schema of the pipeline's own, such as signup, or name a database of its own \
                in the Secret of spec.database.secretRef";
        DATABASE_SHARED "DatabaseShared" "The database, or the schema, belongs to another pipeline; nothing in it is \
            touched."
            "name a database of its own in the Secret of spec.database.secretRef, or a schema in spec.database.schema; \
                set spec.database.takeOverFrom to that pipeline only if it hands the database over";
        PRIVILEGES_MISSING "PrivilegesMissing" "The role of the database's URI lacks a privilege."
            "run the statement that the message names, such as GRANT CREATE, USAGE ON SCHEMA public TO that role";
        SCHEMA_INCOMPLETE "SchemaIncomplete" "A table or column of the pipeline's is gone."
            "put back what the message names (the api's log has the statement that failed); the pipeline goes on by \
                itself";
        ENCODING_UNFIT "EncodingUnfit" "The database's encoding cannot hold every name."
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and name it in the Secret of \
                spec.database.secretRef";
        SCHEMA_PRESENT "SchemaPresent" "The database has the schema.";
        SCHEMA_MISSING "SchemaMissing" "The database does not have the schema."
            "with migrations Manual apply the files of migrations/; with Auto see the api's log for why it cannot";
    }
    "Webhooks" {
        NO_WEBHOOKS "NoWebhooks" "The resource names no application that is to be told.";
        RECEIVER_DOWN "ReceiverDown" "An application that is to be told cannot be reached, or says that it cannot take \
            anything now. What it is owed waits, and uses no retry up."
            "see that it runs, that its URL in spec.webhooks is right, and that network policies let workers reach it; \
                webhooks go on by themselves";
        RECEIVER_REFUSES "ReceiverRefuses" "An application that is to be told answers that it does not want it; each \
            try uses a retry up."
            "have it answer with a status of 2xx: see that its URL in spec.webhooks is right and that it knows the \
                secret that signs";
        WEBHOOK_UNSENDABLE "WebhookUnsendable" "Nothing can be sent to an application: the secret that signs cannot be \
            used, or the URL leads to the worker itself, its link or a metadata service."
            "correct what the message names in spec.webhooks, or in the Secret";
    }
    "Live configuration" {
        CONFIG_REFUSED "ConfigRefused" "A process keeps its older configuration."
            "correct what the message names; an api and worker older than the operator need its image";
        TEMPLATES_REFUSED "TemplatesRefused" "A worker keeps its older mail templates, or the built-in ones."
            "correct what the message names in the ConfigMap of mail.templatesRef; worker render-mail shows a mail";
        SPREADING "Spreading" "Some pods do not report the newest configuration yet."
            "none while it spreads (seconds); else let the operator reach port 8081 of the pods and patch pods";
    }
    "Number of workers" {
        FOLLOWS_QUEUE "FollowsQueue" "The number of workers follows the work that is due.";
        POLLS_QUEUE "PollsQueue" "The number of workers follows the work that is due, up to a second late: Redis \
            does not tell the operator of changes, so it is polled."
            "none where a second does no harm; else let the user of the Redis URI run CLIENT TRACKING (+client), and \
                reach Redis without a proxy that speaks RESP2 only";
        PARTIAL_QUEUES "PartialQueues" "Some queues cannot be read: the number of workers follows the others, and none \
            is removed."
            "see what the key that the message names holds, and delete or rename what is not the queue's";
        QUEUE_UNREADABLE "QueueUnreadable" "A key of the queues in Redis holds something else, so the number of \
            workers stays as it is."
            "see what `asynq:{QUEUE}:pending` and its neighbours hold (`TYPE`), and delete or rename what is not the \
                queue's";
        QUEUE_MISSING "QueueMissing" "Mails wait in a queue that no worker takes from: they ask for no more workers, \
            and none is removed."
            "see ConfigApplied: a worker with an older configuration or image does not know the queue";
        FALLBACK_ACTIVE "FallbackActive" "Redis has not answered for `fallback.after`: `fallback.replicas` workers run \
            at least, and none is removed."
            "see RedisReachable; the number follows the work again within a second of its return";
        COUNTER_RESET "CounterReset" "Counters or the clock of Redis went backwards: it was emptied, restarted without \
            its data, or another one took over. What was learnt is forgotten, and for a `cooldownPeriod` no worker is \
            removed."
            "none for the number of workers; find out who emptied it, and see docs/queue.md for what it kept";
        READY_FOR_NEW_SCALE "ReadyForNewScale" "The operator sets the number of workers.";
        DESIRED_WITHIN_RANGE "DesiredWithinRange" "There are as many workers as the work asks for, or will be.";
        TOO_MANY_REPLICAS "TooManyReplicas" "The work asks for more workers than maxReplicas allows."
            "raise spec.worker.autoscaling.maxReplicas, or accept that mails are later than \
                spec.worker.autoscaling.targetLatency";
        MAIL_SERVER_LIMIT "MailServerLimit" "The mail server takes no more than the workers send already."
            "have it take more and raise spec.mail.smtp.maxConnections or maxPerSecond, or accept late mails";
        RETRY_STORM "RetryStorm" "Most attempts fail, so more workers would only fail more often."
            "see MailReachable and the workers' log for why";
        INEFFECTIVE "MoreDoNotHelp" "The last workers that were added brought nothing: something else is at its end."
            "see what PostgreSQL, Redis and the mail server have to do; it is tried again after five minutes";
        PODS_NOT_STARTING "PodsNotStarting" "Workers that were asked for long ago have not started, so no more are."
            "see what `operator check` says of their pods";
        MODE "NotInModeAuto" "The resource gives the number of workers to somebody else.";
        FOREIGN_WRITER "ForeignWriter" "Another writer sets the number of workers, or again and again another field of \
            a child, so the operator leaves it alone."
            "delete that HorizontalPodAutoscaler, or set spec.worker.autoscaling.mode to External";
    }
    "Exposure" {
        NOT_ASKED_FOR "NotAskedFor" "The resource exposes nothing.";
        ADDRESS_ASSIGNED "AddressAssigned" "The address is there.";
        HOST_SHARED "HostShared" "An older pipeline answers to the same host and path, so this one makes no Ingress or \
            route."
            "give this pipeline another host or path in spec.expose; when the other one goes, it gets them by itself";
        CERTIFICATE_MISSING "CertificateMissing" "The Secret with the certificate of an Ingress is not there, or holds \
            none; it holds nothing up, for cert-manager may make it later."
            "have cert-manager make it, or create it with the keys tls.crt and tls.key";
        CERTIFICATE_UNFIT "CertificateUnfit" "The certificate of an Ingress is for other hosts."
            "put a certificate for the host of spec.expose.host into that Secret, or name another Secret";
        CERTIFICATE_EXPIRED "CertificateExpired" "The certificate of an Ingress has ended, or does not begin yet."
            "renew it in that Secret";
        INGRESS_CLASS_MISSING "IngressClassMissing" "The IngressClass that an Ingress names does not exist; the \
            message names those that do."
            "install its ingress controller, or name another class in spec.expose.ingress.className";
        GATEWAY_MISSING "GatewayMissing" "A Gateway that the resource names does not exist."
            "create it, or name another in spec.expose.gateway.parentRefs";
        LISTENER_MISSING "ListenerMissing" "A Gateway has no listener of the name that the resource gives."
            "add the listener, or correct sectionName in spec.expose.gateway.parentRefs";
        HOST_UNMATCHED "HostUnmatched" "No listener of a Gateway is for the host."
            "add a listener for spec.expose.host, or name another Gateway in spec.expose.gateway.parentRefs";
        ROUTE_REFUSED "RouteRefused" "A Gateway does not take the route; the message has its words."
            "have a listener of it allow routes of this namespace (`allowedRoutes`) and this host, or name another \
                Gateway in spec.expose.gateway.parentRefs";
        ADDRESS_PENDING "AddressPending" "No controller has taken the Ingress or route."
            "see that its class or Gateway exists and that its controller runs; the message says how";
    }
    "Events alone" {
        SCALED "Scaled" "The number of workers changed; the message says from, to and why.";
        DRAIN_STARTED "DrainStarted" "Workers that are too many were asked to take no more mails; the message names \
            them. They go when they are idle.";
        DRAIN_CANCELLED "DrainCancelled" "Workers that should have left are wanted again, and take mails again.";
        DRAIN_TIMED_OUT "DrainTimedOut" "Workers that should leave still send mails after `drain.timeout`, and are \
            stopped with `worker.shutdownGracePeriod` to finish; what is left is sent by others."
            "raise spec.worker.autoscaling.drain.timeout where mails take longer";
        FOREIGN_CHANGE_UNDONE "ForeignChangeUndone" "Somebody else set a field of a child that the resource decides, \
            and it was set back; the message names the field manager, the child and the field.";
        RESTARTING "RestartingPods" "Pods are replaced because of a setting that running processes cannot take; the \
            message names the field.";
        OPERATED_BY_ANOTHER "OperatedByAnother" "Another operator looks after the pipeline, so the one that says this \
            writes nothing of it."
            "let only one of them serve this namespace (watchNamespaces of its chart)";
    }
}

/// Whether every roll-out, edit or new address goes through the reason of that name, which passes by itself unless it
/// lasts.
pub fn is_transient(name: &str) -> bool {
    let exposure = [CERTIFICATE_MISSING, INGRESS_CLASS_MISSING, GATEWAY_MISSING, ADDRESS_PENDING];
    [ROLLING_OUT, SPREADING, PROBE_FAILING, API_ERROR].iter().chain(&exposure).any(|reason| reason.name == name)
}

/// Whether only an edit of the resource ends that trouble. All else is somebody else's to end: who makes a Secret,
/// pushes an image, raises a quota.
pub fn needs_edit(reason: Reason) -> bool {
    let needing = [CONFIG_INVALID, CONFIG_REFUSED, CHILD_REFUSED, IMAGE_NAME_INVALID, NO_PODS_WANTED, PAUSED];
    needing.contains(&reason)
}

/// Whether the reason of that name speaks of an object that the resource names. The next one that is missing may have
/// the same reason.
pub fn is_about_a_name(name: &str) -> bool {
    ALL[0].1.iter().any(|reason| reason.name == name)
}

/// Types of conditions.
pub mod condition {
    /// A type of condition, with what it means.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Kind {
        /// As the status shows it.
        pub name: &'static str,
        /// What it says when it is True, in one sentence.
        pub meaning: &'static str,
        /// The status of a pipeline that works.
        pub good: bool,
    }

    /// Makes a constant of each line, and the table of them all.
    macro_rules! conditions {
        ($($constant:ident $name:literal good $good:literal $meaning:literal;)+) => {
            $(
                #[doc = $meaning]
                pub const $constant: &str = $name;
            )+
            /// All types, in the order in which a status shows them.
            pub const ALL: &[Kind] = &[$(Kind { name: $name, meaning: $meaning, good: $good }),+];
        };
    }

    conditions! {
        READY "Ready" good true "The newest edit is carried out, signups are accepted and mails are sent.";
        RECONCILING "Reconciling" good false "The newest edit is on its way: pods start or are replaced, a \
            configuration spreads, or something is waited for.";
        DEGRADED "Degraded" good false "Something is wrong, though the pipeline may work.";
        STALLED "Stalled" good false "The newest edit will not be carried out: only another edit helps, or \
            `spec.progressDeadline` has passed.";
        DATABASE_REACHABLE "DatabaseReachable" good true "The api pods reach PostgreSQL.";
        REDIS_REACHABLE "RedisReachable" good true "The operator reaches Redis.";
        MAIL_REACHABLE "MailReachable" good true "The last dialogue of the workers found a working mail server.";
        WEBHOOKS_DELIVERED "WebhooksDelivered" good true "The last requests of the workers found that the applications \
            of `spec.webhooks` take what they are told.";
        MIGRATIONS_APPLIED "MigrationsApplied" good true "The database has the schema.";
        CONFIG_APPLIED "ConfigApplied" good true "All pods run the newest configuration.";
        ABLE_TO_SCALE "AbleToScale" good true "The operator sets the number of workers, and nobody else does.";
        SCALING_ACTIVE "ScalingActive" good true "The operator decides the number of workers by the work that is due.";
        SCALING_LIMITED "ScalingLimited" good false "The work asks for more workers than there may be.";
        EXPOSED "Exposed" good true "Clients outside the cluster have an address.";
        PAUSED "Paused" good false "The operator leaves the children as they are.";
    }

    /// Whether True is the good status of that type; an unknown type counts as good.
    pub fn is_good_when_true(name: &str) -> bool {
        ALL.iter().find(|kind| kind.name == name).is_none_or(|kind| kind.good)
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One of the constants above.
    pub reason: Reason,
    /// What is wrong, and after `Fix:` what to do.
    pub message: String,
}

impl Finding {
    /// A finding whose message is `problem`, then `Fix: ` and `fix`, which names things that the table cannot know.
    pub fn new(reason: Reason, problem: impl std::fmt::Display, fix: impl std::fmt::Display) -> Self {
        Self { reason, message: format!("{problem}. Fix: {fix}.") }
    }

    /// A finding with the fix that the table has for its reason.
    pub fn with_default_fix(reason: Reason, problem: impl std::fmt::Display) -> Self {
        Self::new(reason, problem, reason.fix.unwrap_or("none"))
    }

    /// The resource is paused; the same words for all that follows from it.
    pub fn paused() -> Self {
        Self::with_default_fix(PAUSED, "the operator leaves the children as they are")
    }

    /// `other` (namespace/name) uses the same Redis database: the two would take each other's tasks.
    pub fn redis_shared(other: &str) -> Self {
        let effect = "so each takes the other's mails for its own";
        Self::with_default_fix(REDIS_SHARED, format!("pipeline {other} uses the same Redis database, {effect}"))
    }

    /// The older pipeline `other` (namespace/name) has the host and path.
    pub fn host_shared(other: &str, host: &str, path: &str) -> Self {
        Self::with_default_fix(HOST_SHARED, format!("pipeline {other} is older and answers to {host}{path}"))
    }

    /// The message without its fix, and the fix.
    pub fn problem_and_fix(message: &str) -> (&str, Option<&str>) {
        match message.split_once(" Fix: ") {
            Some((problem, fix)) => (problem.trim_end_matches('.'), Some(fix.trim_end_matches('.'))),
            None => (message.trim_end_matches('.'), None),
        }
    }
}
