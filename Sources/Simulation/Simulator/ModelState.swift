import Chance
import Raft
import Wire

/// What a client asks of the state machine, as a statement of a command.
package enum ModelStatement: Equatable, Sendable {
    case put(key: Int, value: Int64)
    case add(Int64)
    case get(key: Int)

    /// - Parameter padding: bytes without a meaning that make entries of different sizes.
    func statement(padding: Int = 0) -> Statement {
        let rest = Value.blob(Array(repeating: 0xAA, count: padding))
        switch self {
        case .put(let key, let value):
            return Statement("PUT", positional: [.integer(Int64(key)), .integer(value), rest])
        case .add(let value): return Statement("ADD", positional: [.integer(value), rest])
        case .get(let key): return Statement("GET", positional: [.integer(Int64(key))])
        }
    }

    init?(_ statement: Statement) {
        switch (statement.sql, statement.positional.first) {
        case ("GET", .integer(let key)): self = .get(key: Int(key))
        case ("ADD", .integer(let value)): self = .add(value)
        case ("PUT", .integer(let key)):
            guard case .integer(let value) = statement.positional[1] else { return nil }
            self = .put(key: Int(key), value: value)
        default: return nil
        }
    }

    var isWrite: Bool {
        if case .get = self { false } else { true }
    }
}

/// A small state machine in the place of the database: registers, a list, and a digest of all that
/// was applied, in order. It knows its own position, membership and cluster, as the database does.
package struct ModelState: Equatable, Sendable {
    static let keyCount = 3

    var position = LogPosition.zero
    var cluster: ClusterID?
    var membership = Membership()
    var membershipIndex = LogIndex.zero
    var registers: [Int64] = Array(repeating: 0, count: keyCount)
    var list: [Int64] = []
    /// The time by the last command's stamp; it never goes back.
    var milliseconds = Int64.min
    var digest: UInt64 = 0

    var mark: SnapshotMark {
        SnapshotMark(
            position: position, membership: membership, membershipIndex: membershipIndex)
    }

    /// What a file with this content takes, in the unit of the simulated network.
    var byteCount: Int { 2400 + list.count * 24 }

    /// - Returns: what the entry's client is told; nil for entries of the cluster's own.
    @discardableResult
    mutating func apply(_ entry: Entry) -> CommandResult? {
        position = entry.position
        digest = HistoryDigest.combine(digest, HistoryDigest.ofChange(entry))
        switch entry.payload {
        case .noop: return nil
        case .membership(let membership):
            self.membership = membership
            membershipIndex = entry.index
            return nil
        case .command(let bytes):
            guard case .command(let command)? = try? LogCommand(decoding: bytes) else { return nil }
            milliseconds = max(milliseconds, command.stamp.milliseconds)
            let results = command.statements.map { perform($0) }
            return CommandResult(results, logIndex: entry.index.rawValue)
        }
    }

    /// What a reader finds, with the position at which it did.
    func query(_ command: Command) -> CommandResult {
        var copy = self
        return CommandResult(
            command.statements.map { copy.perform($0) }, logIndex: position.index.rawValue)
    }

    private mutating func perform(_ statement: Statement) -> StatementResult {
        switch ModelStatement(statement) {
        case .put(let key, let value):
            registers[key] = value
            return StatementResult(.changed(lastInsertID: value, rowsAffected: 1))
        case .add(let value):
            list.append(value)
            return StatementResult(.changed(lastInsertID: value, rowsAffected: 1))
        case .get(let key):
            return StatementResult(
                .changed(lastInsertID: registers[key], rowsAffected: 0), isRead: true)
        case nil: return StatementResult(.failed("no such statement"))
        }
    }
}

/// Digests that are the same in every run, which `Hasher` is not.
enum HistoryDigest {
    static func combine(_ digest: UInt64, _ value: UInt64) -> UInt64 {
        var bits = (digest ^ value) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 29) &+ digest &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 32
    }

    /// Of what the entry does to the rows: a membership does nothing to them. One of before a recovery
    /// by hand is void after it, and is applied as an empty entry then.
    static func ofChange(_ entry: Entry) -> UInt64 {
        guard case .membership = entry.payload else { return of(entry) }
        return of(Entry(index: entry.index, term: entry.term, payload: .noop))
    }

    static func of(_ entry: Entry) -> UInt64 {
        var digest = combine(entry.index.rawValue, entry.term.rawValue)
        switch entry.payload {
        case .noop: digest = combine(digest, 1)
        case .command(let bytes):
            digest = combine(digest, 2)
            // Time, seed, kind, key and value; what follows is padding.
            for byte in bytes.prefix(72) { digest = combine(digest, UInt64(byte)) }
            digest = combine(digest, UInt64(bytes.count))
        case .membership(let membership):
            digest = combine(digest, 3)
            for member in membership.members {
                digest = combine(digest, member.incarnation.id.high)
                digest = combine(digest, UInt64(member.suffrage.rawValue))
            }
        }
        return digest
    }
}
