/// One SQL text with its parameters. The text may hold several SQL statements.
package struct Statement: Equatable, Sendable {
    /// A parameter with a name, without `:`, `@` or `$`.
    package struct Named: Equatable, Sendable {
        /// Without the prefix `:`, `@` or `$`.
        package var name: String
        /// What is bound to the name.
        package var value: Value

        package init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    /// One statement or several, as the client wrote them.
    package var sql: String
    /// Bound in order to `?` and `?NNN`.
    package var positional: [Value]
    /// Bound by name.
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
    /// What the statements' random functions begin with.
    package var seed: UInt64

    package init(milliseconds: Int64, seed: UInt64) {
        self.milliseconds = milliseconds
        self.seed = seed
    }
}

/// The statements of one client request, as they stand in a log entry.
package struct Command: Equatable, Sendable {
    /// Which of rqlite's three routes it came by.
    package var kind: CommandKind
    /// Run in their order.
    package var statements: [Statement]
    /// All statements in one transaction: the first failure undoes and ends the request. A query goes on.
    package var transaction: Bool
    /// Name result columns `table.column`.
    package var qualifyColumns: Bool
    /// Written by the leader when it proposes.
    package var stamp: Stamp
    /// Under which it may be sent again; never of a query.
    package var key: RepeatKey?

    package init(
        kind: CommandKind, statements: [Statement], transaction: Bool = false,
        qualifyColumns: Bool = false, stamp: Stamp = Stamp(milliseconds: 0, seed: 0),
        key: RepeatKey? = nil
    ) {
        self.key = key
        self.kind = kind
        self.statements = statements
        self.transaction = transaction
        self.qualifyColumns = qualifyColumns
        self.stamp = stamp
    }

    /// It goes through the log whatever its statements are.
    package var isEntry: Bool { kind == .execute || key != nil }
}

/// Options of the database that must be the same on every node; they travel in the log.
package struct ClusterSettings: Equatable, Sendable {
    /// Foreign keys are enforced in every request, unless it says otherwise for itself.
    package var foreignKeys: Bool
    /// Changed by entries of their own.
    package var limits: WriteLimits

    package init(foreignKeys: Bool, limits: WriteLimits = .initial) {
        self.foreignKeys = foreignKeys
        self.limits = limits
    }
}

/// The content of a log entry that the state machine understands.
///
///     u8 format version (1) | u8 kind | content
///     kind 1  command:  u8 command kind | u8 flags (1 transaction, 2 qualify columns,
///                       4 there is a key) | i64 milliseconds | u64 seed | list of statements
///                       | since 1.4, if there is one: key, see RepeatKey.swift
///     kind 2  settings: u8 foreign keys; the limits stay as they are
///     kind 3  limits:   list of u8 limit | u64 value, see WriteLimits.swift
///     kind 4  skip:     u64 index | u32 CRC-32C of the entry's payload | u32 text | u32 offset
///     kind 5  checksum: u8 tracing | optional piece, see ChecksumMarker.swift
///     kind 6  load:     a database file, see DatabaseImage.swift
///     kind 7  part:     a part of a database file, see LoadPart.swift
///     kind 8  end:      what becomes of these parts, see LoadPart.swift
package enum LogCommand: Equatable, Sendable {
    case command(Command)
    case settings(ClusterSettings)
    /// Changes some of the limits on writes, for the entries that follow.
    case limits(WriteLimitsChange)
    /// An earlier entry is not applied.
    case skip(EntrySkip)
    /// All nodes take their checksums here.
    case checksum(ChecksumMarker)
    /// A database takes the place of the one that is there. The daemon's own rows stay.
    case load(DatabaseImage)
    /// A part of a database that is too large for one entry is kept, for `loadEnd`.
    case loadPart(LoadPart)
    /// All parts are there, or not wanted any more.
    case loadEnd(LoadEnd)

    /// The first byte of an entry's content; others are refused.
    package static let formatVersion: UInt8 = 1
    /// Whether an entry's content is a skip, by its first bytes alone.
    package static func isSkip(_ bytes: [UInt8]) -> Bool {
        bytes.count > 2 && bytes[0] == formatVersion && bytes[1] == 4
    }

    /// Where the stamp of an encoded command stands, so that the leader can set it without
    /// encoding again.
    package static let stampOffset = 4

    /// The leader's clock in an entry's content, milliseconds since 1970; nil of what has no stamp.
    package static func milliseconds(of bytes: [UInt8]) -> Int64? {
        guard bytes.count >= stampOffset + 16, bytes[0] == formatVersion,
            [1, 7, 8].contains(bytes[1])
        else { return nil }
        return bytes.withUnsafeBytes {
            Int64(littleEndian: $0.loadUnaligned(fromByteOffset: stampOffset, as: Int64.self))
        }
    }

    /// Writes the leader's stamp into an encoded command. The parts of a load have one, too. Of anything
    /// else, as of settings, which have no stamp, nothing is changed: the bytes may have come from another node.
    /// - Parameters:
    ///   - bytes: of `encoded()`.
    ///   - milliseconds: the wall clock, since 1970.
    ///   - seed: decides what the command's statements draw at random.
    package static func stamp(_ bytes: inout [UInt8], milliseconds: Int64, seed: UInt64) {
        guard bytes.count >= stampOffset + 16, [1, 7, 8].contains(bytes[1]) else { return }
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
        writer.write(UInt8((transaction ? 1 : 0) | (qualifyColumns ? 2 : 0) | (key == nil ? 0 : 4)))
        writer.write(stamp.milliseconds)
        writer.write(stamp.seed)
        writer.write(statements) { $1.encode(into: &$0) }
        key?.encode(into: &writer)
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let rawKind = try reader.readByte()
        guard let kind = CommandKind(rawValue: rawKind) else {
            throw .invalid(field: "command kind", value: UInt64(rawKind))
        }
        self.kind = kind
        let flags = try reader.readByte()
        guard flags & ~7 == 0 else { throw .invalid(field: "command flags", value: UInt64(flags)) }
        transaction = flags & 1 != 0
        qualifyColumns = flags & 2 != 0
        stamp = Stamp(milliseconds: try reader.read(), seed: try reader.read())
        statements = try reader.readList(elementSize: 12) { (r) throws(WireError) in
            try Statement(from: &r)
        }
        if flags & 4 != 0 { key = try RepeatKey(from: &reader) }
    }
}

extension LogCommand {
    /// The content of a log entry.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: roomHint)
        writer.write(Self.formatVersion)
        switch self {
        case .command(let command):
            writer.write(UInt8(1))
            command.encode(into: &writer)
        case .settings(let settings):
            writer.write(UInt8(2))
            writer.write(settings.foreignKeys)
        case .limits(let change):
            writer.write(UInt8(3))
            change.encode(into: &writer)
        case .skip(let skip):
            writer.write(UInt8(4))
            skip.encode(into: &writer)
        case .checksum(let marker):
            writer.write(UInt8(5))
            marker.encode(into: &writer)
        case .load(let image):
            writer.write(UInt8(6))
            image.encode(into: &writer)
        case .loadPart(let part):
            writer.write(UInt8(7))
            part.encode(into: &writer)
        case .loadEnd(let end):
            writer.write(UInt8(8))
            end.encode(into: &writer)
        }
        return writer.bytes
    }

    /// About as many bytes as `encoded` gives, so that they need not be moved while they are written.
    private var roomHint: Int {
        guard case .command(let command) = self else { return 64 }
        return command.statements.reduce(64) {
            $0 + $1.sql.utf8.count + 16 * ($1.positional.count + $1.named.count + 1)
        }
    }

    /// - Throws: `WireError` for an unknown version or kind, bytes that are missing, and bytes that
    ///   are too many.
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
        case 3: self = .limits(try WriteLimitsChange(from: &reader))
        case 4: self = .skip(try EntrySkip(from: &reader))
        case 5: self = .checksum(try ChecksumMarker(from: &reader))
        case 6: self = .load(try DatabaseImage(from: &reader))
        case 7: self = .loadPart(try LoadPart(from: &reader))
        case 8: self = .loadEnd(try LoadEnd(from: &reader))
        default: throw .invalid(field: "log command kind", value: UInt64(kind))
        }
        try reader.expectEnd()
    }
}
