/// Every flag rqlite's users know, and the few of our own.
extension Flag {
    static let all: [Flag] = node + cluster + raft + storage + tls + queue + outward + profiling

    private static let node: [Flag] = [
        boolean("version", .node, "Show the version and exit"),
        string("node-id", .node, "Unique ID of the node. Empty: the advertised Raft address"),
        string(
            "http-addr", .node, "Address the HTTP API listens on, or unix:/PATH", "localhost:4001"),
        string("http-adv-addr", .node, "HTTP address told to others. Empty: -http-addr"),
        string("http-allow-origin", .node, "Value of the Access-Control-Allow-Origin header"),
        string("raft-addr", .node, "Address other nodes connect to", "localhost:4002"),
        string("raft-adv-addr", .node, "Raft address told to other nodes. Empty: -raft-addr"),
        string("auth", .node, "File of users and permissions; see rqlited auth check"),
        string(
            "auth-open", .node,
            "Comma-separated: ready, metrics. What needs no permission in spite of -auth"),
        string(
            "extensions-path", .node,
            "Comma-separated folders, archives (zip, tar.gz) and files with SQLite extensions"),
    ]

    private static let cluster: [Flag] = [
        string(
            "join", .cluster,
            "Comma-separated nodes to join through: [http[s]://]host[:port], either port of a node"),
        integer("join-attempts", .cluster, "Rounds over the -join list before giving up", "5"),
        duration("join-interval", .cluster, "Pause between rounds", "3s"),
        string("join-as", .cluster, "User to join as, from the -auth file"),
        integer("bootstrap-expect", .cluster, "Number of voters that form a new cluster", "0"),
        duration(
            "bootstrap-expect-timeout", .cluster,
            "A node that belongs to no cluster gives up after so long", "2m0s"),
        boolean(
            "bootstrap-anew", .cluster,
            "Found a cluster where the registry names one whose nodes all answer without data"),
        string(
            "disco-mode", .cluster,
            "Discovery mode: dns, or any that a plugin offers; several resolvers: dns,file"),
        string("disco-key", .cluster, "Separates clusters in one registry", "rqlite"),
        string(
            "disco-config", .cluster,
            "Discovery configuration: JSON text, or path of a file; of several modes by their names"
        ),
        string(
            "disco-isolation", .cluster,
            "Where plugins run: none (in the daemon), process (in one of their own), or auto: the stock "
                + "ones in the daemon", "auto"),
        string(
            "disco-env", .cluster,
            "Comma-separated variables for plugins in a process of their own: NAME, or BEGINNING*"),
        string("disco-plugin-path", .cluster, "Colon-separated folders searched first for plugins"),
        duration(
            "cluster-connect-timeout", .cluster, "Timeout of connecting to another node", "30s"),
        boolean("raft-non-voter", .cluster, "Join as a read replica, without a vote"),
    ]

    private static let raft: [Flag] = [
        duration(
            "raft-heartbeat-timeout", .raft,
            "A follower that heard no leader for so long starts an election", "500ms"),
        duration(
            "raft-election-timeout", .raft,
            "A candidate starts again after so long. 0: -raft-heartbeat-timeout", "0s"),
        duration(
            "raft-leader-lease-timeout", .raft,
            "A leader that reached no quorum for so long steps down. 0: at most 500ms", "0s"),
        duration(
            "raft-commit-timeout", .raft,
            "Longest time until a leader tells followers what is committed", "50ms"),
        duration(
            "raft-apply-timeout", .raft, "Limit for a write to get into the Raft queue", "10s"),
        string("raft-log-level", .raft, "ERROR, WARN, INFO, DEBUG, TRACE or OFF", "WARN"),
        boolean("raft-shutdown-stepdown", .raft, "Hand leadership over before stopping", "true"),
        boolean(
            "raft-remove-shutdown", .raft, "Stop Raft when this node is removed from its cluster"),
        boolean(
            "raft-cluster-remove-shutdown", .raft,
            "Remove this node from its cluster on a graceful stop"),
        duration(
            "raft-reap-node-timeout", .raft,
            "A leader removes a voter that was silent for so long. 0: never", "0s"),
        duration(
            "raft-reap-read-only-node-timeout", .raft,
            "A leader removes a read replica that was silent for so long. 0: never", "0s"),
    ]

    private static let storage: [Flag] = [
        boolean("fk", .storage, "Enforce foreign keys; decided when a cluster is formed"),
        integer(
            "db-max-ro-conns", .storage, "Limit of read-only connections; 0 for none", "256"),
        unsigned(
            "raft-snap", .storage, "Log entries that trigger a checkpoint; 0 for the default",
            "8192"),
        unsigned(
            "raft-snap-wal-size", .storage, "Bytes of SQLite's WAL that trigger one; 0 for never",
            "4194304"),
        boolean(
            "checksums", .storage,
            "While this node leads, nodes compare checksums of what they hold",
            "true"),
        duration("checksums-interval", .storage, "Shortest time between two comparisons", "10s"),
        duration(
            "scrub-interval", .storage,
            "Time between two passes that read all of the database to find rot. 0: never", "24h"),
        boolean(
            "reseed", .storage,
            "A node that differs from a majority replaces its database by itself, once in an hour",
            "true"),
        duration("raft-snap-int", .storage, "Shortest time between checkpoints by entries", "10s"),
        boolean(
            "compress-snap-transport", .storage,
            "Pack snapshots that this node sends to others"),
        duration(
            "auto-vacuum-int", .storage,
            "While this node leads, time between two runs of VACUUM on all nodes. 0: never", "0s"),
        duration(
            "auto-optimize-int", .storage, "The same for PRAGMA optimize, which is ANALYZE here",
            "0s"),
    ]

