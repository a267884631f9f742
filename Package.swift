// swift-tools-version: 6.2
import PackageDescription

// One folder = one target; a target depends only on targets listed above it in this file, so the
// layers of docs/architecture.md are checked by the compiler. A new edge needs a decision record.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    // Decision 119: overlapping accesses are looked for in debug builds, by all tests.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// Of what tests simulate in thousands of histories: optimised in debug builds too.
let simulated = settings + [.unsafeFlags(["-O"], .when(configuration: .debug))]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let nioHTTP: [Target.Dependency] = nio + [.product(name: "NIOHTTP1", package: "swift-nio")]
let nioHTTP2: [Target.Dependency] = [
    .product(name: "NIOHTTP2", package: "swift-nio-http2"),
    .product(name: "NIOHPACK", package: "swift-nio-http2"),
]
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")

/// Of the machines: debug builds can break their rules, for the simulator (decision 125).
let mutable = simulated + [.define("MUTATIONS", .when(configuration: .debug))]

/// The layers of the daemon, one folder each in `Sources/Host`, outside in.
enum Layer: String {
    case daemon = "Daemon"
    case edge = "Edge"
    case node = "Node"
    case peers = "Peers"
    case formation = "Formation"
    case consensus = "Consensus"
    case database = "Database"
    case base = "Base"
}

/// A module of the daemon, in `Sources/Host/<layer>/<name>`.
/// - Parameters:
///   - isSimulated: optimised in debug builds too, so that tests can run thousands of simulated
///     histories of it.
///   - isMutable: simulated, and its rules can be broken in debug builds.
func host(
    _ layer: Layer, _ name: String, _ dependencies: [Target.Dependency] = [],
    isSimulated: Bool = false, isMutable: Bool = false
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/Host/\(layer.rawValue)/\(name)",
        swiftSettings: isMutable ? mutable : isSimulated ? simulated : settings)
}

/// The tests of one module, in `Tests/<name>Tests`.
/// - Parameter isSimulation: optimised in debug builds too, as what it simulates.
func tests(
    _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = [],
    isSimulation: Bool = false
) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests",
        resources: resources,
        swiftSettings: isSimulation ? simulated : settings)
}

/// What only the entry of a plugin is linked with: one exported symbol, and Swift's runtime where a
/// distribution has it, `lib/rqlite/swift` beside `lib/rqlite/plugins`.
let pluginLinking: [LinkerSetting] = [
    .unsafeFlags([
        "-Xlinker", "--version-script=\(Context.packageDirectory)/Plugins/plugin.map",
        "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../swift",
    ])
]

/// A stock plugin in `Plugins/<folder>`: a testable target, and an entry that is linked into the object.
func stockPlugin(
    _ name: String, in folder: String, _ dependencies: [Target.Dependency] = []
) -> [Target] {
    [
        .target(
            name: "\(name)Plugin",
            dependencies: dependencies + ["PluginSupport", "PluginABI", "JSON"],
            path: "Plugins/\(folder)/\(name)Plugin", swiftSettings: settings),
        .target(
            name: "\(name)Entry", dependencies: [.target(name: "\(name)Plugin"), "PluginABI"],
            path: "Plugins/\(folder)/Entry", swiftSettings: settings,
            linkerSettings: pluginLinking),
    ]
}

