import Addresses
import Testing

@testable import Settings

@Suite struct NodeSettingsTests {
    @Test func `Nothing given is one node on the usual ports`() throws {
        let settings = try settings()
        #expect(settings.dataDirectory == "/work/data")
        #expect(settings.identity == .init(explicit: nil, fallback: "localhost:4002"))
        #expect(settings.http.bind == HostPort(host: "localhost", port: 4001))
        #expect(settings.raft.advertised == HostPort(host: "localhost", port: 4002))
        #expect(settings.raft.isVoter)
        #expect(settings.raft.stepsDownOnShutdown)
        #expect(settings.raft.logLevel == .warning)
        #expect(settings.raft.timing.heartbeatTimeout == .milliseconds(500))
        #expect(settings.raft.timing.electionTimeout == .milliseconds(500))
        #expect(settings.raft.timing.leaderLease == .milliseconds(500))
        #expect(settings.raft.timing.heartbeatInterval == .milliseconds(50))
        #expect(settings.formation.join.isEmpty)
        #expect(settings.formation.discovery == nil)
        #expect(settings.formation.bootstrapExpectTimeout == .seconds(120))
        #expect(settings.checkpoint.trailingEntries == 10240)
        #expect(settings.database.maxReadConnections == 256)
        #expect(settings.database.extensionPaths == [])
    }

    @Test func `HTTP may listen on a Unix socket`() throws {
        let given = try settings(
            "-http-addr", "unix:/run/a b.sock,mode=600", "-http-adv-addr", "db:4001")
        #expect(given.http.socket?.path == "/run/a b.sock")
        #expect(given.http.socket?.mode == 0o600)
        #expect(given.http.listensAt == "unix:/run/a b.sock")
        #expect(given.http.advertised == HostPort(host: "db", port: 4001))
        let other = try settings("-http-addr", "unix:/s", "-http-adv-addr", "db:4001")
        #expect(other.http.socket?.mode == 0o660)
    }

    @Test(arguments: [
        ["-http-addr", "unix:/s"], ["-http-addr", "unix:", "-http-adv-addr", "a:1"],
        ["-http-addr", "unix:s", "-http-adv-addr", "a:1"],
        ["-http-addr", "unix:/s/", "-http-adv-addr", "a:1"],
        ["-http-addr", "unix:/s,mode=9", "-http-adv-addr", "a:1"],
        ["-http-addr", "unix:/s,mode=060", "-http-adv-addr", "a:1"],
        ["-http-addr", "unix:/s,mode=1777", "-http-adv-addr", "a:1"],
        ["-http-addr", "unix:/\(String(repeating: "s", count: 107))", "-http-adv-addr", "a:1"],
    ])
    func `A socket that can't be is refused, with the flag's name`(arguments: [String]) {
        let invocation = Invocation.parse(arguments + ["data"], workingDirectory: "/work")
        guard case .failure(let said, exitCode: 1) = invocation else {
            Issue.record("\(invocation)")
            return
        }
        #expect(said.hasPrefix("fatal: -http-addr unix:"), "\(said)")
    }

    @Test func `An advertised address follows the bound one`() throws {
        let settings = try settings(
            "-node-id", "2", "-http-addr", "[::1]:5001", "-raft-addr", ":5002", "-raft-adv-addr",
            "db2:5002")
        #expect(settings.http.advertised == HostPort(host: "::1", port: 5001))
        #expect(settings.http.advertised.description == "[::1]:5001")
        #expect(settings.raft.bind == HostPort(host: "", port: 5002))
        #expect(settings.identity == .init(explicit: "2", fallback: "db2:5002"))
    }

