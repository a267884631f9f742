internal import Raft
internal import Wire

/// What the log fixed for the whole cluster beside its membership: the limits on writes, and which
/// entries were left out; and when the database was last tidied up. It stands behind the membership in its column, so that files which were
/// written before there was any are read as well:
///
///     u8 format (1) | limits, as a change of all of them | list of skips
///     | list of skips of entries ahead, if there are any or something follows
///     | i64 time of the last VACUUM | i64 of the last PRAGMA optimize, if there was either
///
/// Times are in milliseconds since 1970, 0 for never. A file without all this has the initial limits and
/// no skips.
extension AppliedState {
    private static let decisionsFormat: UInt8 = 1
    /// Skips that are remembered. One is needed from the entry that is left out to the entry that
    /// says so, and those are few.
    static let keptSkips = 64

    func encodeDecisions(into writer: inout ByteWriter) {
        writer.write(Self.decisionsFormat)
        settings.limits.all.encode(into: &writer)
        writer.write(skips) { $1.encode(into: &$0) }
        let hasUpkeep = upkeep != UpkeepTimes()
        if !decided.isEmpty || hasUpkeep { writer.write(decided) { $1.encode(into: &$0) } }
        guard hasUpkeep else { return }
        writer.write(upkeep.vacuum ?? 0)
        writer.write(upkeep.optimize ?? 0)
    }

    /// Counts from when the command was proposed, whatever came of it: that follows from the log alone.
    mutating func noteUpkeep(by command: Command, at milliseconds: Int64) {
        guard let task = UpkeepTask(command), milliseconds != 0 else { return }
        upkeep[task] = milliseconds
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
        guard reader.remaining > 0 else { return }
        let (vacuum, optimize): (Int64, Int64) = (try reader.read(), try reader.read())
        upkeep = UpkeepTimes(
            vacuum: vacuum == 0 ? nil : vacuum, optimize: optimize == 0 ? nil : optimize)
        try reader.expectEnd()
    }
}