let package = Package(
    name: "rqlited",
    products: [
        .executable(name: "rqlited", targets: ["rqlited"]),
        .executable(name: "disco-harness", targets: ["disco-harness"]),
        .library(name: "rqlite-disco-dns", type: .dynamic, targets: ["DNSEntry"]),
        .library(name: "rqlite-disco-dns-srv", type: .dynamic, targets: ["DNSSRVEntry"]),
        .library(name: "rqlite-disco-file", type: .dynamic, targets: ["FileEntry"]),
        .library(name: "rqlite-disco-exec", type: .dynamic, targets: ["ExecEntry"]),
        .library(name: "rqlite-disco-http", type: .dynamic, targets: ["HTTPEntry"]),
        .library(name: "rqlite-disco-kubernetes", type: .dynamic, targets: ["KubernetesEntry"]),
        .library(name: "rqlite-disco-nomad", type: .dynamic, targets: ["NomadEntry"]),
        .library(name: "rqlite-disco-mdns", type: .dynamic, targets: ["MDNSEntry"]),
        .library(name: "rqlite-disco-consul-kv", type: .dynamic, targets: ["ConsulEntry"]),
        .library(name: "rqlite-disco-etcd-kv", type: .dynamic, targets: ["EtcdEntry"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
    ],
    targets: [
        // The contract with plugins: depends on nothing.
        .target(name: "PluginABI", path: "Sources/PluginABI"),

        // The daemon, bottom up.
        host(.base, "Notation", isSimulated: true),
        host(.base, "JSON", ["Notation"]),
        host(.base, "Wire", ["Notation"], isSimulated: true),
        host(.base, "Rights", ["Wire"], isSimulated: true),
        host(.base, "Chance", isSimulated: true),
        host(.base, "Addresses"),
        .systemLibrary(
            name: "CZlib", path: "Sources/Host/Base/CZlib", providers: [.apt(["zlib1g-dev"])]),
        host(.base, "Gzip", ["CZlib"]),
        host(.base, "Time", isSimulated: true),
        .target(name: "CPlatform", path: "Sources/Host/Base/CPlatform"),
        host(.base, "Threads", ["CPlatform", "Time"]),
        .target(name: "CRemote", path: "Sources/Host/Base/CRemote"),
        host(.consensus, "Raft", ["Chance", "Wire"], isMutable: true),
        host(.formation, "Cluster", ["Chance", "Raft", "Wire"], isSimulated: true),
        host(
            .formation, "Registry", ["Chance", "JSON", "Notation", "Wire", "Raft", "Cluster"],
            isSimulated: true),
        host(.peers, "PeerProtocol", ["Wire", "Rights", "Raft"], isSimulated: true),
        host(.edge, "Service", ["Wire", "Rights", "Raft"], isSimulated: true),
        .target(
            name: "CSQLite", path: "Sources/Host/Database/CSQLite",
            // What SQLite calls for each step, page and block takes most of the time of many tests.
            cSettings: [.unsafeFlags(["-O2"], .when(configuration: .debug))],
            linkerSettings: [.linkedLibrary("sqlite3")]),
        host(.database, "SQLite", ["CSQLite"], isSimulated: true),
        host(
            .database, "StateMachine",
            ["SQLite", "CSQLite", "Chance", "Gzip", "Time", "Threads", "Wire", "Raft"],
            isSimulated: true),
        host(.consensus, "WriteAheadLog", ["Raft", "Wire"], isSimulated: true),
        host(
            .peers, "Transport",
            [
                "Addresses", "Gzip", "Raft", "Wire", "Rights", "Threads", "PeerProtocol", "Service",
            ] + nio
                + [.product(name: "NIOTLS", package: "swift-nio")]),
        host(.consensus, "Replication", ["Raft", "Wire"], isSimulated: true),
        host(
            .node, "NodeLogic",
            [
                "Addresses", "Chance", "Raft", "Wire", "Time", "PeerProtocol", "Service", "Cluster",
                "Registry", "Replication", "WriteAheadLog",
            ], isSimulated: true),
        host(
            .formation, "Discovery",
            ["PluginABI", "JSON", "CPlatform", "Notation", "Wire", "Time", "Threads"]),
        host(.base, "Telemetry", ["JSON", "Threads", "Time"]),
        host(
            .peers, "TLS",
            [
                "Telemetry", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        .target(
            name: "CBuild", path: "Sources/Host/Daemon/CBuild",
            cSettings: Context.environment["RQLITED_COMMIT"].map {
                [.define("RQLITED_COMMIT", to: "\"\($0)\"")]
            }),
        host(.daemon, "Settings", ["Addresses", "CBuild"]),
        host(
            .daemon, "ObjectStorage",
            ["CRemote", "JSON", "Notation", "Time", "Threads", "Telemetry", "Settings", "Wire"]),
        host(
            .daemon, "Archive",
            ["Gzip", "ObjectStorage", "Raft", "StateMachine", "Telemetry", "Time", "Wire"]),
        host(
            .node, "Replica",
            [
                "Chance", "Raft", "Wire", "Rights", "Time", "Threads", "PeerProtocol", "Service",
                "Cluster", "Registry", "SQLite", "StateMachine", "WriteAheadLog", "Transport",
                "Replication",
                "NodeLogic",
                "Telemetry",
            ] + nio),
        .target(
            name: "CCrypt", path: "Sources/Host/Edge/CCrypt",
            linkerSettings: [.linkedLibrary("crypt")]),
        host(
            .edge, "Credentials", ["CCrypt", "JSON", "Rights", "Time", "Threads", "Telemetry"]),
        host(
            .edge, "HTTPAPI",
            ["Gzip", "JSON", "Notation", "Wire", "Rights", "Raft", "Service", "Telemetry"] + nioHTTP
                + nioHTTP2),
        .executableTarget(
            name: "rqlited",
            dependencies: [
                "Addresses", "JSON", "Rights", "Credentials", "TLS", "Raft", "Registry", "Time",
                "Threads",
                "PeerProtocol",
                "Service", "SQLite", "StateMachine", "Transport", "Replication", "NodeLogic",
                "Replica", "Discovery", "HTTPAPI", "Telemetry", "Settings", "Gzip", "ObjectStorage",
                "Archive",
            ] + nio,
            path: "Sources/Host/Daemon/rqlited", swiftSettings: settings),
        .target(
            name: "Simulator",
            dependencies: [
                "Chance", "Raft", "Wire", "Time", "PeerProtocol", "Service", "Cluster", "Registry",
                "Replication", "WriteAheadLog", "NodeLogic",
            ], path: "Sources/Simulation/Simulator", swiftSettings: mutable),
        .target(
            name: "Histories", dependencies: ["Simulator"], path: "Sources/Simulation/Histories",
            swiftSettings: simulated),
        .executableTarget(
            name: "rqlite-simulate", dependencies: ["Simulator"],
            path: "Sources/Simulation/SimulatorRun", swiftSettings: settings),
        .target(name: "Scratch", path: "Sources/Simulation/Scratch", swiftSettings: settings),
        .target(
            name: "SQLCheck",
            dependencies: [
                "Chance", "Scratch", "StateMachine", "SQLite", "CSQLite", "Wire", "Raft",
            ],
            path: "Sources/Simulation/SQLCheck", swiftSettings: simulated),
        .executableTarget(
            name: "rqlite-sqlcheck", dependencies: ["SQLCheck"],
            path: "Sources/Simulation/SQLCheckRun", swiftSettings: settings),

        // What the stock plugins share; they themselves stand at the end.
        .target(
            name: "PluginSupport", dependencies: ["PluginABI", "JSON", "Notation"],
            path: "Plugins/Support", swiftSettings: settings),
        .systemLibrary(
            name: "CCares", path: "Plugins/CCares", providers: [.apt(["libc-ares-dev"])]),
        .target(
            name: "DNSQuestions", dependencies: ["PluginSupport", "PluginABI", "JSON", "CCares"],
            path: "Plugins/DNSQuestions", swiftSettings: settings),
        .target(name: "CSpawn", path: "Plugins/exec/CSpawn"),
        .systemLibrary(
            name: "CCurl", path: "Plugins/CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(
            name: "HTTPRequests", dependencies: ["PluginSupport", "PluginABI", "CCurl"],
            path: "Plugins/HTTPRequests", swiftSettings: settings),

        // The judge of plugins, and the fake servers it lets them talk to.
        .target(
            name: "HarnessBackends", dependencies: ["JSON", "Threads", "Time"],
            path: "Sources/Harness/Backends",
            swiftSettings: settings),
        .target(name: "CHarness", path: "Sources/Harness/CHarness"),
        .target(
            name: "Harness",
            dependencies: [
                "PluginABI", "JSON", "Chance", "Threads", "Time", "Discovery", "HarnessBackends",
                "CHarness",
            ],
            path: "Sources/Harness/Harness", swiftSettings: settings),
        .executableTarget(
            name: "disco-harness", dependencies: ["Harness", "JSON"],
            path: "Sources/Harness/disco-harness", swiftSettings: settings),

        // The machine's floor, measured by scripts/bench.
        .executableTarget(
            name: "HTTPFloor", dependencies: nioHTTP, path: "Sources/Bench/HTTPFloor",
            swiftSettings: settings),

        // What the tests of stock plugins share.
        .target(
            name: "PluginTesting", dependencies: ["Discovery", "JSON"], path: "Tests/PluginTesting",
            swiftSettings: settings),

        // Real servers that tests start, and certificates for them.
        .target(
            name: "ServerTesting", dependencies: ["JSON"], path: "Tests/ServerTesting",
            swiftSettings: settings),

        // Transcripts that tests play to machines and compare.
        .target(
            name: "ScenarioTesting", path: "Tests/ScenarioTesting", swiftSettings: settings),

        // Tests, one target per module.
        tests(
            "EndToEnd",
            [
                "Chance", "Discovery", "HarnessBackends", "Histories", "ServerTesting", "JSON",
                "NodeLogic", "Raft", "Replica", "ScenarioTesting", "SQLite", "Telemetry", "Threads",
                "Time",
            ] + nio,
            resources: [.copy("Plugins"), .copy("Scenarios")]),
        tests("Tidy"),
        tests("Wire", ["Wire"]),
        tests("Threads", ["Threads", "Time"]),
        tests("JSON", ["JSON"]),
        tests("Addresses", ["Addresses"]),
        tests("Notation", ["Notation"]),
        tests("Gzip", ["Gzip"]),
        tests("Chance", ["Chance"]),
        tests("Settings", ["Addresses", "Settings"]),
        tests(
            "ObjectStorage",
            [
                "ObjectStorage", "JSON", "Notation", "Time", "Threads", "Telemetry", "Scratch",
                "ServerTesting",
            ]),
        tests(
            "Archive",
            [
                "Archive", "ObjectStorage", "Raft", "Scratch", "SQLite", "StateMachine",
                "Telemetry", "Time", "Wire",
            ]),
        tests(
            "TLS",
            ["TLS", "ServerTesting", "Telemetry", nioEmbedded] + nio),
        tests("Rights", ["Rights", "Wire"]),
        tests("Credentials", ["Credentials", "Rights", "Telemetry", "Threads", "Time"]),
        tests("Telemetry", ["Telemetry", "JSON", "Threads", "Time"]),
        tests("Cluster", ["Chance", "Cluster", "Raft", "Simulator", "Wire"]),
        tests(
            "Registry",
            [
                "Registry", "Chance", "Cluster", "Raft", "Wire", "JSON", "Simulator",
                "ScenarioTesting",
            ],
            resources: [.copy("Scenarios")], isSimulation: true),
        tests("PluginABI", ["PluginABI"]),
        tests("PluginSupport", ["PluginSupport", "PluginABI"]),
        tests("HTTPRequests", ["HTTPRequests", "PluginSupport", "PluginABI"]),
        tests(
            "EtcdPlugin",
            [
                "EtcdPlugin", "HTTPRequests", "HarnessBackends", "ServerTesting", "PluginTesting",
                "PluginSupport",
                "PluginABI", "JSON", "Discovery",
            ]),
        tests(
            "DNSPlugin",
            ["DNSPlugin", "PluginTesting", "PluginSupport", "PluginABI", "JSON", "Discovery"]),
        tests(
            "DNSSRVPlugin",
            [
                "DNSSRVPlugin", "DNSQuestions", "CCares", "PluginTesting", "PluginSupport",
                "PluginABI",
                "JSON", "Discovery",
            ]),
        tests("FilePlugin", ["FilePlugin", "PluginSupport", "PluginABI"]),
        tests("ExecPlugin", ["ExecPlugin", "PluginSupport", "PluginABI"]),
        tests(
            "HTTPPlugin",
            [
                "HTTPPlugin", "HarnessBackends", "PluginTesting", "PluginSupport", "PluginABI",
                "JSON", "Discovery",
            ]),
        tests(
            "KubernetesPlugin",
            [
                "KubernetesPlugin", "HTTPRequests", "HarnessBackends", "ServerTesting",
                "PluginSupport", "PluginABI", "JSON",
            ]),
        tests(
            "NomadPlugin",
            ["NomadPlugin", "HarnessBackends", "PluginSupport", "PluginABI", "JSON"]),
        tests(
            "MDNSPlugin",
            [
                "MDNSPlugin", "HarnessBackends", "ServerTesting", "PluginSupport", "PluginABI",
                "JSON",
            ]),
        tests("ConsulDouble", ["ServerTesting"]),
        tests(
            "ConsulPlugin",
            [
                "ConsulPlugin", "HTTPRequests", "HarnessBackends", "ServerTesting",
                "PluginTesting", "PluginSupport", "PluginABI", "JSON", "Discovery",
            ]),
        tests(
            "Discovery", ["Discovery", "JSON", "PluginABI", "Wire", "Time"],
            resources: [.copy("Plugins")]),
        tests("HarnessBackends", ["HarnessBackends", "JSON", "Threads", "Time"]),
        .testTarget(
            name: "HarnessTests",
            dependencies: ["Harness", "HarnessBackends", "JSON", "Threads", "Time"],
            path: "Tests/HarnessTests", exclude: ["BadPlugins"], swiftSettings: settings),
        tests(
            "Raft", ["Raft", "Chance", "Wire", "ScenarioTesting"], resources: [.copy("Scenarios")]),
        tests(
            "Transport",
            [
                "Transport", "Chance", "Gzip", "PeerProtocol", "Raft", "Rights", "ServerTesting",
                "Service", "TLS", "Wire", nioEmbedded,
            ] + nio
                + [.product(name: "NIOTLS", package: "swift-nio")]),
        tests("Replication", ["Replication", "Raft", "Wire"]),
        tests(
            "Replica",
            [
                "Replica", "Rights", "Cluster", "NodeLogic", "PeerProtocol", "Raft", "Registry",
                "Service", "SQLite",
                "StateMachine",
                "Time", "Threads", "Transport", "WriteAheadLog", "Wire", "Telemetry", "Scratch",
            ] + nio),
        tests(
            "NodeLogic",
            [
                "NodeLogic", "Chance", "Cluster", "PeerProtocol", "Raft", "Registry",
                "Replication", "Service", "Time", "Wire", "WriteAheadLog", "ScenarioTesting",
            ], resources: [.copy("Scenarios")], isSimulation: true),
        tests("Simulation", ["Simulator", "rqlite-simulate"]),
        tests("Histories", ["Histories"]),
        tests(
            "WriteAheadLog", ["WriteAheadLog", "Chance", "Scratch", "Simulator", "Raft", "Wire"]),
        tests(
            "HTTPAPI",
            [
                "HTTPAPI", "Chance", "Gzip", "JSON", "Wire", "Rights", "Raft", "Scratch", "Service",
                "Telemetry",
                "ScenarioTesting", nioEmbedded,
            ] + nioHTTP + nioHTTP2, resources: [.copy("Scenarios")]),
        tests("SQLite", ["SQLite", "CSQLite"]),
        tests("SQLGenerator", ["SQLCheck", "Wire"]),
        tests(
            "StateMachine",
            [
                "StateMachine", "SQLite", "CSQLite", "Chance", "Gzip", "Scratch", "Threads", "Wire",
                "Raft",
            ]),
    ]
)

/// What the targets of the fuzzers need; the tests play their seeds.
let fuzzed: [Target.Dependency] =
    [
        "Addresses", "Chance", "Cluster", "Credentials", "Discovery", "Gzip", "HTTPAPI", "JSON",
        "PeerProtocol", "Raft", "Registry", "Rights", "Service", "Settings", "Threads", "Time",
        "Transport", "Wire", "WriteAheadLog",
        nioEmbedded,
    ] + nioHTTP

/// What the fuzzer of statements tries, and what it tries them with.
let tried: [Target.Dependency] = ["Scratch", "StateMachine", "Raft", "Threads", "Wire"]

// `FUZZ=1` adds the fuzzers of docs/testing.md, which need a build of their own.
if Context.environment["FUZZ"] == nil {
    package.targets += [
        .testTarget(
            name: "FuzzTests", dependencies: fuzzed, path: "Tests/FuzzTests",
            exclude: ["Program", "Seeds"], swiftSettings: settings),
        .testTarget(
            name: "FuzzStatementsTests", dependencies: tried + ["Time"],
            path: "Tests/Fuzz/Statements", exclude: ["Program", "Seeds"], swiftSettings: settings),
    ]
} else {
    package.targets += [
        .target(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        .executableTarget(
            name: "fuzz-statements",
            dependencies: tried + ["CFuzzer"],
            path: "Tests/Fuzz/Statements",
            exclude: ["Seeds", "StatementSeedTests.swift"],
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-use-ld=lld"])]),
        .executableTarget(
            name: "fuzz-inputs", dependencies: fuzzed + ["CFuzzer"], path: "Tests/FuzzTests",
            exclude: ["Seeds", "CorpusTests.swift"],
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-use-ld=lld"])]),
    ]
}

// `ONLY=Raft,Wire swift test` builds and runs the tests of these modules and no others.
if let only = Context.environment["ONLY"] {
    let names = only.split(separator: ",").map { "\($0)Tests" }
    package.targets.removeAll { $0.type == .test && !names.contains($0.name) }
}

package.targets += [
    stockPlugin("DNS", in: "dns", ["DNSQuestions"]),
    stockPlugin("DNSSRV", in: "dnssrv", ["DNSQuestions"]),
    stockPlugin("File", in: "file"),
    stockPlugin("Exec", in: "exec", ["CSpawn"]),
    stockPlugin("MDNS", in: "mdns", ["Threads"]),
    stockPlugin("HTTP", in: "http", ["HTTPRequests"]),
    stockPlugin("Kubernetes", in: "kubernetes", ["HTTPRequests", "Notation"]),
    stockPlugin("Nomad", in: "nomad", ["HTTPRequests", "Notation"]),
    stockPlugin("Consul", in: "consul", ["HTTPRequests", "Notation"]),
    stockPlugin("Etcd", in: "etcd", ["HTTPRequests"]),
].flatMap { $0 }
