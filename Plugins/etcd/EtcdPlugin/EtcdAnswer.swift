import JSON
import PluginSupport

/// What etcd's gateway answers. It writes 64-bit numbers as strings, bytes as base64, and leaves out
/// what is 0, false or empty.
struct EtcdAnswer {
    struct Record: Equatable {
        var key: [UInt8]
        var value: [UInt8]
        var revision: EtcdRevision
    }

    /// Of the whole store when it answered.
    let revision: Int64
    private let value: JSONValue

    /// Nil where it is no answer of etcd's: each has a header, with a revision behind which another can
    /// be waited for.
    init?(_ value: JSONValue) {
        guard let revision = Self.integer(value["header"]?["revision"]), revision < .max else {
            return nil
        }
        self.revision = revision
        self.value = value
    }

    /// Of a transaction: whether the comparison held.
    var hasSucceeded: Bool { value["succeeded"]?.bool ?? false }

    /// Of a range; nil where one of them can't be read.
    func records() -> [Record]? { Self.records(value) }

    /// Of the range in the failure branch of a transaction.
    func presentRecord() -> Record? {
        let range = value["responses"]?.array?.first?["response_range"]
        return range.flatMap(Self.records)?.first
    }

    /// Whether a range was cut at its limit.
    var hasMore: Bool { value["more"]?.bool ?? false }

    private static func records(_ range: JSONValue) -> [Record]? {
        let found = range["kvs"]?.array ?? []
        let records = found.compactMap(record)
        return records.count == found.count ? records : nil
    }

    private static func record(_ value: JSONValue) -> Record? {
        guard let key = Base64.decode(value["key"]?.string ?? ""),
            let content = Base64.decode(value["value"]?.string ?? ""),
            let modified = integer(value["mod_revision"]), modified > 0,
            let created = integer(value["create_revision"]), created > 0
        else { return nil }
        return Record(
            key: key, value: content, revision: EtcdRevision(modified: modified, created: created))
    }

    static func integer(_ value: JSONValue?) -> Int64? {
        value?.integer ?? value?.string.flatMap { Int64($0) }
    }
}