    @Test(arguments: [
        (["-http-addr", "a:1", "-raft-addr", "a:1"], "HTTP and Raft addresses must differ"),
        (
            ["-http-addr", "http://a:1"],
            "HTTP options should not include protocol (http:// or https://)"
        ),
        (
            ["-http-adv-addr", "HTTPS://a:1"],
            "HTTP options should not include protocol (http:// or https://)"
        ),
        (
            ["-http-addr", "localhost"],
            "HTTP bind address not valid: -http-addr takes HOST:PORT, an IPv6 address in brackets, and not \"localhost\""
        ),
        (
            ["-http-addr", "localhost:http"],
            "HTTP bind port not valid: -http-addr takes HOST:PORT with a number from 0 to 65535, and not \"localhost:http\""
        ),
        (
            ["-http-adv-addr", "::1:4001"],
            "HTTP advertised HTTP address not valid: -http-adv-addr takes HOST:PORT, an IPv6 address in brackets, and not \"::1:4001\""
        ),
        (
            ["-http-addr", "0.0.0.0:4001"],
            "advertised HTTP address is not routable (0.0.0.0), "
                + "specify it via -http-addr or -http-adv-addr"
        ),
        (
            ["-http-addr", ":4001"],
            "advertised HTTP address is not routable (), "
                + "specify it via -http-addr or -http-adv-addr"
        ),
        (
            ["-raft-addr", "localhost"],
            "raft bind address not valid: -raft-addr takes HOST:PORT, an IPv6 address in brackets, and not \"localhost\""
        ),
        (
            ["-raft-addr", "localhost:x"],
            "raft bind port not valid: -raft-addr takes HOST:PORT with a number from 0 to 65535, and not \"localhost:x\""
        ),
        (
            ["-raft-addr", "localhost:65536"],
            "raft bind port not valid: -raft-addr takes HOST:PORT with a number from 0 to 65535, and not \"localhost:65536\""
        ),
        (
            ["-raft-adv-addr", "localhost"],
            "raft advertised address not valid: -raft-adv-addr takes HOST:PORT, an IPv6 address in brackets, and not \"localhost\""
        ),
        (
            ["-raft-addr", "[::]:4002"],
            "advertised Raft address is not routable (::), "
                + "specify it via -raft-addr or -raft-adv-addr"
        ),
        (
            ["-raft-adv-addr", "a:x"],
            "raft advertised port is not valid: -raft-adv-addr takes HOST:PORT with a number from 0 to 65535, and not \"a:x\""
        ),
        (
            ["-raft-addr", "a:0"],
            "advertised Raft address has port 0, specify it via -raft-addr or -raft-adv-addr"
        ),
        (
            ["-http-adv-addr", "a:1", "-raft-adv-addr", "a:1"],
            "advertised HTTP and Raft addresses must differ"
        ),
        (
            ["-raft-non-voter", "-bootstrap-expect", "3", "-join", "a,b,c"],
            "bootstrapping only applicable to voting nodes"
        ),
        (["-join", "localhost:4002"], "node cannot join with itself unless bootstrapping"),
        (["-join", "http://localhost"], "node cannot join with itself unless bootstrapping"),
        (
            ["-join", "a:1", "-disco-mode", "dns"],
            "disco mode cannot be used when also explicitly joining a cluster"
        ),
        (["-join-attempts", "0"], "-join-attempts must be greater than 0"),
        (["-join-interval", "-1s"], "-join-interval must be greater than 0"),
        (["-bootstrap-expect", "-1"], "-bootstrap-expect must be between 0 and 64"),
        (
            ["-bootstrap-expect", "3"],
            "-bootstrap-expect needs -join or -disco-mode: without one a node can't find the "
                + "others it waits for (leave it out to start a single node)"
        ),
        (
            ["-bootstrap-expect", "3", "-join", "10.0.0.1,10.0.0.2,10.0.0.1:4002"],
            "-join names 2 of the 3 nodes that -bootstrap-expect waits for: "
                + "list them all, this one included"
        ),
        (
            ["-raft-log-level", "LOUD"],
            "-raft-log-level must be one of OFF, ERROR, WARN, INFO, DEBUG, TRACE"
        ),
        (["-raft-heartbeat-timeout", "1ms"], "HeartbeatTimeout is too low"),
        (["-raft-election-timeout", "-1s"], "ElectionTimeout is too low"),
        (["-raft-commit-timeout", "1us"], "CommitTimeout is too low"),
        (["-raft-leader-lease-timeout", "1ms"], "LeaderLeaseTimeout is too low"),
        (["-raft-snap-int", "1ms"], "SnapshotInterval is too low"),
        (["-auto-vacuum-int", "1ms"], "-auto-vacuum-int must be 0 or at least 1s"),
        (["-auto-optimize-int", "-1h"], "-auto-optimize-int must be 0 or at least 1s"),
        (
            ["-raft-heartbeat-timeout", "200ms", "-raft-leader-lease-timeout", "0.5s"],
            "LeaderLeaseTimeout (0.5s) cannot be larger than heartbeat timeout (200ms)"
        ),
        (
            ["-raft-heartbeat-timeout", "2s", "-raft-election-timeout", "1s"],
            "ElectionTimeout (1s) must be equal or greater than Heartbeat Timeout (2s)"
        ),
        (["-raft-apply-timeout", "0"], "-raft-apply-timeout must be greater than 0"),
        (
            ["-extensions-path", "a,,b"],
            "extension path does not exist: -extensions-path names an empty one"
        ),
        (["-db-max-ro-conns", "-1"], "-db-max-ro-conns must be between 0 and 4096"),
        (["-disco-mode", "dns", "-disco-key", ""], "-disco-key must not be empty"),
    ])
    func `A conflict or bad value is one line`(arguments: [String], text: String) {
        let invocation = Invocation.parse(arguments + ["data"], workingDirectory: "/work")
        #expect(invocation == .failure("fatal: " + text, exitCode: 1))
    }

