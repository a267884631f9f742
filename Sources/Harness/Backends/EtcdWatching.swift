import JSON

/// Watches of the fake etcd: a line when it begins, and one for the first change. Of what was before
/// it began it knows only records that are still there.
struct EtcdWatching {
    let store: RegistryRecords

    func response(_ body: JSONValue) throws(EtcdFault) -> HTTPResponse {
        guard let request = body["create_request"] else {
            throw .invalid("create_request is expected")
        }
        let key = try EtcdOperations.key(request)
        let start = UInt64(exactly: EtcdOperations.integer(request["start_revision"]) ?? 0) ?? 0
        let store = store
        let before = store.read(key)
        return HTTPResponse(
            200,
            .stream { exchange in
                let created = Self.line([
                    "header": EtcdOperations.header(before.index), "created": true,
                ])
                guard exchange.write(created) else { return }
                var change: JSONValue?
                while change == nil {
                    if exchange.isOver { return }
                    change = Self.change(store.read(key).record, before.record, from: start)
                    if change == nil { exchange.pause() }
                }
                let events = Self.line([
                    "header": EtcdOperations.header(store.index), "events": [change ?? .null],
                ])
                guard exchange.write(events) else { return }
                while !exchange.isOver { exchange.pause() }
            })
    }

    private static func change(
        _ now: RegistryRecords.Record?, _ before: RegistryRecords.Record?, from start: UInt64
    ) -> JSONValue? {
        if let now {
            let isNew = now != before || (start > 0 && now.modifyIndex >= start)
            return isNew ? ["kv": EtcdOperations.record(now)] : nil
        }
        return before.map {
            [
                "type": "DELETE",
                "kv": ["key": .string(Base64Text.encode(Array($0.key.utf8)))],
            ]
        }
    }

    private static func line(_ result: JSONValue) -> [UInt8] {
        var bytes: [UInt8] = []
        JSONValue.object([.init("result", result)]).write(to: &bytes)
        return bytes + [UInt8(ascii: "\n")]
    }
}
