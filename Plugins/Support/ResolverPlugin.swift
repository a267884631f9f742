import JSON
package import PluginABI

/// A plugin of one resolver mode as the ABI wants it: the descriptor, and C functions that find their
/// way back to Swift.
///
///     rqd_plugin    followed in memory by a reference to this object; lives until the process ends
///     rqd_instance  a reference to an `Instance`, given back by `destroy`
package final class ResolverPlugin {
    package typealias Make = (InstanceArguments, HostLog) throws(CallFailure) -> any Resolver

    package struct Identity {
        package var id: String
        package var mode: String
        package var configSchema: String

        package init(id: String, mode: String, configSchema: String) {
            self.id = id
            self.mode = mode
            self.configSchema = configSchema
        }
    }

    /// Unchecked, for what it points at is a constant once made, hence safe to share.
    package struct Descriptor: @unchecked Sendable {
        package let pointer: UnsafePointer<rqd_plugin>
    }

    private static let version = "1.0.0"

    private let make: Make

    private init(make: @escaping Make) { self.make = make }

    /// Never freed, as the ABI has it: to be called once.
    package static func descriptor(_ identity: Identity, make: @escaping Make) -> Descriptor {
        let mode = UnsafeMutablePointer<rqd_mode>.allocate(capacity: 1)
        mode.initialize(
            to: rqd_mode(
                size: UInt32(MemoryLayout<rqd_mode>.size), role: RQD_ROLE_RESOLVER,
                name: immortal(identity.mode)))
        let modes = UnsafeMutablePointer<UnsafePointer<rqd_mode>?>.allocate(capacity: 1)
        modes.initialize(to: UnsafePointer(mode))
        let size = MemoryLayout<rqd_plugin>.size
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: size + MemoryLayout<UnsafeRawPointer>.size, alignment: 8)
        memory.storeBytes(
            of: Unmanaged.passRetained(ResolverPlugin(make: make)).toOpaque(), toByteOffset: size,
            as: UnsafeMutableRawPointer.self)
        let plugin = memory.bindMemory(to: rqd_plugin.self, capacity: 1)
        plugin.initialize(
            to: rqd_plugin(
                size: UInt32(size), abi_major: RQD_ABI_MAJOR, abi_minor: RQD_ABI_MINOR,
                abi_minor_needed: 0, id: immortal(identity.id), version: immortal(version),
                vendor: immortal("rqlited"), url: immortal(""), license: immortal("MIT"),
                modes: UnsafePointer(modes), mode_count: 1, reserved: 0,
                config_schema: immortal(identity.configSchema), create: create, destroy: destroy,
                get_interface: { _, id in ResolverTables.find(id) }))
        return Descriptor(pointer: UnsafePointer(plugin))
    }

    private static func immortal(_ text: String) -> rqd_text {
        let bytes = Array(text.utf8)
        let memory = UnsafeMutablePointer<CChar>.allocate(capacity: max(bytes.count, 1))
        for (index, byte) in bytes.enumerated() { memory[index] = CChar(bitPattern: byte) }
        return rqd_text(data: memory, length: UInt64(bytes.count))
    }

    private static let create:
        @convention(c) (
            UnsafePointer<rqd_plugin>?, UnsafePointer<rqd_host>?, UnsafePointer<rqd_create_args>?,
            UnsafePointer<rqd_sink>?, UnsafeMutablePointer<OpaquePointer?>?
        ) -> rqd_code = { plugin, host, arguments, sink, instance in
            guard let plugin, let host, let arguments, let sink, let instance else {
                return RQD_INTERNAL
            }
            let owner = UnsafeRawPointer(plugin).load(
                fromByteOffset: MemoryLayout<rqd_plugin>.size, as: UnsafeRawPointer.self)
            let make = Unmanaged<ResolverPlugin>.fromOpaque(owner).takeUnretainedValue().make
            return Sink(sink).report { () throws(CallFailure) in
                let resolver = try make(InstanceArguments(arguments.pointee), HostLog(host))
                instance.pointee = OpaquePointer(
                    Unmanaged.passRetained(Instance(resolver)).toOpaque())
            }
        }

    private static let destroy: @convention(c) (OpaquePointer?) -> Void = { instance in
        guard let instance else { return }
        Unmanaged<Instance>.fromOpaque(UnsafeRawPointer(instance)).release()
    }
}

private final class Instance {
    let resolver: any Resolver

    init(_ resolver: any Resolver) { self.resolver = resolver }

    static func of(_ pointer: OpaquePointer?) -> (any Resolver)? {
        pointer.map {
            Unmanaged<Instance>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue().resolver
        }
    }
}

/// The function tables, the same for every instance.
private enum ResolverTables {
    static func find(_ id: rqd_text) -> UnsafeRawPointer? {
        switch String(id) {
        case RQD_RESOLVER_1: tables.resolver
        case RQD_STATUS_1: tables.status
        default: nil
        }
    }

    private struct Tables: @unchecked Sendable {
        /// Constants once made, hence safe to share.
        let resolver: UnsafeRawPointer
        let status: UnsafeRawPointer
    }

    private static let tables: Tables = {
        let resolver = UnsafeMutablePointer<rqd_resolver>.allocate(capacity: 1)
        resolver.initialize(
            to: rqd_resolver(
                size: UInt32(MemoryLayout<rqd_resolver>.size), reserved: 0, resolve: resolve))
        let status = UnsafeMutablePointer<rqd_status>.allocate(capacity: 1)
        status.initialize(
            to: rqd_status(
                size: UInt32(MemoryLayout<rqd_status>.size), reserved: 0, describe: describe))
        return Tables(resolver: UnsafeRawPointer(resolver), status: UnsafeRawPointer(status))
    }()

    private static let resolve:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, sink in
            guard let resolver = Instance.of(instance), let call, let sink else {
                return RQD_INTERNAL
            }
            return Sink(sink).report { () throws(CallFailure) in
                for address in try resolver.resolve(Call(call)) { Sink(sink).emit(address) }
            }
        }

    private static let describe:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, sink in
            guard let resolver = Instance.of(instance), let sink else { return RQD_INTERNAL }
            Sink(sink).emit(text: resolver.describe().text())
            return RQD_OK
        }
}
