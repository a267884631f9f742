/// A text that must not stand in code, where, and what stands there instead.
struct Ban: Sendable, CustomStringConvertible {
    let pattern: String
    /// Paths it holds for, by prefix.
    let scope: [String]
    /// A part of the scope that it does not hold for.
    var outside: String?
    let instead: String

    var description: String { pattern }

    func holds(for path: String) -> Bool {
        if let outside, path.hasPrefix(outside) { return false }
        return scope.contains { path.hasPrefix($0) }
    }

    /// Lines, from 1, that hold the pattern; where it begins with a letter, as a word of its own:
    /// `exit(` is not in `atexit(`.
    func lines(in code: [UInt8]) -> [Int] {
        SwiftSource.matches(of: pattern, in: code).filter {
            !(isWord && $0.offset > 0 && Self.continuesWord(code[$0.offset - 1]))
        }.map(\.line)
    }

    private var isWord: Bool { pattern.first?.isLetter == true }

    private static func continuesWord(_ byte: UInt8) -> Bool {
        let scalar = UnicodeScalar(byte)
        return scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_"
            || scalar == "."
    }
}

enum TidyRules {
    /// Folders of the deterministic modules.
    private static let pure = [
        "Sources/Host/Base/Time/", "Sources/Host/Base/Wire/", "Sources/Host/Base/JSON/",
        "Sources/Host/Base/Chance/", "Sources/Host/Base/Addresses/", "Sources/Host/Base/Rights/",
        "Sources/Host/Base/Notation/",
        "Sources/Host/Consensus/Raft/", "Sources/Host/Consensus/Replication/",
        "Sources/Host/Peers/PeerProtocol/", "Sources/Host/Formation/Cluster/",
        "Sources/Host/Formation/Registry/", "Sources/Host/Node/NodeLogic/",
        "Sources/Simulation/Simulator/",
    ]
    static let deterministic = pure.map { String($0.split(separator: "/").last ?? "") }

    /// Modules a deterministic module may import.
    static let allowedImports: [String: Set<String>] = [
        "Wire": ["Notation"],
        "JSON": ["Notation"],
        "Time": [],
        "Chance": [],
        "Addresses": [],
        "Notation": [],
        "Rights": ["Wire", "Synchronization"],
        "Raft": ["Chance", "Wire"],
        "PeerProtocol": ["Wire", "Rights", "Raft"],
        "Cluster": ["Chance", "Raft", "Wire"],
        "Registry": ["Chance", "JSON", "Notation", "Wire", "Raft", "Cluster"],
        "Replication": ["Raft", "Wire"],
        "NodeLogic": [
            "Addresses", "Wire", "Time", "Chance", "Raft", "PeerProtocol", "Service", "Cluster",
            "Registry",
            "Replication", "WriteAheadLog",
        ],
        "Simulator": [
            "Wire", "Time", "Chance", "Raft", "PeerProtocol", "Service", "Cluster", "Registry",
            "Replication", "WriteAheadLog", "NodeLogic",
        ],
    ]

    /// The one home of threads, of their locks and of the clock that never goes back.
    private static let threads = "Sources/Host/Base/Threads/"

    private static let shipped = ["Sources/Host/", "Sources/PluginABI/", "Plugins/"]

    static let bans: [Ban] =
        [
            Ban(
                pattern: "try!", scope: ["Sources/", "Plugins/", "Tests/"],
                instead: "throw, or handle it"),
            Ban(
                pattern: "as!", scope: ["Sources/", "Plugins/", "Tests/"],
                instead: "as?, and say what else it may be"),
            Ban(
                pattern: "fatalError(", scope: ["Sources/", "Plugins/"],
                instead: "precondition with the numbers, or a typed error"),
            Ban(
                pattern: "print(", scope: ["Sources/Host/", "Plugins/"],
                instead: "a Logger, or a write by main"),
            Ban(
                pattern: "exit(", scope: shipped, outside: "Sources/Host/Daemon/rqlited/",
                instead: "an error that main turns into an exit code"),
            Ban(
                pattern: "open(",
                scope: ["Sources/Host/Database/SQLite/", "Sources/Host/Database/StateMachine/"],
                instead: "SQLITE_FCNTL_FILE_POINTER: close() drops the locks on the database"),
            Ban(
                pattern: "_read {", scope: ["Sources/", "Plugins/", "Tests/"],
                instead: "get, or an object that is read where it lies (decision 276)"),
            // A copy of the field reads 256 bytes where an entry has its name and no more.
            Ban(
                pattern: "of: entry.pointee.d_name", scope: ["Sources/", "Plugins/", "Tests/"],
                instead: "&entry.pointee.d_name, where it lies"),
            Ban(
                pattern: "@_cdecl", scope: ["Sources/", "Plugins/", "Tests/"], instead: "@c"),
            Ban(
                pattern: "DispatchQueue", scope: ["Sources/", "Plugins/", "Tests/"],
                instead: "a named thread, or structured concurrency"),
            Ban(
                pattern: "CLOCK_MONOTONIC", scope: ["Sources/", "Tests/"], outside: threads,
                instead: "MonotonicTime.now"),
            // The last constant of SplitMix64: whoever writes it writes that generator again.
            Ban(
                pattern: "0x94D0_49BB_1331_11EB", scope: ["Sources/", "Plugins/", "Tests/"],
                outside: "Sources/Host/Base/Chance/", instead: "SplitMix64 of the module Chance"),
        ]
        + ["pthread_create(", "pthread_mutex_init(", "pthread_cond_init("].map {
            Ban(
                pattern: $0, scope: ["Sources/", "Plugins/", "Tests/"], outside: threads,
                instead: "NamedThread, Mailbox, Monitor or WaitingLock of the module Threads")
        }
        + ["Task {", "Task.detached", "Task(priority"].map {
            Ban(
                pattern: $0, scope: ["Sources/", "Plugins/", "Tests/"],
                instead: "a task group, or a named thread")
        }
        + ["sleep(", "usleep(", "nanosleep(", "Task.sleep(", "Thread.sleep("].map {
            Ban(pattern: $0, scope: ["Tests/"], instead: "a wait for the event, with a deadline")
        }
        + [".random(", ".randomElement(", ".shuffled(", "SystemRandomNumberGenerator"].map {
            Ban(pattern: $0, scope: ["Sources/", "Plugins/"], instead: "a seeded source")
        }
        + [
            "Date()", "ContinuousClock", "SuspendingClock", "clock_gettime(", "async ", "await ",
            "Logger(", "Hasher(",
        ].map {
            Ban(
                pattern: $0, scope: pure,
                instead: "an input: deterministic modules know no clock, task, log or chance")
        }