    @Test func `A host whose name begins with http is a host`() {
        #expect(refusal("-http-addr", "httpd1:4001") == nil)
    }

    @Test func `A host is told to others if it is no longer than names are`() {
        let host = String(repeating: "x", count: 255)
        for (flag, which) in [("-raft-adv-addr", "Raft"), ("-http-adv-addr", "HTTP")] {
            #expect(refusal("-node-id", "1", flag, "\(host):1") == nil)
            let text = "advertised \(which) address has a host of more than 255 bytes"
            #expect(refusal(flag, "\(host)x:1")?.hasPrefix(text) == true)
        }
    }

    @Test func `An ID that is too long for a registry's key is refused`() {
        let id = String(repeating: "x", count: 256)
        #expect(refusal("-node-id", id) == "-node-id must not be longer than 255 bytes")
    }

    @Test func `Raft timeouts keep their meaning when given`() throws {
        let slow = try settings("-raft-heartbeat-timeout=2s").raft.timing
        #expect(slow.heartbeatTimeout == .seconds(2))
        #expect(slow.electionTimeout == .seconds(2))
        #expect(slow.leaderLease == .milliseconds(500))
        #expect(slow.heartbeatInterval == .milliseconds(50))
        let quick = try settings("-raft-heartbeat-timeout=100ms").raft.timing
        #expect(quick.leaderLease == .milliseconds(100))
        #expect(quick.heartbeatInterval == .milliseconds(20))
        let relaxed = try settings("-raft-commit-timeout=5s", "-raft-heartbeat-timeout=0").raft
        #expect(relaxed.timing.heartbeatTimeout == .milliseconds(500))
        #expect(relaxed.timing.heartbeatInterval == .milliseconds(100))
    }

    @Test func `Upkeep is off unless an interval is given`() throws {
        #expect(try settings().upkeep == NodeSettings.Upkeep(vacuum: nil, optimize: nil))
        #expect(try settings("-auto-vacuum-int=0s").upkeep.vacuum == nil)
        #expect(try settings("-auto-vacuum-int=36h").upkeep.vacuum == .seconds(36 * 3600))
        #expect(try settings("-auto-optimize-int=1s").upkeep.optimize == .seconds(1))
    }

    @Test func `Checkpoint flags of zero mean what rqlite's users know`() throws {
        let off = try settings("-raft-snap-int=0", "-raft-snap=0").checkpoint
        #expect(off.walBytes == 0)
        #expect(off.interval == .seconds(120))
        #expect(off.entries == 8192)
        let small = try settings("-raft-snap=100", "-raft-snap-wal-size=0x1000").checkpoint
        #expect(small.trailingEntries == 125)
        #expect(small.walBytes == 4096)
    }
}

