import Addresses
import Discovery
import Glibc
import JSON
import Replica
import Settings
import Telemetry
import Threads
import Time

/// What `rqlited disco VERB` does: results on standard output, everything else on standard error.
struct DiscoveryVerbs {
    /// Why a verb could not do what it was asked.
    struct Failure: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    private let command: DiscoveryCommand

    init(_ command: DiscoveryCommand) { self.command = command }

    /// Returns the exit code: 0, or 1 after an error was told.
    func run() -> Int32 {
        do {
            let catalog = PluginCatalog(searching: command.pluginDirectories)
            if case .list(let loads) = command.verb {
                let listing = PluginListing(catalog, loads: loads, timeout: command.timeout)
                say(listing.document, listing.text)
                return 0
            }
            guard let discovery = command.discovery else { throw Failure("-disco-mode is needed") }
            return try perform(discovery, catalog) ? 0 : 1
        } catch {
            tell("\(error)")
            return 1
        }
    }

    private func tell(_ text: String) {
        StandardErrorSink().write(Array("rqlited disco: \(text)\n".utf8))
    }

    /// False if one of several resolvers failed, which was told.
    private func perform(
        _ discovery: NodeSettings.Discovery, _ catalog: PluginCatalog
    ) throws -> Bool {
        let choices = try DiscoverySources.choices(discovery, in: catalog)
        let configs = try DiscoverySources.configs(
            discovery.config, of: choices.map(\.mode.name))
        guard choices.count > 1 else {
            return try perform(on: choices[0], configs[0], discovery) { try act($0, discovery) }
        }
        var found: [[DiscoveredAddress]] = []
        for (choice, config) in zip(choices, configs) {
            do {
                found.append(
                    try perform(on: choice, config, discovery) { instance in
                        try instance.answer { [command] instance, answer in
                            instance.resolve(timeout: command.timeout, completion: answer)
                        }.addresses
                    })
            } catch {
                tell("\(choice.mode.name): \(error)")
            }
        }
        say(CandidateUnion.merged(found), of: discovery.mode)
        return found.count == choices.count
    }

    private func perform<Result>(
        on choice: PluginChoice, _ config: [UInt8], _ discovery: NodeSettings.Discovery,
        _ act: (PluginInstance) throws -> Result
    ) throws -> Result {
        let needed: PluginRole = command.verb == .resolve ? .resolver : .registry
        guard choice.mode.role == needed else {
            throw Failure(
                "discovery mode \(choice.mode.name) is a \(choice.mode.role): "
                    + (needed == .resolver
                        ? "see its records with `rqlited disco show`"
                        : "it keeps no records; ask it with `rqlited disco resolve`"))
        }
        let logger = Logger(module: "disco", sink: StandardErrorSink())
        let instance = PluginInstance(
            source: try PluginPlace(choice, discovery, withheld: []).source(),
            arguments: PluginArguments(
                key: discovery.key, config: config, nodeID: command.nodeID,
                raft: (command.raft.description, command.raft.port),
                apiURL: "http://\(command.http)"),
            environment: PluginEnvironment(
                log: { level, text in logger.take(level, text) }, wallTime: { "" }))
        defer { stop(instance) }
        return try act(instance)
    }

    private func act(_ instance: PluginInstance, _ discovery: NodeSettings.Discovery) throws -> Bool
    {
        switch command.verb {
        case .list: break
        case .resolve: try resolve(instance)
        case .show:
            let records = try RegistryInspection(
                instance, key: discovery.key, timeout: command.timeout
            ).look()
            say(records.document, records.text)
        case .clear(let clearing):
            let cleared = try RegistryInspection(
                instance, key: discovery.key, timeout: command.timeout
            ).clear(clearing)
            say(cleared.document, cleared.text)
        }
        return true
    }

    private func resolve(_ instance: PluginInstance) throws {
        let resolution = try instance.answer { instance, answer in
            instance.resolve(timeout: command.timeout, completion: answer)
        }
        say(resolution.addresses, of: instance.mode.name)
    }

    private func say(_ addresses: [DiscoveredAddress], of mode: String) {
        let lines = addresses.map { address in
            "\(address.hostAndPort)  priority \(address.priority)  weight \(address.weight)"
                + (address.timeToLive.map { "  ttl \($0.components.seconds)s" } ?? "")
                + (address.source.isEmpty ? "" : "  \(address.source)")
        }
        let documents = addresses.map { address in
            JSONValue.object([
                .init("address", .string(address.hostAndPort)),
                .init("priority", .integer(address.priority)),
                .init("weight", .integer(address.weight)),
                .init(
                    "ttl", address.timeToLive.map { .integer($0.components.seconds) } ?? .null),
                .init("source", .string(address.source)),
            ])
        }
        say(
            .object([
                .init("mode", .string(mode)), .init("addresses", .array(documents)),
            ]), lines)
    }

    /// Gives the plugin a moment to say goodbye to its server.
    private func stop(_ instance: PluginInstance) {
        let end = Mailbox<Void>()
        instance.stop { end.post(()) }
        _ = end.take(until: MonotonicTime.now + .seconds(1))
    }

    private func say(_ document: JSONValue, _ lines: [String]) {
        let text =
            command.isJSON
            ? document.text(pretty: true) + "\n" : lines.map { $0 + "\n" }.joined()
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // A reader that went away wants no more.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

extension PluginInstance {
    /// Makes one call and waits for its answer, which comes in any case.
    func answer<Answer: Sendable>(
        _ call: (PluginInstance, @escaping Completion<Answer>) -> PluginCall
    ) throws -> Answer {
        let box = Mailbox<Result<Answer, PluginError>>()
        _ = call(self) { box.post($0) }
        guard let result = box.take(atMost: 1).first else {
            throw DiscoveryVerbs.Failure("the plugin gave no answer")
        }
        return try result.get()
    }
}
