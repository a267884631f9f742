internal import Raft
internal import Wire

/// What the log fixed for the whole cluster beside its membership: the limits on writes, and which
/// entries were left out. It stands behind the membership in its column, so that files which were
/// written before there was any are read as well:
///
///     u8 format (1) | limits, as a change of all of them | list of skips
///     | list of skips of entries ahead, if there are any
///
/// A file without it has the initial limits and no skips.
extension AppliedState {
    private static let decisionsFormat: UInt8 = 1
    /// Skips that are remembered. One is needed from the entry that is left out to the entry that
    /// says so, and those are few.
    static let keptSkips = 64

    func encodeDecisions(into writer: inout ByteWriter) {
        writer.write(Self.decisionsFormat)
        settings.limits.all.encode(into: &writer)
        writer.write(skips) { $1.encode(into: &$0) }
        if !decided.isEmpty { writer.write(decided) { $1.encode(into: &$0) } }
    }

    mutating func decodeDecisions(from reader: inout ByteReader) throws(WireError) {
        guard reader.remaining > 0 else { return }
        let format = try reader.readByte()
        guard format == Self.decisionsFormat else {
            throw .unsupportedVersion(found: format, supported: Self.decisionsFormat)
        }
        settings.limits = WriteLimits.initial.applying(try WriteLimitsChange(from: &reader))
        skips = try reader.readList(elementSize: 20) { (r) throws(WireError) in
            try EntrySkip(from: &r)
        }
        guard reader.remaining > 0 else { return }
        decided = try reader.readList(elementSize: 20) { (r) throws(WireError) in
            try EntrySkip(from: &r)
        }
        try reader.expectEnd()
    }
}
