import Addresses

/// From parsed flags to settings. Rules are looked at in rqlite's order, and the first that fails
/// ends it, so that scripts see the text they know; our own rules stand behind theirs.
extension NodeSettings {
    /// A text for the operator, without the prefix `fatal: `.
    struct Invalid: Error, Equatable {
        let text: String

        init(_ text: String) {
            self.text = text
        }
    }

    init(_ flags: FlagParser.Result, workingDirectory: String) throws(Invalid) {
        try Self.refuseUnavailable(flags)
        // rqlite looks at these two before anything else.
        let reapTimeout = try flags.durationIfGiven("raft-reap-node-timeout")
        let reapReadOnlyTimeout = try flags.durationIfGiven("raft-reap-read-only-node-timeout")
        let directory = try Self.dataDirectory(flags, workingDirectory: workingDirectory)
        try Self.refuseVariables(flags)
        let addresses = try NodeAddresses(flags)
        let formation = try Formation(flags, own: addresses)
        let raft = try Raft(
            flags, addresses: addresses, reapTimeout: reapTimeout,
            reapReadOnlyTimeout: reapReadOnlyTimeout)
        self.init(
            dataDirectory: directory,
            identity: try Identity(flags, fallback: addresses.raftAdvertised.description),
            http: HTTP(
                bind: addresses.httpBind, socket: addresses.httpSocket,
                advertised: addresses.httpAdvertised,
                allowOrigin: flags.optionalText("http-allow-origin")),
            raft: raft, access: try Access(flags), https: try HTTPS.optional(flags),
            nodeEncryption: try NodeEncryption.optional(flags), formation: formation,
            checkpoint: try Checkpoint(flags),
            checksums: try Checksums(flags),
            database: try Database(flags, workingDirectory), queue: try Queue(flags),
            safekeeping: try Safekeeping(flags, formation), upkeep: try Upkeep(flags))
    }

    private static func refuseUnavailable(_ flags: FlagParser.Result) throws(Invalid) {
        for flag in Flag.all where flags.isGiven(flag.name) {
            switch flag.availability {
            case .available: break
            case .later: throw Invalid("-\(flag.name) is not available yet")
            case .laterUnlessOff:
                guard asksForNothing(flag, flags) else {
                    throw Invalid("-\(flag.name) is not available yet")
                }
            }
        }
    }

    /// What is left of a variable that nobody replaced would be looked up as a name.
    private static func refuseVariables(_ flags: FlagParser.Result) throws(Invalid) {
        for name in ["http-addr", "http-adv-addr", "raft-addr", "raft-adv-addr", "join"] {
            let text = flags.text(name)
            guard text.contains("$") else { continue }
            throw Invalid(
                "-\(name) \(text) holds a variable, which only a shell or a service manager "
                    + "replaces: write the address, or leave the quotes out")
        }
        for name in ["http-addr", "raft-addr"] where flags.optionalText(name) == nil {
            throw Invalid("-\(name) was given, but is empty: is a variable not set?")
        }
    }

    private static func asksForNothing(_ flag: Flag, _ flags: FlagParser.Result) -> Bool {
        switch flag.kind {
        case .string: flags.optionalText(flag.name) == nil
        case .boolean: !flags.boolean(flag.name)
        case .duration: flags.duration(flag.name) == .zero
        case .integer, .unsigned: false
        }
    }

    private static func dataDirectory(
        _ flags: FlagParser.Result, workingDirectory: String
    ) throws(Invalid) -> String {
        guard let path = flags.positional.first, !path.allSatisfy(\.isWhitespace) else {
            throw Invalid("data directory path is required")
        }
        return absolute(path, in: workingDirectory)
    }

    static func absolute(_ path: String, in workingDirectory: String) -> String {
        if path.hasPrefix("/") { return path }
        return workingDirectory.hasSuffix("/")
            ? workingDirectory + path : "\(workingDirectory)/\(path)"
    }
}

