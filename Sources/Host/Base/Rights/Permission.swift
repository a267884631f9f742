/// What somebody may do, by rqlite's names; an entry of the credentials file lists them.
package enum Permission: String, Sendable, CaseIterable {
    case execute, query, load, backup, snapshot, status, ready, remove, ui, join
    case leaderOperations = "leader-ops"
    case joinReadOnly = "join-read-only"
    /// Means the same as `joinReadOnly`.
    case joinReadReplica = "join-read-replica"
}

/// The permissions of somebody.
package struct Grants: Equatable, Sendable {
    private var permissions: Set<Permission> = []
    private var reading: Set<Permission> = []
    private var hasAll = false
    private var hasAllReading = false

    /// Nothing.
    package init() {}

    /// Adds what a word of the file grants: a permission, `all`, or one of them with `:read` behind
    /// it, which grants only what changes nothing.
    /// - Returns: false for a word that means nothing; it grants nothing.
    package mutating func add(_ word: String) -> Bool {
        let suffix = ":read"
        let onlyReads = word.hasSuffix(suffix)
        let name = onlyReads ? String(word.dropLast(suffix.count)) : word
        if name == "all" {
            if onlyReads { hasAllReading = true } else { hasAll = true }
            return true
        }
        guard let permission = Permission(rawValue: name) else { return false }
        if onlyReads { reading.insert(permission) } else { permissions.insert(permission) }
        return true
    }

    /// Whether the permission is among them, for an operation that changes nothing or any.
    package func contains(_ permission: Permission, isReading: Bool) -> Bool {
        if hasAll || permissions.contains(permission) { return true }
        return isReading && (hasAllReading || reading.contains(permission))
    }
}

/// What an operation asks of who wants it. Every one of `all` must be granted, each by one of its
/// alternatives, to everybody or to the one who asks.
package struct RightsNeed: Equatable, Sendable {
    /// Lists of alternatives.
    package var all: [[Permission]]
    /// The operation changes nothing.
    package var isReading: Bool

    /// Each of the permissions.
    package init(_ permissions: [Permission], isReading: Bool = false) {
        all = permissions.map { [$0] }
        self.isReading = isReading
    }

    /// One of the permissions.
    package init(anyOf permissions: [Permission]) {
        all = [permissions]
        isReading = false
    }

    /// Whether grants to several, such as everybody and one user, meet it together.
    package func isMet(by grants: [Grants]) -> Bool {
        all.allSatisfy { alternatives in
            alternatives.contains { permission in
                grants.contains { $0.contains(permission, isReading: isReading) }
            }
        }
    }
}
