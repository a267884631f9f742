import PluginABI
import Threads
import Time

/// An instance of a plugin in this process. All its calls are made on plugin threads.
///
/// `@unchecked Sendable`: the tables are copies of constants, and the instance pointer is only handed
/// back to the plugin, in the order that `PluginInstance` keeps.
final class InProcessSession: PluginSession, @unchecked Sendable {
    private let plugin: Plugin
    private let instance: OpaquePointer
    /// Kept alive by one more reference that only `destroy` gives back: threads of an instance that
    /// was given up may log until the process ends.
    private let host: Unmanaged<PluginHost>
    private let resolver: rqd_resolver
    private let registry: rqd_registry
    private let watch: rqd_watch
    private let status: rqd_status
    private let pages: rqd_pages
    private let node: rqd_node_watch

    /// Calls the plugin's `create`; blocks.
    init(
        plugin: Plugin, arguments: PluginArguments, name: String,
        log: @escaping @Sendable (PluginLogLevel, String) -> Void
    ) throws(PluginError) {
        guard arguments.key.utf8.count <= Int(RQD_MAX_KEY),
            arguments.config.count <= Int(RQD_MAX_CONFIG)
        else {
            throw PluginError(
                .config,
                "-disco-key may have \(RQD_MAX_KEY) bytes, and the configuration "
                    + "\(RQD_MAX_CONFIG)")
        }
        let texts = [arguments.nodeID, name, arguments.raftAddress, arguments.apiURL]
        guard texts.allSatisfy({ $0.utf8.count <= Int(RQD_MAX_TEXT) }) else {
            throw PluginError(
                .config, "the node's ID and addresses may have \(RQD_MAX_TEXT) bytes each")
        }
        let host = Unmanaged.passRetained(
            PluginHost(version: arguments.hostVersion, log: log))
        do {
            let instance = try Self.create(plugin, host, arguments, name)
            resolver = Self.table(plugin, instance, RQD_RESOLVER_1, rqd_resolver())
            registry = Self.table(plugin, instance, RQD_REGISTRY_1, rqd_registry())
            watch = Self.table(plugin, instance, RQD_WATCH_1, rqd_watch())
            status = Self.table(plugin, instance, RQD_STATUS_1, rqd_status())
            pages = Self.table(plugin, instance, RQD_PAGES_1, rqd_pages())
            node = Self.table(plugin, instance, RQD_NODE_1, rqd_node_watch())
            self.instance = instance
        } catch {
            host.release()
            throw error
        }
        self.plugin = plugin
        self.host = host
        guard isComplete else {
            destroy()
            throw PluginError(
                .protocol, "plugin \(plugin.id) does not offer what a \(plugin.mode.role) must")
        }
    }

    /// Blocks; returns the plugin's status.
    func call(_ request: PluginRequest, _ context: CallContext) -> Int32 {
        PluginActivity.during(request.name, of: label) { dispatch(request, context) }
    }

    private var label: String { "\(plugin.id) (\(plugin.path))" }

    private func dispatch(_ request: PluginRequest, _ context: CallContext) -> Int32 {
        let (call, sink) = (context.call, context.sink)
        switch request {
        case .start: return RQD_OK
        case .resolve: return resolver.resolve?(instance, call, sink) ?? RQD_UNSUPPORTED
        case .describe: return status.describe?(instance, sink) ?? RQD_UNSUPPORTED
        case .read(let name):
            return ABI.lend(name) { registry.read?(instance, call, $0, sink) } ?? RQD_UNSUPPORTED
        case .list(let prefix) where pages.page != nil: return listPages(prefix, context)
        case .list(let prefix):
            return ABI.lend(prefix) { registry.list?(instance, call, $0, sink) } ?? RQD_UNSUPPORTED
        case .write(let name, let expected, let value):
            return ABI.lend(name) { name in
                ABI.lend(expected) { expected in
                    ABI.lend(value) { registry.write?(instance, call, name, expected, $0, sink) }
                }
            } ?? RQD_UNSUPPORTED
        case .erase(let name, let expected):
            return ABI.lend(name) { name in
                ABI.lend(expected) { registry.erase?(instance, call, name, $0, sink) }
            } ?? RQD_UNSUPPORTED
        case .wait(let name, let token):
            return ABI.lend(name) { name in
                ABI.lend(token) { watch.wait?(instance, call, name, $0, sink) }
            } ?? RQD_UNSUPPORTED
        case .update(let state, let changed):
            return state.withABI(changed: changed) { node.update?(instance, call, $0, sink) }
                ?? RQD_UNSUPPORTED
        }
    }

