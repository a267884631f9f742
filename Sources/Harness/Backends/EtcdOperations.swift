import JSON

/// What the fake etcd does with its records.
struct EtcdOperations {
    let store: RegistryRecords

    var header: JSONValue { Self.header(store.index) }

    static func header(_ index: UInt64) -> JSONValue {
        [
            "cluster_id": "14841639068965178418", "member_id": "10276657743932975437",
            "revision": .string(String(index)), "raft_term": "2",
        ]
    }

    static func record(_ record: RegistryRecords.Record) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("key", .string(Base64Text.encode(Array(record.key.utf8)))),
            .init("create_revision", .string(String(record.createIndex))),
            .init("mod_revision", .string(String(record.modifyIndex))),
            .init("version", .string(String(record.version))),
        ]
        if !record.value.isEmpty {
            members.append(.init("value", .string(Base64Text.encode(record.value))))
        }
        return .object(members)
    }

    func range(_ body: JSONValue) throws(EtcdFault) -> [JSONValue.Member] {
        let key = try Self.key(body)
        // What a member that lags behind shows to those who ask for no more.
        let isStale = body["serializable"]?.bool == true
        guard let end = body["range_end"] else {
            let (record, index) = isStale ? store.readStale(key) : store.read(key)
            return Self.range(record.map { [$0] } ?? [], index)
        }
        // The end follows all keys of a prefix; the start is that, or a key among them.
        var prefix = Self.bytes(end) ?? []
        guard let last = prefix.popLast(), last > 0 else {
            throw .invalid("only ranges within one prefix are known here")
        }
        prefix.append(last - 1)
        let found = store.list(prefix: String(decoding: prefix, as: UTF8.self), isStale: isStale)
        let records = found.records.filter { !$0.key.utf8.lexicographicallyPrecedes(key.utf8) }
        let index = found.index
        let limit = Self.integer(body["limit"]) ?? 0
        guard limit > 0, limit < records.count else { return Self.range(records, index) }
        return Self.range(Array(records.prefix(limit)), index, of: records.count)
    }

    private static func range(
        _ records: [RegistryRecords.Record], _ index: UInt64, of count: Int? = nil
    ) -> [JSONValue.Member] {
        var members = [JSONValue.Member("header", header(index))]
        if !records.isEmpty { members.append(.init("kvs", .array(records.map(record)))) }
        if count != nil { members.append(.init("more", true)) }
        let count = count ?? records.count
        if count > 0 { members.append(.init("count", .string(String(count)))) }
        return members
    }

    func put(_ body: JSONValue) throws(EtcdFault) -> [JSONValue.Member] {
        let outcome = store.write(try Self.key(body), try Self.value(body)) { _ in true }
        guard case .done(let record) = outcome else { throw Self.full }
        return [.init("header", Self.header(record.modifyIndex))]
    }

    func delete(_ body: JSONValue) throws(EtcdFault) -> [JSONValue.Member] {
        let outcome = store.erase(try Self.key(body)) { _ in true }
        return [.init("header", header)] + (outcome == nil ? [] : [.init("deleted", "1")])
    }

    /// One key, compared and changed at once.
    func transaction(
        _ body: JSONValue
    ) throws(EtcdFault) -> (answer: [JSONValue.Member], didChange: Bool) {
        let comparisons = try (body["compare"]?.array ?? []).map { value throws(EtcdFault) in
            try EtcdComparison(value)
        }
        let success = body["success"]?.array ?? []
        let failure = body["failure"]?.array ?? []
        guard success.count == 1, failure.count <= 1, let change = success.first else {
            throw .invalid("one success, and at most one failure, are known here")
        }
        let key: String
        let outcome: RegistryRecords.Outcome?
        let kind: String
        func holds(_ record: RegistryRecords.Record?) -> Bool {
            comparisons.allSatisfy { $0.key == key && $0.holds(for: record) }
        }
        if let put = change["request_put"] {
            kind = "response_put"
            key = try Self.key(put)
            outcome = store.write(key, try Self.value(put), if: holds)
        } else if let delete = change["request_delete_range"] {
            kind = "response_delete_range"
            key = try Self.key(delete)
            outcome = store.erase(key, if: holds)
        } else {
            throw .invalid("request_put or request_delete_range is expected in success")
        }
        switch outcome {
        case .full: throw Self.full
        case .done(let record):
            let index = kind == "response_put" ? record.modifyIndex : store.index
            return (
                [
                    .init("header", Self.header(index)), .init("succeeded", true),
                    .init(
                        "responses",
                        [.object([.init(kind, ["header": ["revision": .string(String(index))]])])]),
                ], true
            )
        case .refused, nil:
            return ([.init("header", header)] + (try alternative(failure.first)), false)
        }
    }

    /// The failure branch.
    private func alternative(_ request: JSONValue?) throws(EtcdFault) -> [JSONValue.Member] {
        guard let request else { return [] }
        guard let wanted = request["request_range"] else {
            throw .invalid("request_range is expected in failure")
        }
        let found = JSONValue.object(try range(wanted))
        return [.init("responses", [["response_range": found]])]
    }

    private static let full = EtcdFault(
        503, grpc: 14, "etcdserver: mvcc: database space exceeded")

    static func key(_ body: JSONValue) throws(EtcdFault) -> String {
        guard let bytes = bytes(body["key"]), !bytes.isEmpty,
            let key = String(validating: bytes, as: UTF8.self)
        else { throw .invalid("etcdserver: key is not provided") }
        return key
    }

    private static func value(_ body: JSONValue) throws(EtcdFault) -> [UInt8] {
        guard let value = body["value"] else { return [] }
        guard let bytes = bytes(value) else { throw .invalid("illegal base64 data") }
        return bytes
    }

    static func bytes(_ value: JSONValue?) -> [UInt8]? {
        value?.string.flatMap(Base64Text.decode)
    }

    static func integer(_ value: JSONValue?) -> Int? {
        value.flatMap { $0.integer ?? $0.string.flatMap { Int64($0) } }.flatMap { Int(exactly: $0) }
    }
}

/// One comparison of a transaction.
struct EtcdComparison {
    let key: String
    private let target: String
    private let wanted: Int

    init(_ value: JSONValue) throws(EtcdFault) {
        key = try EtcdOperations.key(value)
        target = value["target"]?.string ?? "VERSION"
        guard (value["result"]?.string ?? "EQUAL") == "EQUAL",
            let member = [
                "CREATE": "create_revision", "MOD": "mod_revision", "VERSION": "version",
            ][
                target],
            let wanted = EtcdOperations.integer(value[member] ?? 0)
        else { throw .invalid("CREATE, MOD and VERSION with EQUAL are known here") }
        self.wanted = wanted
    }

    /// What is not there has 0 of everything.
    func holds(for record: RegistryRecords.Record?) -> Bool {
        switch target {
        case "CREATE": Int(record?.createIndex ?? 0) == wanted
        case "MOD": Int(record?.modifyIndex ?? 0) == wanted
        default: Int(record?.version ?? 0) == wanted
        }
    }
}
