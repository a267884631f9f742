package import Raft
package import Wire

/// Whether a node's database is to be trusted. It stands in the node's log, so that a restart changes
/// nothing (docs/decisions/0082-quarantine.md).
///
///     u8 format (1) | optional cause: text, u64 index, i64 since | i64 last seeding
package struct Quarantine: Equatable, Sendable {
    /// Why the database is not to be trusted.
    package struct Cause: Equatable, Sendable {
        /// What was found, for the operator.
        package var text: String
        /// The entry at which it was found.
        package var index: LogIndex
        /// Milliseconds since 1970.
        package var since: Int64
    }

    /// Nil: nothing is wrong with it.
    package var cause: Cause?
    /// When the node had itself seeded last, in milliseconds since 1970; 0: never.
    package var lastSeeding: Int64 = 0

    private static let format: UInt8 = 1
    /// A node has itself seeded no more often than this: what makes it differ again and again is not
    /// mended by that, and snapshots are dear.
    private static let pause: Int64 = 3_600_000

    package init() {}

    /// Nothing is wrong where nothing was ever written.
    /// - Throws: `WireError` for bytes that no node wrote.
    package init(decoding bytes: [UInt8]?) throws(WireError) {
        guard let bytes else { return }
        var reader = ByteReader(bytes)
        let format = try reader.readByte()
        guard format == Self.format else {
            throw .unsupportedVersion(found: format, supported: Self.format)
        }
        cause = try reader.readOptional { (r) throws(WireError) in
            Cause(text: try r.readText(), index: try LogIndex(from: &r), since: try r.read())
        }
        lastSeeding = try reader.read()
    }

    /// For the record in the log.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.format)
        writer.write(cause) {
            $0.write($1.text)
            $1.index.encode(into: &$0)
            $0.write($1.since)
        }
        writer.write(lastSeeding)
        return writer.bytes
    }

    /// Without an operator's word.
    func maySeedItself(wallMilliseconds: Int64) -> Bool {
        let elapsed = wallMilliseconds.subtractingReportingOverflow(lastSeeding)
        return lastSeeding == 0 || elapsed.overflow || elapsed.partialValue < 0
            || elapsed.partialValue >= Self.pause
    }
}