    /// Asks for page after page, until one isn't full.
    private func listPages(_ prefix: String, _ context: CallContext) -> Int32 {
        var after = ""
        while true {
            context.withResults { $0.beginPage() }
            let status = ABI.lend(prefix) { prefix in
                ABI.lend(after) { after in
                    pages.page?(
                        instance, context.call, prefix, after, RQD_MAX_RECORDS, context.sink)
                }
            }
            guard status == RQD_OK else { return status ?? RQD_UNSUPPORTED }
            let (names, isBroken) = context.withResults { results in
                (results.recordsOfPage.map(\.name), results.violation != nil)
            }
            guard !isBroken else { return RQD_PROTOCOL }
            for (earlier, later) in zip([after] + names, names)
            where !earlier.utf8.lexicographicallyPrecedes(later.utf8) {
                return context.withResults {
                    $0.violate("a page after \(earlier) holds \(later), which does not follow")
                }
            }
            guard names.count == Int(RQD_MAX_RECORDS), let last = names.last else { return RQD_OK }
            guard !context.isCancelled else { return RQD_CANCELLED }
            after = last
        }
    }

    func perform(
        _ request: PluginRequest, _ context: CallContext
    ) throws(PluginError) -> Int32 { call(request, context) }

    /// Nothing ends a call inside this process.
    func giveUp(during function: String) -> Bool { false }

    var hasEnded: Bool { false }

    func destroy() {
        PluginActivity.during("destroy", of: label) { plugin.table.destroy?(instance) }
        host.release()
    }

    private var isComplete: Bool {
        switch plugin.mode.role {
        case .resolver: resolver.resolve != nil
        case .registry:
            registry.read != nil && registry.write != nil && registry.erase != nil
                && registry.list != nil
        }
    }

    private static func create(
        _ plugin: Plugin, _ host: Unmanaged<PluginHost>, _ arguments: PluginArguments,
        _ name: String
    ) throws(PluginError) -> OpaquePointer {
        // `create` has no deadline of its own; only the sink of the context is used.
        let context = try CallContext(deadline: .now, kinds: [])
        let table = host._withUnsafeGuaranteedRef { $0.table }
        var instance: OpaquePointer?
        let status = arguments.withABI(mode: plugin.mode.name, instance: name) { arguments in
            PluginActivity.during("create", of: "\(plugin.id) (\(plugin.path))") {
                plugin.table.create?(plugin.descriptor, table, arguments, context.sink, &instance)
                    ?? RQD_INTERNAL
            }
        }
        guard status == RQD_OK else {
            let message = context.withResults { $0.message }
            throw PluginError(
                PluginError.Code(status: status),
                message.isEmpty ? "plugin \(plugin.id) can't start, status \(status)" : message)
        }
        guard let instance else {
            throw PluginError(.protocol, "plugin \(plugin.id) made no instance, but said it did")
        }
        return instance
    }

    private static func table<Table>(
        _ plugin: Plugin, _ instance: OpaquePointer, _ id: String, _ blank: Table
    ) -> Table {
        let found = ABI.lend(id) { plugin.table.get_interface?(instance, $0) }
        guard let found else { return blank }
        return ABI.copy(found, blank, size: found.load(as: UInt32.self))
    }
}