@Suite struct FormationSettingsTests {
    @Test(arguments: [
        ("http://H1:4001", "H1", 4001), ("http://h1", "h1", 4001), ("h1", "h1", 4002),
        ("h1:4005", "h1", 4005), ("[::1]", "::1", 4002), ("http://[::1]", "::1", 4001),
        ("[::1]:9", "::1", 9), ("HTTP://h", "h", 4001),
    ])
    func `An entry of -join names either port`(text: String, host: String, port: UInt16) throws {
        #expect(try JoinEntry(parsing: text).address == HostPort(host: host, port: port))
    }

    @Test(arguments: [
        ("", " is an invalid join address"),
        (":4002", ":4002 is an invalid join address"),
        ("h:0", "h:0 is an invalid join address"),
        ("h:x", "h:x is an invalid join address"),
        ("::1", "::1 is an invalid join address"),
        ("h 1", "h 1 is an invalid join address"),
        ("http://h/", "http://h/ is an invalid join address: a path or query has no meaning here"),
        ("h?x", "h?x is an invalid join address: a path or query has no meaning here"),
        ("ftp://h", "ftp://h is an invalid join address: ftp:// is neither http:// nor https://"),
        (
            "https://h/",
            "https://h/ is an invalid join address: a path or query has no meaning here"
        ),
        (
            "http://bob:secret@h:4001",
            "http://…@h:4001 is an invalid join address: "
                + "name the user with -join-as, not in the address"
        ),
    ])
    func `A bad entry is named, without its password`(text: String, refusal: String) {
        #expect(throws: JoinEntry.Failure(text: refusal)) { try JoinEntry(parsing: text) }
    }