    private static let tls: [Flag] = [
        string("http-cert", .tls, "Certificate of the HTTP API, PEM; then it is HTTPS alone"),
        string("http-key", .tls, "Its key"),
        string(
            "http-ca-cert", .tls, "CA that clients' certificates must have. Empty: the system's"),
        boolean("http-verify-client", .tls, "Require client certificates"),
        string(
            "http-verify-common-name", .tls, "Common Name that clients' certificates must have"),
        string("node-cert", .tls, "Certificate between nodes, PEM; then they encrypt"),
        string("node-key", .tls, "Its key"),
        string("node-ca-cert", .tls, "CA that nodes' certificates must have. Empty: the system's"),
        boolean("node-no-verify", .tls, "Don't check other nodes' certificates"),
        boolean("node-verify-client", .tls, "Require a certificate from nodes that connect"),
        string(
            "node-verify-server-name", .tls,
            "Name expected in a dialled node's certificate. Empty: the one dialled"),
        string(
            "node-verify-common-name", .tls,
            "Common Name that certificates of nodes that connect must have"),
        boolean(
            "node-verify-id", .tls,
            "Require that nodes' certificates name their -node-id, as URI:rqlited:node:ID"),
        string(
            "node-tls", .tls,
            "require; or prefer, while a cluster is changed over: nodes in the clear are taken too",
            "require"),
        string(
            "cluster-secret-file", .tls,
            "File of a secret that all nodes know, in place of certificates; see rqlited secret"),
    ]

    private static let queue: [Flag] = [
        integer("write-queue-capacity", .queue, "Queued writes that may wait", "1024"),
        integer("write-queue-batch-size", .queue, "Queued writes in a batch", "128"),
        duration(
            "write-queue-timeout", .queue, "A batch is sent after so long. 0: when it is full",
            "50ms"),
        boolean(
            "write-queue-tx", .queue, "Each batch is a transaction"),
    ]

    private static let outward: [Flag] = [
        string(
            "auto-backup", .outward, "File that says where the leader puts backups, and how often"),
        string(
            "auto-restore", .outward, "File that says what a node without data is restored from"),
        string("cdc-config", .outward, "Change data capture", .laterUnlessOff),
        string("otlp-endpoint", .outward, "Collector of metrics", .laterUnlessOff),
        duration("otlp-interval", .outward, "Period between exports", "30s", .later),
        boolean(
            "otlp-insecure", .outward, "Export without TLS", availability: .laterUnlessOff),
        boolean(
            "otlp-no-verify", .outward, "Don't check the collector's certificate",
            availability: .laterUnlessOff),
        string("otlp-ca-cert", .outward, "CA of the collector", .laterUnlessOff),
        string("otlp-cert", .outward, "Certificate shown to the collector", .laterUnlessOff),
        string("otlp-key", .outward, "Its key", .laterUnlessOff),
    ]

    private static let profiling: [Flag] = [
        string("cpu-profile", .profiling, "File for a CPU profile", .laterUnlessOff),
        string("mem-profile", .profiling, "File for a memory profile", .laterUnlessOff),
        string("trace-profile", .profiling, "File for a trace", .laterUnlessOff),
    ]

    private static func string(
        _ name: String, _ subject: Subject, _ help: String, _ defaultText: String = ""
    ) -> Flag {
        Flag(
            name: name, kind: .string, defaultText: defaultText, help: help, subject: subject,
            availability: .available)
    }

    private static func string(
        _ name: String, _ subject: Subject, _ help: String, _ availability: Availability
    ) -> Flag {
        Flag(
            name: name, kind: .string, defaultText: "", help: help, subject: subject,
            availability: availability)
    }

    private static func boolean(
        _ name: String, _ subject: Subject, _ help: String, _ defaultText: String = "false",
        availability: Availability = .available
    ) -> Flag {
        Flag(
            name: name, kind: .boolean, defaultText: defaultText, help: help, subject: subject,
            availability: availability)
    }

    private static func integer(
        _ name: String, _ subject: Subject, _ help: String, _ defaultText: String,
        _ availability: Availability = .available
    ) -> Flag {
        Flag(
            name: name, kind: .integer, defaultText: defaultText, help: help, subject: subject,
            availability: availability)
    }

    private static func unsigned(
        _ name: String, _ subject: Subject, _ help: String, _ defaultText: String
    ) -> Flag {
        Flag(
            name: name, kind: .unsigned, defaultText: defaultText, help: help, subject: subject,
            availability: .available)
    }

    private static func duration(
        _ name: String, _ subject: Subject, _ help: String, _ defaultText: String,
        _ availability: Availability = .available
    ) -> Flag {
        Flag(
            name: name, kind: .duration, defaultText: defaultText, help: help, subject: subject,
            availability: availability)
    }
}
