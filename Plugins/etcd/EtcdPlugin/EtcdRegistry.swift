package import JSON
import PluginABI
package import PluginSupport

/// The `etcd-kv` mode: records below `/<disco-key>/` of an etcd cluster, by its JSON gateway.
///
/// `wait` has a gateway of its own, so that it may run beside another call; what the two know in
/// common is in the session, behind a lock.
package final class EtcdRegistry: Registry {
    /// Base64 makes four bytes of three; keys, numbers and JSON's own come on top.
    private static let listLimit = Int(RQD_MAX_RECORDS) * (Int(RQD_MAX_VALUE) * 4 / 3 + 2048)

    /// "/rqlite/": what every key begins with.
    private let root: String
    private let session: EtcdSession
    private let gateway: EtcdGateway
    private let watching: EtcdGateway

    package init(
        _ arguments: InstanceArguments, log: HostLog, environment: (String) -> String?
    ) throws(CallFailure) {
        let configuration = try EtcdConfiguration(arguments.config, environment: environment)
        for notice in configuration.notices { log(.warning, notice) }
        root = "/\(arguments.key)/"
        session = EtcdSession(configuration, log: log)
        gateway = try EtcdGateway(session)
        watching = try EtcdGateway(session)
    }

    package func read(_ name: String, _ call: Call) throws(CallFailure) -> RegistryReading {
        try read(name, by: gateway, call)
    }

    package func write(
        _ name: String, expected: [UInt8]?, value: [UInt8], _ call: Call
    ) throws(CallFailure) -> [UInt8] {
        let key = root + name
        let revision = expected.map(EtcdRevision.init(expected:))
        let answer = try gateway.perform(
            .write(key, expected: revision, value: value), call)
        guard answer.hasSucceeded else { throw Self.conflict(key, answer, expected: revision) }
        return EtcdRevision(
            modified: answer.revision, created: revision?.created ?? answer.revision
        ).bytes
    }

    package func erase(
        _ name: String, expected: [UInt8], _ call: Call
    ) throws(CallFailure) {
        let key = root + name
        let revision = EtcdRevision(expected: expected)
        let answer = try gateway.perform(.erase(key, expected: revision), call)
        guard answer.hasSucceeded else { throw Self.conflict(key, answer, expected: revision) }
    }

    package func list(
        prefix: String, _ call: Call
    ) throws(CallFailure) -> [RegistryRecord] {
        let (records, hasMore) = try list(
            prefix: prefix, after: nil, most: Int(RQD_MAX_RECORDS), call)
        guard !hasMore else {
            throw CallFailure(
                RQD_PROTOCOL,
                "listing \(root + prefix)*: there are more than \(RQD_MAX_RECORDS) records")
        }
        return records
    }

    package func page(
        prefix: String, after: String, most: Int, _ call: Call
    ) throws(CallFailure) -> [RegistryRecord] {
        try list(prefix: prefix, after: after.isEmpty ? nil : after, most: most, call).records
    }

    private func list(
        prefix: String, after: String?, most: Int, _ call: Call
    ) throws(CallFailure) -> (records: [RegistryRecord], hasMore: Bool) {
        let start = root + prefix
        let answer = try gateway.perform(
            .list(
                start, after: after.map { root + $0 }, limit: most, answerLimit: Self.listLimit),
            call)
        guard let records = answer.records() else {
            throw CallFailure(
                RQD_PROTOCOL, "listing \(start)*: a record in the answer can't be read")
        }
        let named = records.map { record in
            RegistryRecord(
                name: String(decoding: record.key.dropFirst(root.utf8.count), as: UTF8.self),
                value: record.value, revision: record.revision.bytes)
        }
        return (named, answer.hasMore)
    }

    /// Reads first: a store that was wiped, and may never reach the token's revision again, shows at
    /// once; and a revision that was just read is not compacted yet. Then changes after it are
    /// watched.
    package func wait(
        for name: String, token: [UInt8], _ call: Call
    ) throws(CallFailure) -> [UInt8]? {
        guard let seen = EtcdToken(token) else { return nil }
        let reading = try read(name, by: watching, call)
        guard let bytes = reading.token, let now = EtcdToken(bytes),
            now.modified == seen.modified, now.store >= seen.store
        else { return reading.token }
        let watch = EtcdWatch()
        let operation = EtcdOperation.watch(root + name, from: now.store + 1)
        try watching.follow(operation, call) { watch.take($0) }
        if let refusal = watch.refusal {
            // Another token, next time.
            session.refused(session.credentials)
            throw CallFailure(RQD_UNAVAILABLE, "\(operation.purpose): etcd ended it: \(refusal)")
        }
        return nil
    }

    package func describe() -> JSONValue { session.describe() }

    private func read(
        _ name: String, by gateway: EtcdGateway, _ call: Call
    ) throws(CallFailure) -> RegistryReading {
        let key = root + name
        let answer = try gateway.perform(.read(key), call)
        guard let records = answer.records(), records.count <= 1 else {
            throw CallFailure(RQD_PROTOCOL, "reading \(key): the answer can't be read")
        }
        let token = EtcdToken(
            store: answer.revision, modified: records.first?.revision.modified ?? 0)
        return RegistryReading(
            record: records.first.map {
                RegistryRecord(name: name, value: $0.value, revision: $0.revision.bytes)
            }, token: token.bytes)
    }

    private static func conflict(
        _ key: String, _ answer: EtcdAnswer, expected: EtcdRevision?
    ) -> CallFailure {
        guard let present = answer.presentRecord() else {
            // If the record had to be absent it has come and gone.
            return CallFailure(
                expected == nil ? RQD_CONFLICT : RQD_ABSENT, "there is no record \(key)")
        }
        let wanted = expected.map { "at revision \($0.modified)" } ?? "absent"
        return CallFailure(
            RQD_CONFLICT, "\(key) is at revision \(present.revision.modified), not \(wanted)")
    }
}