extension NodeSettings.Safekeeping {
    init(
        _ flags: FlagParser.Result, _ formation: NodeSettings.Formation
    ) throws(NodeSettings.Invalid) {
        backup = flags.optionalText("auto-backup")
        restore = flags.optionalText("auto-restore")
        guard restore == nil || formation.join.isEmpty || formation.bootstrapExpect > 0 else {
            throw .init("auto-restoring cannot be used when joining a cluster")
        }
    }
}

extension NodeSettings.Queue {
    init(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        capacity = flags.integer("write-queue-capacity")
        batchSize = flags.integer("write-queue-batch-size")
        timeout = flags.duration("write-queue-timeout")
        isTransaction = flags.boolean("write-queue-tx")
        for (name, value) in [("capacity", capacity), ("batch-size", batchSize)] where value < 1 {
            throw .init("-write-queue-\(name) must be at least 1, and is \(value)")
        }
        guard timeout >= .zero else {
            throw .init("-write-queue-timeout must not be negative, and is \(timeout)")
        }
    }
}

/// The four addresses of a node.
struct NodeAddresses {
    let httpBind: HostPort
    /// In place of the address to which HTTP is bound.
    let httpSocket: SocketPath?
    let httpAdvertised: HostPort
    let raftBind: HostPort
    let raftAdvertised: HostPort

    init(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        var http = flags.text("http-addr")
        if SocketPath.isMeant(by: http) {
            httpSocket = try SocketPath(http, of: "http-addr")
            guard let advertised = flags.optionalText("http-adv-addr") else {
                throw .init(
                    "-http-addr \(http) needs -http-adv-addr: the address at which others reach the "
                        + "HTTP API, by way of a proxy")
            }
            http = advertised
        } else {
            httpSocket = nil
        }
        let httpAdvertised = flags.optionalText("http-adv-addr") ?? http
        let raft = flags.text("raft-addr")
        let raftAdvertised = flags.optionalText("raft-adv-addr") ?? raft
        guard raft != http else { throw .init("HTTP and Raft addresses must differ") }
        for text in [http, httpAdvertised] where Self.hasScheme(text) {
            throw .init("HTTP options should not include protocol (http:// or https://)")
        }
        httpBind = try Self.address(
            http, of: "http-addr", invalid: "HTTP bind address not valid",
            invalidPort: "HTTP bind port not valid")
        self.httpAdvertised = try Self.address(
            httpAdvertised, of: "http-adv-addr", invalid: "HTTP advertised HTTP address not valid",
            invalidPort: "HTTP advertised port is not valid")
        try Self.requireRoutable(
            self.httpAdvertised, "HTTP", "-http-addr or -http-adv-addr")
        raftBind = try Self.address(
            raft, of: "raft-addr", invalid: "raft bind address not valid",
            invalidPort: "raft bind port not valid")
        self.raftAdvertised = try Self.address(
            raftAdvertised, of: "raft-adv-addr", invalid: "raft advertised address not valid",
            invalidPort: "raft advertised port is not valid")
        try Self.requireRoutable(
            self.raftAdvertised, "Raft", "-raft-addr or -raft-adv-addr")
        guard self.httpAdvertised != self.raftAdvertised else {
            throw .init("advertised HTTP and Raft addresses must differ")
        }
    }

    /// A node is meant by each of them.
    var all: [HostPort] { [raftBind, raftAdvertised, httpBind, httpAdvertised] }

    private static func hasScheme(_ text: String) -> Bool {
        let text = text.lowercased()
        return text.hasPrefix("http://") || text.hasPrefix("https://")
    }

    private static func address(
        _ text: String, of flag: String, invalid: String, invalidPort: String
    ) throws(NodeSettings.Invalid) -> HostPort {
        do {
            return try HostPort(parsing: text)
        } catch {
            switch error {
            case .notSplit:
                throw .init(
                    "\(invalid): -\(flag) takes HOST:PORT, an IPv6 address in brackets, "
                        + "and not \"\(text)\"")
            case .port:
                throw .init(
                    "\(invalidPort): -\(flag) takes HOST:PORT with a number from 0 to 65535, "
                        + "and not \"\(text)\"")
            }
        }
    }

