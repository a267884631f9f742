package import PluginABI

/// What a stock plugin tells of itself.
package struct PluginIdentity {
    package var id: String
    package var mode: String
    /// JSON Schema.
    package var configSchema: String

    package init(id: String, mode: String, configSchema: String) {
        self.id = id
        self.mode = mode
        self.configSchema = configSchema
    }
}

/// The descriptor of a plugin. Unchecked, for what it points at is a constant once made, hence safe
/// to share.
package struct PluginDescriptor: @unchecked Sendable {
    package let pointer: UnsafePointer<rqd_plugin>
}

/// A plugin of one mode as the ABI wants it: the descriptor, and C functions that find their way back
/// to Swift. `ResolverPlugin` and `RegistryPlugin` add the tables of their role.
///
///     rqd_plugin    followed in memory by a reference to this object; lives until the process ends
///     rqd_instance  a reference to an `Instance`, given back by `destroy`
final class StockPlugin {
    typealias Make = (InstanceArguments, HostLog) throws(CallFailure) -> Instance

    private static let version = "1.0.0"

    private let make: Make

    private init(make: @escaping Make) { self.make = make }

    /// Never freed, as the ABI has it: to be called once.
    /// - Parameter role: one of `RQD_ROLE_*`.
    static func descriptor(
        _ identity: PluginIdentity, role: UInt32, make: @escaping Make
    ) -> PluginDescriptor {
        let mode = UnsafeMutablePointer<rqd_mode>.allocate(capacity: 1)
        mode.initialize(
            to: rqd_mode(
                size: UInt32(MemoryLayout<rqd_mode>.size), role: role,
                name: immortal(identity.mode)))
        let modes = UnsafeMutablePointer<UnsafePointer<rqd_mode>?>.allocate(capacity: 1)
        modes.initialize(to: UnsafePointer(mode))
        let size = MemoryLayout<rqd_plugin>.size
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: size + MemoryLayout<UnsafeRawPointer>.size, alignment: 8)
        memory.storeBytes(
            of: Unmanaged.passRetained(StockPlugin(make: make)).toOpaque(), toByteOffset: size,
            as: UnsafeMutableRawPointer.self)
        let plugin = memory.bindMemory(to: rqd_plugin.self, capacity: 1)
        plugin.initialize(
            to: rqd_plugin(
                size: UInt32(size), abi_major: RQD_ABI_MAJOR, abi_minor: RQD_ABI_MINOR,
                abi_minor_needed: 0, id: immortal(identity.id), version: immortal(version),
                vendor: immortal("rqlited"), url: immortal(""), license: immortal("MIT"),
                modes: UnsafePointer(modes), mode_count: 1, reserved: 0,
                config_schema: immortal(identity.configSchema), create: create, destroy: destroy,
                get_interface: { instance, id in Instance.of(instance)?.table(id) }))
        return PluginDescriptor(pointer: UnsafePointer(plugin))
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
            let make = Unmanaged<StockPlugin>.fromOpaque(owner).takeUnretainedValue().make
            return Sink(sink).report { () throws(CallFailure) in
                let made = try make(InstanceArguments(arguments.pointee), HostLog(host))
                instance.pointee = OpaquePointer(Unmanaged.passRetained(made).toOpaque())
            }
        }

    private static let destroy: @convention(c) (OpaquePointer?) -> Void = { instance in
        guard let instance else { return }
        Unmanaged<Instance>.fromOpaque(UnsafeRawPointer(instance)).release()
    }
}
