import JSON

/// The state of one record: when it was last written, and when it came into being, as revisions of
/// the whole store.
///
///     "MODIFIED.CREATED" in decimal, as the host keeps it
///
/// The first alone would do while the store lives. With the second, a store that was wiped and filled
/// again by others is less likely to be taken for the old one.
struct EtcdRevision: Equatable {
    var modified: Int64
    var created: Int64

    init(modified: Int64, created: Int64) {
        self.modified = modified
        self.created = created
    }

    init?(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            .map { Int64(String(decoding: $0, as: UTF8.self)) }
        guard parts.count == 2, let modified = parts[0], let created = parts[1] else { return nil }
        self.init(modified: modified, created: created)
    }

    /// What is no revision of etcd's becomes one that no record has: the server then tells whether
    /// there is a record at all.
    init(expected bytes: [UInt8]) {
        self = EtcdRevision(bytes) ?? EtcdRevision(modified: -1, created: -1)
    }

    var bytes: [UInt8] { Array("\(modified).\(created)".utf8) }
}

/// What `wait` compares with: the revision of the whole store when a record was read, and the
/// record's own, 0 if there was none.
///
///     "STORE.MODIFIED" in decimal, as the host keeps it
struct EtcdToken: Equatable {
    var store: Int64
    var modified: Int64

    init(store: Int64, modified: Int64) {
        self.store = store
        self.modified = modified
    }

    init?(_ bytes: [UInt8]) {
        guard let pair = EtcdRevision(bytes) else { return nil }
        self.init(store: pair.modified, modified: pair.created)
    }

    var bytes: [UInt8] { EtcdRevision(modified: store, created: modified).bytes }
}