    @Test func `Identical command lines list the node itself`() throws {
        let formation = try settings(
            "-bootstrap-expect", "3", "-join", "http://localhost:4001,localhost:4004,b"
        ).formation
        #expect(formation.bootstrapExpect == 3)
        #expect(
            formation.join.map(\.description) == ["localhost:4001", "localhost:4004", "b:4002"])
    }

    @Test func `A mode is free in form and its configuration is not looked at`() throws {
        let formation = try settings(
            "-disco-mode=my-thing", "-disco-config= {\"port\":$PORT}", "-disco-plugin-path=/a::b",
            "-bootstrap-expect=3"
        ).formation
        let discovery = try #require(formation.discovery)
        #expect(discovery.mode == "my-thing")
        #expect(discovery.key == "rqlite")
        #expect(discovery.config == .text(" {\"port\":$PORT}"))
        #expect(discovery.pluginDirectories == ["/a", "b"])
    }

    @Test(arguments: [
        (#"{"address":"10.0.0.1:8500","datacenter":"dc1"}"#, true),
        (#"{"address":"https://root:hunter2@10.0.0.1:8500"}"#, false),
        (#"{"dsn":"postgres://db/x"}"#, false), (#"{"API-Key":"x"}"#, false),
        (#"{"credentials":"x"}"#, false), (#"{"passphrase":"x"}"#, false),
        (#"{"Authorization":"x"}"#, false), (#"{"pa\u0073sword":"x"}"#, false),
        (#"{"token":"x"}"#, false), (#"{"basic_auth":"x"}"#, false),
        (#"{"bearer":"x"}"#, false), (#"{"jwt":"x"}"#, false), (#"{"SAS":"x"}"#, false),
        (#"{"signature":"x"}"#, false), (#"{"cookie":"x"}"#, false), (#"{"session":"x"}"#, false),
        (#"{"certificate":"x"}"#, false), (#"{"private":"x"}"#, false),
    ])
    func `The command that heals a registry shows no configuration that may hold a secret`(
        text: String, isShown: Bool
    ) throws {
        let settings = try settings("-disco-mode=my-thing", "-disco-config", text)
        let command = try #require(settings.formation.discovery).commandLine
        #expect(
            command == "-disco-mode my-thing -disco-key rqlite -disco-config "
                + (isShown ? "'\(text)'" : "THIS-NODES-CONFIGURATION"))
    }

    @Test
    func `The command that heals a registry lets its plugin find the variables that it has here`()
        throws
    {
        let settings = try settings(
            "-disco-mode=my-thing", "-disco-isolation=process", "-disco-env=AWS_*,,HOME_ID",
            "-disco-plugin-path=/a:/b")
        let command = try #require(settings.formation.discovery).commandLine
        #expect(
            command == "-disco-mode my-thing -disco-key rqlite -disco-plugin-path /a:/b "
                + "-disco-isolation process -disco-env 'AWS_*,HOME_ID'")
    }

    @Test func `Only a resolver needs to be told how many voters to wait for`() throws {
        let voter = try settings("-disco-mode=dns")
        #expect(
            voter.problem(withDiscoveryRole: .resolver)
                == "fatal: bootstrap-expect value required when using dns with a voting node")
        #expect(voter.problem(withDiscoveryRole: .registry) == nil)
        let replica = try settings("-disco-mode=dns", "-raft-non-voter")
        #expect(replica.problem(withDiscoveryRole: .resolver) == nil)
        let three = try settings("-disco-mode=dns", "-bootstrap-expect=3")
        #expect(three.problem(withDiscoveryRole: .resolver) == nil)
    }

    @Test func `A configuration's text goes out as it came`() throws {
        #expect(DiscoveryConfig("") == .absent)
        #expect(DiscoveryConfig("  \n") == .absent)
        #expect(try DiscoveryConfig(" {x").bytes() == Array(" {x".utf8))
        #expect(try DiscoveryConfig.absent.bytes().isEmpty)
    }

    @Test(arguments: [
        ("/nonexistent/x", "No such file or directory"), ("/tmp", "not a regular file"),
        ("/dev/zero", "not a regular file"), ("[1]", "No such file or directory"),
    ])
    func `A configuration that is neither JSON nor a readable file names the path`(
        path: String, cause: String
    ) {
        let expected = DiscoveryConfig.Failure(
            description: "-disco-config is neither JSON (it does not begin with {) nor a "
                + "readable file: \(path): \(cause)")
        #expect(throws: expected) { try DiscoveryConfig(path).bytes() }
    }

    @Test func `A configuration too large for a plugin is refused`() {
        let text = "{" + String(repeating: " ", count: Limits.maxDiscoveryConfigBytes)
        #expect(throws: DiscoveryConfig.Failure.self) { try DiscoveryConfig(text).bytes() }
    }

    @Test(arguments: [
        (["-join", ""], "-join was given, but is empty: is a variable not set?"),
        (["-join="], "-join was given, but is empty"),
        (["-disco-mode="], "-disco-mode was given, but is empty"),
        (["-disco-config", "{}"], "-disco-config does nothing without -disco-mode"),
        (["-disco-isolation=process"], "-disco-isolation does nothing without -disco-mode"),
        (["-disco-isolation", "none"], "-disco-isolation does nothing without -disco-mode"),
        (["-http-addr", "$NOPE:4001"], "-http-addr $NOPE:4001 holds a variable"),
        (["-http-adv-addr", "${NOPE}:4001"], "-http-adv-addr ${NOPE}:4001 holds a variable"),
        (["-raft-addr=$(hostname):1"], "-raft-addr $(hostname):1 holds a variable"),
        (["-raft-adv-addr=a$B:1"], "-raft-adv-addr a$B:1 holds a variable"),
        (["-join", "a:1,$NOPE"], "-join a:1,$NOPE holds a variable"),
        (["-http-addr="], "-http-addr was given, but is empty"),
        (["-raft-addr", ""], "-raft-addr was given, but is empty"),
    ])
    func `What a variable that was not set leaves founds no cluster`(
        arguments: [String], text: String
    ) {
        let invocation = Invocation.parse(arguments + ["data"], workingDirectory: "/work")
        guard case .failure(let said, exitCode: 1) = invocation else {
            Issue.record("\(invocation)")
            return
        }
        #expect(said.hasPrefix("fatal: " + text), "\(said)")
    }

    @Test func `An empty value that changes nothing is no reason to refuse`() {
        #expect(refusal("-disco-config=", "-http-adv-addr=", "-node-id=", "-raft-adv-addr=") == nil)
    }
}
