/// One SQL text with its parameters. The text may hold several SQL statements.
package struct Statement: Equatable, Sendable {
    package struct Named: Equatable, Sendable {
        /// Without the prefix `:`, `@` or `$`.
        package var name: String
        package var value: Value

        package init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    package var sql: String
    package var positional: [Value]
    package var named: [Named]

    package init(_ sql: String, positional: [Value] = [], named: [Named] = []) {
        self.sql = sql
        self.positional = positional
        self.named = named
    }
}

/// What a client wants of its statements, which decides the shape of the results and what is
/// refused.
package enum CommandKind: UInt8, Sendable {
    /// `/db/execute`: statements run for their effect.
    case execute = 0
    /// `/db/query`: statements that only read.
    case query = 1
    /// `/db/request`: either, statement by statement.
    case request = 2
}

/// The clock and the randomness of one log entry. All that SQLite computes from "now" or from
/// chance while the entry is applied comes from here, so every node computes the same rows.
package struct Stamp: Equatable, Sendable {
    /// Milliseconds since 1970 by the proposing leader's wall clock. The state machine never lets
    /// it go back: it uses the larger of this and the last applied entry's.
    package var milliseconds: Int64
    package var seed: UInt64

    package init(milliseconds: Int64, seed: UInt64) {
        self.milliseconds = milliseconds
        self.seed = seed
    }
}

/// The statements of one client request, as they stand in a log entry.
package struct Command: Equatable, Sendable {
    package var kind: CommandKind
    package var statements: [Statement]
    /// All statements in one transaction: the first failure undoes and ends the request.
    package var transaction: Bool
    /// Name result columns `table.column`.
    package var qualifyColumns: Bool
    /// Written by the leader when it proposes.
    package var stamp: Stamp

    package init(
        kind: CommandKind, statements: [Statement], transaction: Bool = false,
        qualifyColumns: Bool = false, stamp: Stamp = Stamp(milliseconds: 0, seed: 0)
    ) {
        self.kind = kind
        self.statements = statements
        self.transaction = transaction
        self.qualifyColumns = qualifyColumns
        self.stamp = stamp
    }
}

/// Options of the database that must be the same on every node; they travel in the log.
package struct ClusterSettings: Equatable, Sendable {
    package var foreignKeys: Bool

    package init(foreignKeys: Bool) {
        self.foreignKeys = foreignKeys
    }
}

/// The content of a log entry that the state machine understands.
///
///     u8 format version (1) | u8 kind | content
///     kind 1  command:  u8 command kind | u8 flags (1 transaction, 2 qualify columns)
///                       | i64 milliseconds | u64 seed | list of statements
///     kind 2  settings: u8 foreign keys
package enum LogCommand: Equatable, Sendable {
    case command(Command)
    case settings(ClusterSettings)

    package static let formatVersion: UInt8 = 1
    /// Where the stamp of an encoded command stands, so that the leader can set it without
    /// encoding again.
    package static let stampOffset = 4

    /// Writes the leader's stamp into an encoded command; content of another kind has none and stays
    /// as it is.
    /// - Parameters:
    ///   - bytes: of `encoded()`.
    ///   - milliseconds: the wall clock, since 1970.
    ///   - seed: decides what the command's statements draw at random.
    package static func stamp(_ bytes: inout [UInt8], milliseconds: Int64, seed: UInt64) {
        guard bytes.count >= stampOffset + 16, bytes[1] == 1 else { return }
        bytes.withUnsafeMutableBytes { buffer in
            buffer.storeBytes(
                of: milliseconds.littleEndian, toByteOffset: stampOffset, as: Int64.self)
            buffer.storeBytes(
                of: seed.littleEndian, toByteOffset: stampOffset + 8, as: UInt64.self)
        }
    }
}

extension Statement {
    package func encode(into writer: inout ByteWriter) {
        writer.write(sql)
        writer.write(positional) { $1.encode(into: &$0) }
        writer.write(named) {
            $0.write($1.name)
            $1.value.encode(into: &$0)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        sql = try reader.readText()
        positional = try reader.readList { (r) throws(WireError) in try Value(from: &r) }
        named = try reader.readList(elementSize: 5) { (r) throws(WireError) in
            Named(name: try r.readText(), value: try Value(from: &r))
        }
    }
}

extension Command {
    package func encode(into writer: inout ByteWriter) {
        writer.write(kind.rawValue)
        writer.write(UInt8((transaction ? 1 : 0) | (qualifyColumns ? 2 : 0)))
        writer.write(stamp.milliseconds)
        writer.write(stamp.seed)
        writer.write(statements) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let rawKind = try reader.readByte()
        guard let kind = CommandKind(rawValue: rawKind) else {
            throw .invalid(field: "command kind", value: UInt64(rawKind))
        }
        self.kind = kind
        let flags = try reader.readByte()
        guard flags & ~3 == 0 else { throw .invalid(field: "command flags", value: UInt64(flags)) }
        transaction = flags & 1 != 0
        qualifyColumns = flags & 2 != 0
        stamp = Stamp(milliseconds: try reader.read(), seed: try reader.read())
        statements = try reader.readList(elementSize: 12) { (r) throws(WireError) in
            try Statement(from: &r)
        }
    }
}

extension LogCommand {
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: 64)
        writer.write(Self.formatVersion)
        switch self {
        case .command(let command):
            writer.write(UInt8(1))
            command.encode(into: &writer)
        case .settings(let settings):
            writer.write(UInt8(2))
            writer.write(settings.foreignKeys)
        }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        let version = try reader.readByte()
        guard version == Self.formatVersion else {
            throw .unsupportedVersion(found: version, supported: Self.formatVersion)
        }
        let kind = try reader.readByte()
        switch kind {
        case 1: self = .command(try Command(from: &reader))
        case 2: self = .settings(ClusterSettings(foreignKeys: try reader.readBool()))
        default: throw .invalid(field: "log command kind", value: UInt64(kind))
        }
        try reader.expectEnd()
    }
}
