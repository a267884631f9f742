import JSON
import Synchronization
import Threads
import Time

/// What a fake Consul answers; see `ConsulServer`.
final class ConsulAPI: Sendable {
    private static let longestWait: UInt64 = 600_000_000_000
    /// Of a time that is waited for: in each unit it is longer than the longest.
    private static let longestNumber: UInt64 = 1 << 24
    private static let usualWait: UInt64 = 300_000_000_000
    private static let maxOperations = 64

    private let records = Mutex(ConsulRecords())
    private let older = Mutex(ConsulRecords())

    // MARK: Beside the plugin

    /// An operation without a condition.
    func force(_ operation: ConsulRecords.Operation) {
        _ = Result {
            try change { records throws(ConsulRecords.Refusal) in try records.run([operation]) }
        }
    }

    func wipe() { records.withLock { $0.wipe() } }

    func value(_ key: String) -> [UInt8]? { records.withLock { $0.entries[key]?.value } }

    // MARK: Requests

    func answer(_ request: ReceivedRequest, _ exchange: HTTPExchange) -> HTTPResponse {
        let root = "/v1/kv/"
        if request.path == "/v1/txn" {
            return request.method == "PUT" ? transact(request) : Self.refusal(of: request.method)
        }
        guard request.path.hasPrefix(root) else { return HTTPResponse(404, text: "no such path") }
        let key = String(request.path.dropFirst(root.count))
        switch request.method {
        case "GET": return get(key, request, exchange)
        case "PUT":
            guard !key.isEmpty else { return HTTPResponse(400, text: "Missing key name") }
            return run(
                .set(
                    key, request.body, flags: request.number("flags") ?? 0,
                    index: request.number("cas")))
        case "DELETE":
            let isTree = request.parameter("recurse") != nil
            return run(isTree ? .deleteTree(key) : .delete(key, index: request.number("cas")))
        default: return Self.refusal(of: request.method)
        }
    }

    private func get(
        _ key: String, _ request: ReceivedRequest, _ exchange: HTTPExchange
    ) -> HTTPResponse {
        let wantsKeys = request.parameter("keys") != nil
        let isTree = wantsKeys || request.parameter("recurse") != nil
        guard isTree || !key.isEmpty else { return HTTPResponse(400, text: "Missing key name") }
        if let index = request.number("index"), index > 0 {
            let wait = request.parameter("wait").flatMap(Self.nanoseconds) ?? Self.usualWait
            let deadline = MonotonicTime.now.nanoseconds + min(wait, Self.longestWait)
            while see(key, isTree).index <= index, MonotonicTime.now.nanoseconds < deadline,
                !exchange.isOver
            {
                exchange.pause()
            }
        }
        let (index, entries) =
            request.parameter("stale") == nil
            ? see(key, isTree) : see(key, isTree, in: older.withLock { $0 })
        var response: HTTPResponse
        if entries.isEmpty {
            response = HTTPResponse(404, text: "")
        } else if wantsKeys {
            response = Self.json(.array(entries.map { .string($0.key) }))
        } else if request.parameter("raw") != nil, !isTree {
            response = HTTPResponse(200, .bytes(entries[0].value))
        } else {
            response = Self.json(.array(entries.map { Self.document($0) }))
        }
        response.set("X-Consul-Index", String(index))
        response.set("X-Consul-KnownLeader", "true")
        response.set("X-Consul-LastContact", "0")
        return response
    }

    private func see(_ key: String, _ isTree: Bool) -> (index: UInt64, [ConsulRecords.Entry]) {
        see(key, isTree, in: records.withLock { $0 })
    }

    private func see(
        _ key: String, _ isTree: Bool, in records: ConsulRecords
    ) -> (index: UInt64, [ConsulRecords.Entry]) {
        isTree
            ? (records.index(below: key), records.list(key))
            : (records.index(of: key), records.entries[key].map { [$0] } ?? [])
    }

    /// What a server that lags behind shows to a read with `stale`: all but the last change.
    private func change<Answer>(
        _ body: (inout ConsulRecords) throws(ConsulRecords.Refusal) -> Answer
    ) throws(ConsulRecords.Refusal) -> Answer {
        try records.withLock { records throws(ConsulRecords.Refusal) in
            let before = records
            let answer = try body(&records)
            if records.index != before.index { older.withLock { $0 = before } }
            return answer
        }
    }

    private func run(_ operation: ConsulRecords.Operation) -> HTTPResponse {
        let isDone: Bool
        do throws(ConsulRecords.Refusal) {
            _ = try change { records throws(ConsulRecords.Refusal) in try records.run([operation]) }
            isDone = true
        } catch {
            isDone = false
        }
        return Self.json(.bool(isDone), didChange: isDone)
    }

    private func transact(_ request: ReceivedRequest) -> HTTPResponse {
        guard let operations = ConsulTransaction.operations(request.body) else {
            return HTTPResponse(400, text: "Failed to parse body")
        }
        guard operations.count <= Self.maxOperations else {
            return HTTPResponse(413, text: "Transaction contains too many operations")
        }
        do {
            let results = try change { records throws(ConsulRecords.Refusal) in
                try records.run(operations)
            }
            let shown = results.map { result in
                let document = Self.document(result.entry, hasValue: result.showsValue)
                return JSONValue.object([.init("KV", document)])
            }
            return Self.json(
                .object([.init("Results", .array(shown)), .init("Errors", .null)]),
                didChange: operations.contains(where: \.isChange))
        } catch {
            let why: JSONValue = ["OpIndex": .integer(error.position), "What": .string(error.why)]
            let document = JSONValue.object([.init("Results", .null), .init("Errors", [why])])
            return HTTPResponse(409, json: document.text())
        }
    }

    // MARK: Documents

    private static func json(_ value: JSONValue, didChange: Bool = false) -> HTTPResponse {
        HTTPResponse(200, json: value.text(), didChange: didChange)
    }

    private static func refusal(of method: String) -> HTTPResponse {
        HTTPResponse(405, text: "method \(method) not allowed")
    }

    /// An empty value is null.
    private static func document(
        _ entry: ConsulRecords.Entry, hasValue: Bool = true
    ) -> JSONValue {
        let isNull = entry.value.isEmpty || !hasValue
        return [
            "LockIndex": 0, "Key": .string(entry.key), "Flags": .integer(entry.flags),
            "Value": isNull ? .null : .string(Base64Text.encode(entry.value)),
            "CreateIndex": .integer(entry.createIndex), "ModifyIndex": .integer(entry.modifyIndex),
        ]
    }

    /// "10s", "250ms" or "5m"; nil for anything else.
    private static func nanoseconds(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isNumber }
        guard let number = UInt64(digits).map({ min($0, longestNumber) }) else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return number * 1_000_000
        case "s": return number * 1_000_000_000
        case "m": return number * 60_000_000_000
        default: return nil
        }
    }
}

extension ReceivedRequest {
    fileprivate func number(_ name: String) -> UInt64? { parameter(name).flatMap { UInt64($0) } }
}
