import PluginABI

/// The function tables of the interfaces: C functions that call the `Instance` they are given.
///
/// Unchecked, for the tables are constants once made, hence safe to share.
struct InterfaceTables: @unchecked Sendable {
    let resolver = UnsafeRawPointer(
        immortal(
            rqd_resolver(
                size: UInt32(MemoryLayout<rqd_resolver>.size), reserved: 0, resolve: resolve)))
    let registry = UnsafeRawPointer(
        immortal(
            rqd_registry(
                size: UInt32(MemoryLayout<rqd_registry>.size), reserved: 0, read: read,
                write: write, erase: erase, list: list)))
    let pages = UnsafeRawPointer(
        immortal(rqd_pages(size: UInt32(MemoryLayout<rqd_pages>.size), reserved: 0, page: page)))
    let watch = UnsafeRawPointer(
        immortal(rqd_watch(size: UInt32(MemoryLayout<rqd_watch>.size), reserved: 0, wait: wait)))
    let resolverWatch = UnsafeRawPointer(
        immortal(
            rqd_watch(
                size: UInt32(MemoryLayout<rqd_watch>.size), reserved: 0, wait: waitForAddresses)))
    let node = UnsafeRawPointer(
        immortal(
            rqd_node_watch(
                size: UInt32(MemoryLayout<rqd_node_watch>.size), reserved: 0, update: update)))
    let status = UnsafeRawPointer(
        immortal(
            rqd_status(
                size: UInt32(MemoryLayout<rqd_status>.size), reserved: 0, describe: describe)))

    static let shared = InterfaceTables()

    private static func immortal<Table>(_ table: Table) -> UnsafeMutablePointer<Table> {
        let memory = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        memory.initialize(to: table)
        return memory
    }

    private static let resolve:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, sink in
            guard let resolver = Instance.of(instance)?.resolver, let call, let sink else {
                return RQD_INTERNAL
            }
            return Sink(sink).report { () throws(CallFailure) in
                let found: [FoundAddress]
                if let watching = resolver as? any WatchingResolver {
                    let state = try watching.look(Call(call))
                    Sink(sink).emit(token: state.token)
                    found = state.found
                } else {
                    found = try resolver.resolve(Call(call))
                }
                guard !found.isExcessive else {
                    throw CallFailure(
                        RQD_PROTOCOL,
                        "more addresses were found than the \(RQD_MAX_ADDRESSES) that nodes of one "
                            + "cluster may have")
                }
                for address in found { Sink(sink).emit(address) }
            }
        }

    private static let read:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, rqd_text, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, name, sink in
            registryCall(instance, call, sink) { registry, call, sink throws(CallFailure) in
                let reading = try registry.read(String(name), call)
                if let token = reading.token { sink.emit(token: token) }
                guard let record = reading.record else {
                    throw CallFailure(RQD_ABSENT, "there is no record \(String(name))")
                }
                sink.emit(record)
            }
        }

    private static let write:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, rqd_text, rqd_bytes, rqd_bytes,
            UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, name, expected, value, sink in
            registryCall(instance, call, sink) { registry, call, sink throws(CallFailure) in
                let expected = [UInt8](expected)
                let revision = try registry.write(
                    String(name), expected: expected.isEmpty ? nil : expected,
                    value: [UInt8](value), call)
                sink.emit(RegistryRecord(name: String(name), value: [], revision: revision))
            }
        }

    private static let erase:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, rqd_text, rqd_bytes, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, name, expected, sink in
            registryCall(instance, call, sink) { registry, call, _ throws(CallFailure) in
                try registry.erase(String(name), expected: [UInt8](expected), call)
            }
        }

    private static let list:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, rqd_text, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, prefix, sink in
            registryCall(instance, call, sink) { registry, call, sink throws(CallFailure) in
                for record in try registry.list(prefix: String(prefix), call) { sink.emit(record) }
            }
        }

    private static let page:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, rqd_text, rqd_text, UInt32,
            UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, prefix, after, most, sink in
            registryCall(instance, call, sink) { registry, call, sink throws(CallFailure) in
                let records = try registry.page(
                    prefix: String(prefix), after: String(after), most: Int(most), call)
                for record in records { sink.emit(record) }
            }
        }

    private static let wait:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, rqd_text, rqd_bytes, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, name, token, sink in
            registryCall(instance, call, sink) { registry, call, sink throws(CallFailure) in
                if let new = try registry.wait(for: String(name), token: [UInt8](token), call) {
                    sink.emit(token: new)
                }
            }
        }

    private static let waitForAddresses:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, rqd_text, rqd_bytes, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, _, token, sink in
            guard let resolver = Instance.of(instance)?.resolver as? any WatchingResolver,
                let call, let sink
            else { return RQD_INTERNAL }
            return Sink(sink).report { () throws(CallFailure) in
                if let new = try resolver.wait(token: [UInt8](token), Call(call)) {
                    Sink(sink).emit(token: new)
                }
            }
        }

    private static let update:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_call>?, UnsafePointer<rqd_node>?,
            UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, call, node, sink in
            guard let listener = Instance.of(instance)?.resolver as? any NodeListener, let call,
                let node, let sink
            else { return RQD_INTERNAL }
            return Sink(sink).report { () throws(CallFailure) in
                let state = NodeState(
                    id: String(node.pointee.node_id), raftAddress: String(node.pointee.raft_adv),
                    isLeaving: node.pointee.flags & RQD_NODE_LEAVING != 0)
                try listener.update(state, Call(call))
            }
        }

    private static func registryCall(
        _ instance: OpaquePointer?, _ call: UnsafePointer<rqd_call>?,
        _ sink: UnsafePointer<rqd_sink>?,
        _ body: (any Registry, Call, Sink) throws(CallFailure) -> Void
    ) -> rqd_code {
        guard let registry = Instance.of(instance)?.registry, let call, let sink else {
            return RQD_INTERNAL
        }
        return Sink(sink).report { () throws(CallFailure) in
            try body(registry, Call(call), Sink(sink))
        }
    }

    private static let describe:
        @convention(c) (
            OpaquePointer?, UnsafePointer<rqd_sink>?
        ) -> rqd_code = { instance, sink in
            guard let instance = Instance.of(instance), let sink else { return RQD_INTERNAL }
            Sink(sink).emit(text: instance.describe())
            return RQD_OK
        }
}
