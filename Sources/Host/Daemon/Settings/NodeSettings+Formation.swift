import Addresses

/// The rules of how a node finds its cluster.
extension NodeSettings.Formation {
    init(_ flags: FlagParser.Result, own: NodeAddresses) throws(NodeSettings.Invalid) {
        let expect = flags.integer("bootstrap-expect")
        guard (0...Limits.maxBootstrapExpect).contains(expect) else {
            throw .init("-bootstrap-expect must be between 0 and \(Limits.maxBootstrapExpect)")
        }
        guard expect == 0 || !flags.boolean("raft-non-voter") else {
            throw .init("bootstrapping only applicable to voting nodes")
        }
        // An empty value is a variable that was not set, and would found a cluster of one.
        for name in ["join", "disco-mode"]
        where flags.isGiven(name) && flags.optionalText(name) == nil {
            throw .init(
                "-\(name) was given, but is empty: is a variable not set? (leave it out if it is "
                    + "not wanted)")
        }
        join = try Self.entries(flags)
        if expect == 0, join.contains(where: { own.all.contains($0.address) }) {
            throw .init("node cannot join with itself unless bootstrapping")
        }
        discovery = try NodeSettings.Discovery(flags)
        guard discovery == nil || join.isEmpty else {
            throw .init("disco mode cannot be used when also explicitly joining a cluster")
        }
        guard expect == 0 || discovery != nil || !join.isEmpty else {
            throw .init(
                "-bootstrap-expect needs -join or -disco-mode: without one a node can't find the "
                    + "others it waits for (leave it out to start a single node)")
        }
        let listed = Set(join).count
        // A name may stand for several nodes.
        let hasName = join.contains(where: \.address.isName)
        guard join.isEmpty || listed >= expect || hasName else {
            throw .init(
                "-join names \(listed) of the \(expect) nodes that -bootstrap-expect waits for: "
                    + "list them all, this one included")
        }
        foundsAnew = flags.boolean("bootstrap-anew")
        guard !foundsAnew || discovery != nil else {
            throw .init(
                "-bootstrap-anew does nothing without a registry: add its -disco-mode, or leave it "
                    + "out")
        }
        joinAttempts = flags.integer("join-attempts")
        guard joinAttempts > 0 else { throw .init("-join-attempts must be greater than 0") }
        joinInterval = try flags.positiveDuration("join-interval")
        bootstrapExpect = expect
        bootstrapExpectTimeout = try flags.positiveDuration("bootstrap-expect-timeout")
    }

    private static func entries(
        _ flags: FlagParser.Result
    ) throws(NodeSettings.Invalid) -> [JoinEntry] {
        let texts = flags.list("join")
        guard texts.count <= Limits.maxJoinEntries else {
            throw .init("-join names more than \(Limits.maxJoinEntries) nodes")
        }
        var entries: [JoinEntry] = []
        for text in texts {
            do {
                entries.append(try JoinEntry(parsing: text))
            } catch {
                throw .init(error.text)
            }
        }
        return entries
    }
}

extension NodeSettings.Discovery {
    /// The flags as a shell takes them, for a command that an operator is told. A configuration that
    /// may hold a secret is not repeated.
    package var commandLine: String {
        var words = ["-disco-mode", mode, "-disco-key", key]
        switch config {
        case .absent: break
        case .file(let path): words += ["-disco-config", path]
        case .text(let text):
            words += ["-disco-config", Self.mayBeSecret(text) ? "THIS-NODES-CONFIGURATION" : text]
        }
        if !pluginDirectories.isEmpty {
            words += ["-disco-plugin-path", pluginDirectories.joined(separator: ":")]
        }
        // Both decide which variables the plugin finds.
        if isolation != .auto { words += ["-disco-isolation", isolation.rawValue] }
        if !variables.isEmpty { words += ["-disco-env", variables.joined(separator: ",")] }
        return words.map(Self.quoted).joined(separator: " ")
    }

    /// What plugins of others call a secret nobody knows here: these are the words that such names are made
    /// of. An address may hold one before an @, and an escape may hide any of them.
    private static func mayBeSecret(_ text: String) -> Bool {
        let words = [
            "token", "pass", "pwd", "auth", "secret", "key", "cred", "dsn", "bearer", "jwt", "sas",
            "sig", "cookie", "session", "cert", "private", "@", "\\",
        ]
        let text = Array(text.lowercased().utf8)
        return words.contains { text.firstRange(of: Array($0.utf8)) != nil }
    }

    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
                || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "-_./:,@%+=".utf8.contains(byte)
        }
        guard !isPlain || word.isEmpty else { return word }
        return "'"
            + word.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
    }

    /// The resolvers whose answers are put together; most often one mode alone.
    package var modes: [String] { Self.modes(mode) }

    private static func modes(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    /// Nil without a mode. A mode's name is anything a plugin may offer, or a path to one.
    init?(_ flags: FlagParser.Result) throws(NodeSettings.Invalid) {
        guard let mode = flags.optionalText("disco-mode") else {
            for name in ["disco-config", "disco-isolation", "disco-env"]
            where flags.optionalText(name) != nil {
                guard !flags.isGiven(name) else {
                    throw .init(
                        "-\(name) does nothing without -disco-mode: add it, or leave both out")
                }
            }
            return nil
        }
        let modes = Self.modes(mode)
        guard !modes.contains("") else {
            throw .init("-disco-mode \(mode) names an empty mode: is a variable not set?")
        }
        guard modes.count <= Limits.maxDiscoveryModes else {
            throw .init("-disco-mode names more than \(Limits.maxDiscoveryModes) modes")
        }
        self.mode = mode
        key = flags.text("disco-key")
        guard !key.isEmpty else { throw .init("-disco-key must not be empty") }
        config = DiscoveryConfig(flags.text("disco-config"))
        pluginDirectories = flags.list("disco-plugin-path", separator: ":").filter { !$0.isEmpty }
        guard pluginDirectories.count <= Limits.maxPluginDirectories else {
            throw .init("-disco-plugin-path names more than \(Limits.maxPluginDirectories) folders")
        }
        guard let isolation = NodeSettings.Isolation(rawValue: flags.text("disco-isolation")) else {
            let known = NodeSettings.Isolation.allCases.map(\.rawValue).joined(separator: " or ")
            throw .init("-disco-isolation must be \(known)")
        }
        self.isolation = isolation
        variables = flags.list("disco-env", separator: ",").filter { !$0.isEmpty }
        for name in variables {
            let rest = name.hasSuffix("*") ? name.dropLast() : name[...]
            guard !rest.contains(where: { "=*$ ".contains($0) }) else {
                throw .init(
                    "-disco-env \(name) is not the name of a variable: give names, without $ and value, "
                        + "separated by commas; AWS_* is all that begin so")
            }
        }
    }
}

/// What a discovery mode is, known from its plugin's note only.
package enum DiscoveryRole: Sendable, Equatable {
    /// Answers with addresses.
    case resolver
    /// Holds the cluster's record.
    case registry
}

extension NodeSettings {
    /// The second step of validation, once the plugin's note has been read: what is wrong, as a
    /// text for the operator, or nil.
    package func problem(withDiscoveryRole role: DiscoveryRole) -> String? {
        guard let discovery = formation.discovery, role == .resolver, raft.isVoter,
            formation.bootstrapExpect == 0
        else { return nil }
        return "fatal: bootstrap-expect value required when using \(discovery.mode) "
            + "with a voting node"
    }
}