    /// Words a type's name must not end in: they say nothing.
    static let emptyNames = ["Utils", "Util", "Helper", "Helpers", "Manager", "Common"]

    /// Names that two types have, and why that may be.
    static let sharedNames: [String: String] = [
        "Invocation": "Each program has a command line of its own.",
        "PendingCall": harness, "Outcome": harness, "LogLine": harness, "IsolatedSession": harness,
        "CallResults": harness,
    ]
    private static let harness = "The harness judges plugins with code of its own (decision 16)."

    /// Of 100 declarations of a module that others can see, so many say what they mean.
    static let leastDocumented = 80
    /// Dictionaries and sets that a deterministic module goes over in their own order, and why that
    /// can't matter.
    static let anyOrder: [String: String] = [
        "Sources/Host/Node/NodeLogic/RequestRouter.swift: openProposals":
            "What is gathered is sorted, or only the earliest counts.",
        "Sources/Host/Node/NodeLogic/RequestRouter.swift: openReads": "Only the earliest counts.",
        "Sources/Host/Node/NodeLogic/RequestRouter.swift: forwarded": "Only the earliest counts.",
        "Sources/Host/Node/NodeLogic/Enquiries.swift: asking": "It is put into another dictionary.",
    ]

    static let maxFunctionLines = 70
    static let maxFileLines = 500
}

/// Where a rule would make the code worse, and why. One that is no longer needed fails the test.
struct TidyException: Sendable, Hashable {
    enum Rule: Hashable, Sendable {
        case ban(String)
        case functionLength
        case fileLength
        case allowedImport(String)
    }

    let path: String
    let rule: Rule
    let reason: String

    static let all: [TidyException] = [
        TidyException(
            path: "Sources/Simulation/Simulator/ModelState.swift",
            rule: .ban("0x94D0_49BB_1331_11EB"), reason: "It mixes a digest, and draws nothing."),
        TidyException(
            path: "Sources/Host/Peers/Transport/TransportLimits.swift", rule: .ban(".random("),
            reason: "Jitter between nodes that lost each other at once must differ between them."),
        TidyException(
            path: "Sources/Host/Database/StateMachine/ApplyMarker.swift", rule: .ban("open("),
            reason: "Its file is no database, and SQLite never opens it."),
        TidyException(
            path: "Sources/Host/Database/StateMachine/DatabaseDirectory.swift", rule: .ban("open("),
            reason: "It syncs directories."),
        TidyException(
            path: "Sources/Host/Database/StateMachine/Extensions/ExtensionFolder.swift",
            rule: .ban("open("), reason: "Its files are shared objects, which SQLite never opens."),
        TidyException(
            path: "Sources/Host/Database/StateMachine/Load/LoadFile.swift", rule: .ban("open("),
            reason: "It reads and writes files that no connection has open."),
        TidyException(
            path: "Sources/Host/Database/StateMachine/Backup/KeptCopies.swift",
            rule: .ban("open("),
            reason: "Its file is a copy with one connection, which changes nothing any more."),
        TidyException(
            path: "Sources/Host/Database/StateMachine/DatabaseDirectory+Generations.swift",
            rule: .ban("open("), reason: "It looks at files that no connection has open yet."),
        TidyException(
            path: "Sources/Host/Node/Replica/Node+Start.swift", rule: .ban(".random("),
            reason: "What the machine's chance begins with."),
        TidyException(
            path: "Sources/Host/Node/Replica/DataDirectoryStart.swift", rule: .ban(".random("),
            reason: "The incarnation of a new data directory."),
        TidyException(
            path: "Sources/Host/Node/Replica/DataDirectoryStart.swift", rule: .ban(".random("),
            reason: "The incarnation of a new data directory."),
        TidyException(
            path: "Sources/Host/Daemon/rqlited/LoadDesk.swift", rule: .ban(".random("),
            reason: "The name of a load, which no other node and no other run may draw."),
        TidyException(
            path: "Sources/Host/Daemon/rqlited/DiscoveryLoop.swift", rule: .ban(".random("),
            reason: "Jitter between nodes that ask the same server."),
        TidyException(
            path: "Tests/EndToEndTests/Support/Eventually.swift", rule: .ban("Task.sleep("),
            reason: "The one place that polls real processes, with a deadline."),
        TidyException(
            path: "Tests/EndToEndTests/Support/Pace.swift", rule: .ban("nanosleep("),
            reason: "A rate is made of pauses; nothing waits for their end."),
    ]
}
