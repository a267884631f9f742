import Discovery
import Settings
import Synchronization
import Threads

/// Reads the file of `-disco-config` and the plugins again when the operator says so, by SIGHUP: a new
/// instance first, then the old one goes. What can't be leaves its mode as it was, and is said in the log, by
/// `/readyz` while the node waits, and in `/status`; of several modes those that were read are named with it.
///
/// A plugin's file that was replaced runs in a process of its own from then on: a runtime can't be
/// loaded into one process twice. One that was overwritten in place is refused, for what runs is
/// mapped from it.
final class DiscoveryReload: Sendable {
    private static let patience = Duration.seconds(5)

    private let sources: DiscoverySources
    private let discovery: NodeSettings.Discovery
    /// The files of the parts as they were loaded; nil: one that was exchanged before it could be looked at.
    private let loaded: Mutex<[PluginFingerprint?]>
    /// Gets what went wrong, or nil.
    private let finished: @Sendable (String?) -> Void

    /// A plugin's file that was exchanged, or is gone, since it was loaded ends no start: the node may be of a cluster.
    init(
        _ sources: DiscoverySources, _ discovery: NodeSettings.Discovery,
        finished: @escaping @Sendable (String?) -> Void
    ) {
        self.sources = sources
        self.discovery = discovery
        self.finished = finished
        loaded = Mutex(sources.parts.map { try? PluginFingerprint($0.choice.file) })
    }

    /// Only when it is asked for: a file that is written in pieces must not be read between two.
    var item: Reloader.Item {
        Reloader.Item(what: "discovery", paths: []) { [self] in
            do {
                try reload()
                finished(nil)
            } catch {
                finished("discovery was not read again: \(error)")
                throw error
            }
        }
    }

    /// On the thread that reads files again.
    private func reload() throws {
        let choices = try DiscoverySources.choices(
            discovery, in: PluginCatalog(searching: discovery.pluginDirectories))
        let modes = sources.parts.map(\.choice.mode)
        guard choices.map(\.mode) == modes else {
            throw Daemon.StartFailure(
                description: "-disco-mode \(discovery.mode) means another mode than at the start; "
                    + "restart the node to change it")
        }
        let configs = try DiscoverySources.configs(discovery.config, of: modes.map(\.name))
        let plans = try zip(zip(choices, sources.parts), loaded.withLock { $0 }).map { part, old in
            try plan(part.0, in: part.1.process, loadedAs: old)
        }
        var done: [String] = []
        var problems: [String] = []
        for (place, plan) in plans.enumerated() {
            let mode = modes[place].name
            let answer = Mailbox<Result<Void, PluginError>>()
            sources.parts[place].instance.renew(
                from: plan.source, config: configs[place], timeout: Self.patience
            ) { answer.post($0) }
            do {
                try answer.take(atMost: 1).first?.get()
                loaded.withLock { $0[place] = plan.file }
                done.append(mode)
            } catch {
                problems.append("mode \(mode): \(error)")
            }
        }
        guard !problems.isEmpty else { return }
        // Who takes the change back must signal again for these.
        if !done.isEmpty { problems.append("read and used: \(done.joined(separator: ", "))") }
        throw Daemon.StartFailure(description: problems.joined(separator: "; "))
    }

    /// Where an instance is to be made; nil: as before.
    private func plan(
        _ choice: PluginChoice, in process: PluginProcess, loadedAs old: PluginFingerprint?
    ) throws -> (source: PluginSource?, file: PluginFingerprint) {
        let file = try PluginFingerprint(choice.file)
        let change: PluginFingerprint.Change = old.map { file.change(since: $0) } ?? .replaced
        switch change {
        case .none: return (nil, file)
        case .overwritten:
            throw Daemon.StartFailure(
                description:
                    "\(choice.file.path) was overwritten since it was loaded, and what runs "
                    + "is mapped from it: put the new file beside it, rename it over the old one, and "
                    + "restart the node")
        case .replaced where discovery.isolation == .none:
            throw Daemon.StartFailure(
                description: "\(choice.file.path) was replaced, and a plugin can't be loaded twice "
                    + "into one process, as -disco-isolation=none wants it: restart the node")
        case .replaced: return (.isolated(choice.location, process), file)
        }
    }
}
