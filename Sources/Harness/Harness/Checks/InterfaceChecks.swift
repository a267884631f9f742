import PluginABI

/// Tables of functions.
enum InterfaceChecks {
    static let all: [Check] = [
        Check(
            "interfaces.complete", "The mode's role is offered with all its functions.",
            rule: Rule.header("Interfaces of an instance"), needs: .direct, isComplete),
        Check(
            "interfaces.unknown", "What it does not have is null.", rule: Rule.interface,
            needs: .direct, knowsItsOwn),
        Check(
            "interfaces.stable", "A table is the same each time and never changes.",
            rule: Rule.interface, needs: .direct, isStable),
    ]

    private static func made(_ bench: Bench) throws(Finding) -> DirectSession {
        let creation = try bench.create()
        guard let session = creation.session as? DirectSession else {
            throw .skipped("no instance can be made; see lifecycle.create")
        }
        return session
    }

    @Sendable private static func isComplete(_ bench: Bench) throws(Finding) {
        let session = try made(bench)
        defer { session.destroy() }
        let isRegistry = bench.role == RQD_ROLE_REGISTRY
        let id = isRegistry ? RQD_REGISTRY_1 : RQD_RESOLVER_1
        guard let table = session.interface(id) else {
            throw .failed(expected: "a table for \(id)", seen: "null")
        }
        let needed = isRegistry ? MemoryLayout<rqd_registry>.size : MemoryLayout<rqd_resolver>.size
        let size = table.load(as: UInt32.self)
        guard size >= UInt32(needed) else {
            throw .failed(expected: "a table of \(needed) bytes for \(id)", seen: "\(size)")
        }
        let requests: [Request] =
            isRegistry
            ? [.read(""), .write("", expected: [], value: []), .erase("", expected: []), .list("")]
            : [.resolve]
        for request in requests where !session.offers(request) {
            throw .failed(expected: "\(id) with \(request.name)", seen: "null")
        }
    }

    @Sendable private static func knowsItsOwn(_ bench: Bench) throws(Finding) {
        let session = try made(bench)
        defer { session.destroy() }
        let other = bench.role == RQD_ROLE_REGISTRY ? RQD_RESOLVER_1 : RQD_REGISTRY_1
        for id in ["org.example.nothing/1", "rqd.resolver/999", "rqd", "", "rqd.watch/1x", other]
        where session.interface(id) != nil {
            throw .failed(
                expected: "null for the interface \"\(id)\"", seen: "a table of something else")
        }
    }

    @Sendable private static func isStable(_ bench: Bench) throws(Finding) {
        let session = try made(bench)
        defer { session.destroy() }
        for (id, size) in [
            (RQD_RESOLVER_1, MemoryLayout<rqd_resolver>.size),
            (RQD_REGISTRY_1, MemoryLayout<rqd_registry>.size),
            (RQD_WATCH_1, MemoryLayout<rqd_watch>.size),
            (RQD_STATUS_1, MemoryLayout<rqd_status>.size),
        ] {
            guard let table = session.interface(id) else { continue }
            let before = Array(UnsafeRawBufferPointer(start: table, count: size))
            _ = try bench.call(session, bench.mainRequest)
            let again = session.interface(id)
            guard again == table,
                Array(UnsafeRawBufferPointer(start: table, count: size)) == before
            else {
                throw .failed(
                    expected: "one table for \(id) as long as the instance lives",
                    seen: again == table ? "it changed" : "another one the second time")
            }
        }
    }
}
