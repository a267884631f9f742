package import Addresses

/// `rqlited disco VERB`: looks at discovery from the command line, without a node. It takes the
/// flags of discovery and of a node's addresses as the daemon does, and some of its own.
package struct DiscoveryCommand: Equatable, Sendable {
    /// What to look at, or remove.
    package enum Verb: Equatable, Sendable {
        /// Which plugins there are; `loads` asks each for its name and version too.
        case list(loads: Bool)
        case resolve
        case show
        case clear(Clearing)
    }

    /// What is removed from a registry. The texts are the operator's.
    package enum Clearing: Equatable, Sendable {
        /// The leader's entry, if it still has this revision, and the node records of its cluster.
        case entry(revision: String)
        /// The node records of this cluster.
        case nodes(cluster: String)
    }

    /// What to do.
    package let verb: Verb
    /// Results are printed as JSON.
    package let isJSON: Bool
    /// Limit for each call of the plugin.
    package let timeout: Duration
    /// Searched before the standard ones, in this order.
    package let pluginDirectories: [String]
    /// Nil for `list` without a mode.
    package let discovery: NodeSettings.Discovery?
    /// What the plugin is told that the node is called.
    package let nodeID: String
    /// The advertised Raft address, for the plugin.
    package let raft: HostPort
    /// The advertised HTTP address, for the plugin.
    package let http: HostPort

    /// `arguments` begin behind the word `disco`.
    static func parse(_ arguments: [String]) -> Invocation {
        guard let word = arguments.first else { return failure("which of them?") }
        if ["-h", "-help", "--help", "help"].contains(word) { return .help(usage) }
        guard words.contains(word) else { return failure("there is no verb \(word)") }
        let flags: FlagParser.Result
        do {
            flags = try FlagParser.parse(Array(arguments.dropFirst()), flags: Self.flags)
        } catch {
            switch error {
            case .helpRequested: return .help(usage)
            case .invalid(let text): return failure(text)
            }
        }
        do {
            return .discovery(try DiscoveryCommand(word, flags))
        } catch {
            return failure(error.text)
        }
    }

    private init(_ word: String, _ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        if let extra = flags.positional.first {
            throw .init("\(extra) is not a flag: a verb takes no data directory")
        }
        verb = try Self.verb(word, flags)
        isJSON = flags.boolean("json")
        timeout = try flags.positiveDuration("timeout")
        pluginDirectories = flags.list("disco-plugin-path", separator: ":").filter { !$0.isEmpty }
        discovery = try NodeSettings.Discovery(flags)
        if discovery == nil, word != "list" { throw .init("-disco-mode is needed") }
        let addresses = try NodeAddresses(flags)
        raft = addresses.raftAdvertised
        http = addresses.httpAdvertised
        nodeID = flags.optionalText("node-id") ?? raft.description
    }

    private static func verb(
        _ word: String, _ flags: FlagParser.Result
    ) throws(NodeSettings.Invalid) -> Verb {
        let (revision, cluster) = (flags.optionalText("expect"), flags.optionalText("cluster"))
        guard word == "clear" || (revision == nil && cluster == nil) else {
            throw .init("-expect and -cluster belong to clear")
        }
        switch word {
        case "list": return .list(loads: flags.boolean("load"))
        case "resolve": return .resolve
        case "show": return .show
        default:
            switch (revision, cluster) {
            case (let revision?, nil): return .clear(.entry(revision: revision))
            case (nil, let cluster?): return .clear(.nodes(cluster: cluster))
            default:
                throw .init(
                    "clear needs either -expect with the entry's revision or -cluster with an ID, "
                        + "as show prints them")
            }
        }
    }

    static let words = ["list", "resolve", "show", "clear"]

    private static func failure(_ text: String) -> Invocation {
        .failure("rqlited disco: \(text); see rqlited disco -help", exitCode: 2)
    }
}

extension DiscoveryCommand {
    /// Of the daemon's flags those that a plugin can notice, and the verbs' own.
    static let flags: [Flag] =
        Flag.all.filter { $0.name.hasPrefix("disco-") || nodeFlags.contains($0.name) } + own

    private static let nodeFlags = [
        "node-id", "http-addr", "http-adv-addr", "raft-addr", "raft-adv-addr",
    ]

    private static let own: [Flag] = [
        Flag(
            name: "json", kind: .boolean, defaultText: "false", help: "Print JSON",
            subject: .verbs, availability: .available),
        Flag(
            name: "timeout", kind: .duration, defaultText: "10s",
            help: "Limit for each call of the plugin", subject: .verbs, availability: .available),
        Flag(
            name: "load", kind: .boolean, defaultText: "false",
            help: "list: load each plugin, in a process of its own, to tell its ID and version",
            subject: .verbs, availability: .available),
        Flag(
            name: "expect", kind: .string, defaultText: "",
            help: "clear: remove the leader's entry at this revision, and its cluster's records",
            subject: .verbs, availability: .available),
        Flag(
            name: "cluster", kind: .string, defaultText: "",
            help: "clear: remove the node records of the cluster with this ID",
            subject: .verbs, availability: .available),
    ]

    static var usage: String {
        Usage.render(
            """

            Looks at discovery without a node; with the flags of a node, as that node does.

            Usage: rqlited disco list|resolve|show|clear [flags]

              list     which modes there are, which file offers each, and what is refused
              resolve  the addresses that -disco-mode finds now
              show     the cluster's records in the registry of -disco-mode
              clear    removes records from it: of a cluster that is gone for good

            A data directory called disco is written ./disco.

            """, flags)
    }
}