    private static func requireRoutable(
        _ address: HostPort, _ which: String, _ flags: String
    ) throws(NodeSettings.Invalid) {
        if address.isUnspecified {
            throw .init(
                "advertised \(which) address is not routable (\(address.host)), "
                    + "specify it via \(flags)")
        }
        guard address.port != 0 else {
            throw .init("advertised \(which) address has port 0, specify it via \(flags)")
        }
        guard address.host.utf8.count <= Limits.maxHostBytes else {
            throw .init(
                "advertised \(which) address has a host of more than \(Limits.maxHostBytes) bytes, "
                    + "specify another via \(flags)")
        }
    }
}

extension NodeSettings.Identity {
    fileprivate init(_ flags: FlagParser.Result, fallback: String) throws(NodeSettings.Invalid) {
        explicit = flags.optionalText("node-id")
        self.fallback = fallback
        guard (explicit ?? fallback).utf8.count <= Limits.maxNodeIDBytes else {
            throw .init("-node-id must not be longer than \(Limits.maxNodeIDBytes) bytes")
        }
    }
}

extension NodeSettings.Raft {
    fileprivate init(
        _ flags: FlagParser.Result, addresses: NodeAddresses, reapTimeout: Duration?,
        reapReadOnlyTimeout: Duration?
    ) throws(NodeSettings.Invalid) {
        self.reapTimeout = reapTimeout
        self.reapReadOnlyTimeout = reapReadOnlyTimeout
        bind = addresses.raftBind
        advertised = addresses.raftAdvertised
        isVoter = !flags.boolean("raft-non-voter")
        timing = try NodeSettings.Timing(flags)
        applyTimeout = try flags.positiveDuration("raft-apply-timeout")
        connectTimeout = try flags.positiveDuration("cluster-connect-timeout")
        stepsDownOnShutdown = flags.boolean("raft-shutdown-stepdown")
        stopsWhenRemoved = flags.boolean("raft-remove-shutdown")
        leavesOnShutdown = flags.boolean("raft-cluster-remove-shutdown")
        let word = flags.text("raft-log-level").uppercased()
        guard let level = NodeSettings.LogLevel(rawValue: word) else {
            throw .init(
                "-raft-log-level must be one of "
                    + "\(NodeSettings.LogLevel.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        logLevel = level
    }
}

extension NodeSettings.Access {
    fileprivate init(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        file = flags.optionalText("auth")
        joinAs = flags.optionalText("join-as")
        open = flags.list("auth-open")
        if let unknown = open.first(where: { !["ready", "metrics"].contains($0) }) {
            throw .init("-auth-open takes ready and metrics, and not \"\(unknown)\"")
        }
        guard joinAs == nil || file != nil else {
            throw .init("-join-as names a user of the -auth file: give -auth too")
        }
    }
}

extension NodeSettings.Timing {
    /// A value of 0 means the default, as rqlite's users know it.
    fileprivate init(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        let heartbeat = flags.duration("raft-heartbeat-timeout")
        heartbeatTimeout = heartbeat == .zero ? .milliseconds(500) : heartbeat
        guard heartbeatTimeout >= Limits.minElectionTimeout else {
            throw .init("HeartbeatTimeout is too low")
        }
        let election = flags.duration("raft-election-timeout")
        electionTimeout = election == .zero ? heartbeatTimeout : election
        guard electionTimeout >= Limits.minElectionTimeout else {
            throw .init("ElectionTimeout is too low")
        }
        let commit = flags.duration("raft-commit-timeout")
        let commitTimeout = commit == .zero ? .milliseconds(50) : commit
        guard commitTimeout >= Limits.minCommitTimeout else {
            throw .init("CommitTimeout is too low")
        }
        let lease = flags.duration("raft-leader-lease-timeout")
        leaderLease =
            lease == .zero ? min(heartbeatTimeout, Limits.maxDefaultLeaderLease) : lease
        guard leaderLease >= Limits.minElectionTimeout else {
            throw .init("LeaderLeaseTimeout is too low")
        }
        // The texts name what was typed; a default can't be the one at fault.
        guard leaderLease <= heartbeatTimeout else {
            throw .init(
                "LeaderLeaseTimeout (\(flags.text("raft-leader-lease-timeout"))) cannot be larger "
                    + "than heartbeat timeout (\(flags.text("raft-heartbeat-timeout")))")
        }
        guard electionTimeout >= heartbeatTimeout else {
            throw .init(
                "ElectionTimeout (\(flags.text("raft-election-timeout"))) must be equal or greater "
                    + "than Heartbeat Timeout (\(flags.text("raft-heartbeat-timeout")))")
        }
        heartbeatInterval = min(
            commitTimeout, Limits.maxHeartbeatInterval,
            heartbeatTimeout / Limits.minHeartbeatsPerElection)
    }
}

extension NodeSettings.Checkpoint {
    fileprivate init(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        let given = flags.unsigned("raft-snap")
        entries = given == 0 ? Limits.defaultCheckpointEntries : given
        trailingEntries = Int(clamping: Int128(entries) * 5 / 4)
        let interval = flags.duration("raft-snap-int")
        // rqlite's meaning of an interval of 0: its library's own, and no look at the WAL.
        self.interval = interval == .zero ? Limits.defaultCheckpointInterval : interval
        walBytes = interval == .zero ? 0 : flags.unsigned("raft-snap-wal-size")
        packsSnapshots = flags.boolean("compress-snap-transport")
        guard self.interval >= Limits.minCheckpointInterval else {
            throw .init("SnapshotInterval is too low")
        }
    }
}

extension NodeSettings.Checksums {
    fileprivate init(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        isOn = flags.boolean("checksums")
        interval = flags.duration("checksums-interval")
        guard interval >= Limits.minChecksumInterval else {
            throw .init("-checksums-interval must be at least 100ms")
        }
        let scrub = flags.duration("scrub-interval")
        guard scrub == .zero || scrub >= Limits.minScrubInterval else {
            throw .init("-scrub-interval must be 0 or at least 1s")
        }
        scrubInterval = scrub == .zero ? nil : scrub
        reseedsItself = flags.boolean("reseed")
    }
}

extension NodeSettings.Upkeep {
    fileprivate init(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        func interval(_ name: String) throws(NodeSettings.Invalid) -> Duration? {
            let given = flags.duration(name)
            guard given == .zero || given >= Limits.minUpkeepInterval else {
                throw .init("-\(name) must be 0 or at least 1s")
            }
            return given == .zero ? nil : given
        }
        vacuum = try interval("auto-vacuum-int")
        optimize = try interval("auto-optimize-int")
    }
}

extension NodeSettings.Database {
    fileprivate init(
        _ flags: FlagParser.Result, _ workingDirectory: String
    ) throws(NodeSettings.Invalid) {
        enforcesForeignKeys = flags.boolean("fk")
        let paths = flags.list("extensions-path")
        guard !paths.contains("") else {
            throw .init("extension path does not exist: -extensions-path names an empty one")
        }
        extensionPaths = paths.map { NodeSettings.absolute($0, in: workingDirectory) }
        let connections = flags.integer("db-max-ro-conns")
        guard (0...Limits.maxReadConnections).contains(connections) else {
            throw .init("-db-max-ro-conns must be between 0 and \(Limits.maxReadConnections)")
        }
        maxReadConnections = connections == 0 ? Limits.maxReadConnections : connections
    }
}

extension FlagParser.Result {
    func positiveDuration(_ name: String) throws(NodeSettings.Invalid) -> Duration {
        let value = duration(name)
        guard value > .zero else { throw .init("-\(name) must be greater than 0") }
        return value
    }

    /// Nil stands for the default, which can't be typed.
    func durationIfGiven(_ name: String) throws(NodeSettings.Invalid) -> Duration? {
        isGiven(name) ? try positiveDuration(name) : nil
    }
}
