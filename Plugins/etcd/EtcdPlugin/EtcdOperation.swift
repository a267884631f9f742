import JSON
import PluginSupport

/// One request to etcd's gateway, before it is known whom it goes to.
struct EtcdOperation {
    /// "/kv/range": what follows the prefix.
    var path: String
    var body: JSONValue
    /// "reading /rqlite/leader": begins every error.
    var purpose: String
    /// Whether it may reach the servers more than once.
    var isRepeatable: Bool
    /// Bytes that the answer may have.
    var answerLimit = 1 << 20
    /// What is in the body and in no text.
    var secrets: [String] = []

    private init(_ path: String, _ purpose: String, isRepeatable: Bool, _ body: JSONValue) {
        self.path = path
        self.body = body
        self.purpose = purpose
        self.isRepeatable = isRepeatable
    }

    /// Linearizable, as etcd's reads are unless one asks for less.
    static func read(_ key: String) -> EtcdOperation {
        EtcdOperation(
            "/kv/range", "reading \(key)", isRepeatable: true, ["key": base64(key)])
    }

    /// Every key that begins so; the prefix ends in no byte 0xFF, as it is UTF-8.
    /// - Parameter after: only keys that follow this one.
    static func list(
        _ prefix: String, after: String? = nil, limit: Int, answerLimit: Int
    ) -> EtcdOperation {
        var end = Array(prefix.utf8)
        end[end.count - 1] += 1
        var operation = EtcdOperation(
            "/kv/range", "listing \(prefix)*", isRepeatable: true,
            [
                // The next key after one is that with a zero byte.
                "key": base64(after.map { $0 + "\0" } ?? prefix),
                "range_end": .string(Base64.encode(end)),
                "limit": .integer(limit),
            ])
        operation.answerLimit = answerLimit
        return operation
    }

    /// Puts the value if the record is at that revision, nil standing for "there is none"; otherwise
    /// the answer has the record as it is.
    static func write(_ key: String, expected: EtcdRevision?, value: [UInt8]) -> EtcdOperation {
        transaction(
            key, "writing \(key)", expected: expected,
            then: [
                "request_put": ["key": base64(key), "value": .string(Base64.encode(value))]
            ])
    }

    static func erase(_ key: String, expected: EtcdRevision) -> EtcdOperation {
        transaction(
            key, "erasing \(key)", expected: expected,
            then: ["request_delete_range": ["key": base64(key)]])
    }

    static func authenticate(_ name: String, _ password: String) -> EtcdOperation {
        var operation = EtcdOperation(
            "/auth/authenticate", "logging in as \(name)", isRepeatable: true,
            ["name": .string(name), "password": .string(password)])
        operation.secrets = [password]
        return operation
    }

    /// Changes of one key, from a revision of the whole store on.
    static func watch(_ key: String, from revision: Int64) -> EtcdOperation {
        EtcdOperation(
            "/watch", "watching \(key)", isRepeatable: true,
            [
                "create_request": [
                    "key": base64(key), "start_revision": .integer(revision),
                ]
            ])
    }

    private static func transaction(
        _ key: String, _ purpose: String, expected: EtcdRevision?, then: JSONValue
    ) -> EtcdOperation {
        func compare(_ target: String, _ name: String, _ revision: Int64) -> JSONValue {
            [
                "key": base64(key), "target": .string(target), "result": "EQUAL",
                name: .integer(revision),
            ]
        }
        let comparison: [JSONValue] =
            if let expected {
                [
                    compare("MOD", "mod_revision", expected.modified),
                    compare("CREATE", "create_revision", expected.created),
                ]
            } else {
                [compare("CREATE", "create_revision", 0)]
            }
        return EtcdOperation(
            "/kv/txn", purpose, isRepeatable: false,
            [
                "compare": .array(comparison), "success": [then],
                "failure": [["request_range": ["key": base64(key)]]],
            ])
    }

    private static func base64(_ text: String) -> JSONValue { .string(Base64.encode(text.utf8)) }
}
