import JSON
import PluginABI

/// What stands behind an `rqd_instance` of a stock plugin.
final class Instance {
    private enum Role {
        case resolver(any Resolver)
        case registry(any Registry)
    }

    private let role: Role

    init(_ resolver: any Resolver) { role = .resolver(resolver) }

    init(_ registry: any Registry) { role = .registry(registry) }

    var resolver: (any Resolver)? {
        if case .resolver(let resolver) = role { resolver } else { nil }
    }

    var registry: (any Registry)? {
        if case .registry(let registry) = role { registry } else { nil }
    }

    /// Borrowed from the host, which keeps it until `destroy`.
    static func of(_ pointer: OpaquePointer?) -> Instance? {
        pointer.map { Unmanaged<Instance>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() }
    }

    /// The table of an interface; the tables are the same for all instances of a role.
    func table(_ id: rqd_text) -> UnsafeRawPointer? {
        switch (String(id), role) {
        case (RQD_RESOLVER_1, .resolver): InterfaceTables.shared.resolver
        case (RQD_REGISTRY_1, .registry): InterfaceTables.shared.registry
        case (RQD_PAGES_1, .registry): InterfaceTables.shared.pages
        case (RQD_WATCH_1, .registry): InterfaceTables.shared.watch
        case (RQD_WATCH_1, .resolver(let resolver)) where resolver is any WatchingResolver:
            InterfaceTables.shared.resolverWatch
        case (RQD_NODE_1, .resolver(let resolver)):
            (resolver as? any NodeListener)?.listens == true ? InterfaceTables.shared.node : nil
        case (RQD_STATUS_1, _): InterfaceTables.shared.status
        default: nil
        }
    }

    func describe() -> String {
        switch role {
        case .resolver(let resolver): resolver.describe().text()
        case .registry(let registry): registry.describe().text()
        }
    }
}
