import Raft
import Wire

/// One fact in the stream of the log.
///
///     u8 type | u32 length of the content | content
///
///     type  content
///      1    entries: list of entries, contiguous; discards what stands at or after the first
///      2    hard state: u64 term | optional (candidate, incarnation)
///      3    commitIndex: u64
///      4    identity: text node ID | 16 bytes incarnation
///      5    cluster ID: 16 bytes
///      6    database generation: u64
///      7    abandoned cluster: 16 bytes
///      8    state of the formation: bytes up to the end
///      9    bootstrap membership: list of members
///     10    caught up: empty
///     11    boot ID: 16 bytes
///     12    durable mark: empty
///     13    base: u64 index | u64 term; entries through it are compacted
///     14    head: the whole state, first in every segment:
///           optional identity | optional cluster ID | list of abandoned clusters
///           | optional bytes formation | u64 generation | hard state | u64 commitIndex
///           | base | last position | list of (u64 index, membership) | u8 must catch up
///           | optional boot ID | optional bytes registry (not in version 1)
///           | optional bytes quarantine (not in version 1, nor in all of version 2)
///     15    state of a formation through a registry: bytes up to the end
///     16    recovered: 16 bytes cluster ID | u64 index | membership
///     17    whether the database is to be trusted: bytes up to the end
enum LogRecord: Equatable {
    case entries([Entry])
    case hardState(HardState)
    case commitIndex(LogIndex)
    case metadata(MetadataRecord)
    case boot(RandomID)
    case durableMark
    case base(LogPosition)
    case head(LogState)

    private var type: UInt8 {
        switch self {
        case .entries: 1
        case .hardState: 2
        case .commitIndex: 3
        case .metadata(.identity): 4
        case .metadata(.cluster): 5
        case .metadata(.generation): 6
        case .metadata(.abandoned): 7
        case .metadata(.formation): 8
        case .metadata(.bootstrapMembership): 9
        case .metadata(.caughtUp): 10
        case .boot: 11
        case .durableMark: 12
        case .base: 13
        case .head: 14
        case .metadata(.registry): 15
        case .metadata(.recovered): 16
        case .metadata(.quarantine): 17
        }
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(type)
        let lengthOffset = writer.count
        writer.write(UInt32(0))
        encodeContent(into: &writer)
        writer.overwrite(UInt32(writer.count - lengthOffset - 4), at: lengthOffset)
    }

    private func encodeContent(into writer: inout ByteWriter) {
        switch self {
        case .entries(let entries): writer.write(entries) { $1.encode(into: &$0) }
        case .hardState(let hardState): hardState.encode(into: &writer)
        case .commitIndex(let index): index.encode(into: &writer)
        case .metadata(.identity(let identity)): identity.encode(into: &writer)
        case .metadata(.cluster(let cluster)), .metadata(.abandoned(let cluster)):
            cluster.encode(into: &writer)
        case .metadata(.generation(let generation)): writer.write(generation)
        case .metadata(.formation(let bytes)), .metadata(.registry(let bytes)),
            .metadata(.quarantine(let bytes)):
            writer.writeRaw(bytes)
        case .metadata(.bootstrapMembership(let membership)): membership.encode(into: &writer)
        case .metadata(.recovered(let cluster, let membership, let index)):
            cluster.encode(into: &writer)
            index.encode(into: &writer)
            membership.encode(into: &writer)
        case .metadata(.caughtUp), .durableMark: break
        case .boot(let id): id.encode(into: &writer)
        case .base(let position): position.encode(into: &writer)
        case .head(let state): state.encode(into: &writer)
        }
    }

    private static func recovered(
        from reader: inout ByteReader
    ) throws(WireError) -> MetadataRecord {
        let cluster = try ClusterID(from: &reader)
        let index = try LogIndex(from: &reader)
        return .recovered(cluster, try Membership(from: &reader), at: index)
    }

    /// All records of a batch: zeros and the last byte follow them.
    static func all(in reader: inout ByteReader) throws(WireError) -> [LogRecord] {
        var records: [LogRecord] = []
        while true {
            let type = try reader.readByte()
            if type == 0 || type == BatchHeader.lastByte { return records }
            let length = try reader.readCount()
            let end = reader.offset + length
            records.append(try content(type: type, length: length, from: &reader))
            guard reader.offset == end else { throw .trailingBytes(end - reader.offset) }
        }
    }

    private static func content(
        type: UInt8, length: Int, from reader: inout ByteReader
    ) throws(WireError) -> LogRecord {
        switch type {
        case 1:
            .entries(
                try reader.readList(elementSize: 17) { (r) throws(WireError) in
                    try Entry(from: &r)
                })
        case 2: .hardState(try HardState(from: &reader))
        case 3: .commitIndex(try LogIndex(from: &reader))
        case 4: .metadata(.identity(try NodeIdentity(from: &reader)))
        case 5: .metadata(.cluster(try ClusterID(from: &reader)))
        case 6: .metadata(.generation(try reader.read()))
        case 7: .metadata(.abandoned(try ClusterID(from: &reader)))
        case 8: .metadata(.formation(try reader.readRaw(length)))
        case 9: .metadata(.bootstrapMembership(try Membership(from: &reader)))
        case 10: .metadata(.caughtUp)
        case 11: .boot(try RandomID(from: &reader))
        case 12: .durableMark
        case 13: .base(try LogPosition(from: &reader))
        case 14: .head(try LogState(from: &reader, length: length))
        case 15: .metadata(.registry(try reader.readRaw(length)))
        case 16: .metadata(try recovered(from: &reader))
        case 17: .metadata(.quarantine(try reader.readRaw(length)))
        default: throw .invalid(field: "log record type", value: UInt64(type))
        }
    }
}

extension LogState {
    func encode(into writer: inout ByteWriter) {
        writer.write(identity) { $1.encode(into: &$0) }
        writer.write(cluster) { $1.encode(into: &$0) }
        writer.write(abandonedClusters) { $1.encode(into: &$0) }
        writer.write(formation) { $0.write($1) }
        writer.write(generation)
        hardState.encode(into: &writer)
        commitIndex.encode(into: &writer)
        base.encode(into: &writer)
        last.encode(into: &writer)
        writer.write(memberships) {
            $1.index.encode(into: &$0)
            $1.membership.encode(into: &$0)
        }
        writer.write(mustCatchUpBeforeVoting)
        writer.write(bootID) { $1.encode(into: &$0) }
        writer.write(registry) { $0.write($1) }
        writer.write(quarantine) { $0.write($1) }
    }

    /// Without the term runs: they come from the entries.
    /// - Parameter length: of the head; what is left of it tells its version.
    init(from reader: inout ByteReader, length: Int) throws(WireError) {
        let end = reader.offset + length
        identity = try reader.readOptional { (r) throws(WireError) in
            try NodeIdentity(from: &r)
        }
        cluster = try reader.readOptional { (r) throws(WireError) in try ClusterID(from: &r) }
        abandonedClusters = try reader.readList(elementSize: 16) { (r) throws(WireError) in
            try ClusterID(from: &r)
        }
        formation = try reader.readOptional { (r) throws(WireError) in try r.readBytes() }
        generation = try reader.read()
        hardState = try HardState(from: &reader)
        commitIndex = try LogIndex(from: &reader)
        base = try LogPosition(from: &reader)
        last = try LogPosition(from: &reader)
        memberships = try reader.readList(elementSize: 12) { (r) throws(WireError) in
            PlacedMembership(
                index: try LogIndex(from: &r), membership: try Membership(from: &r))
        }
        mustCatchUpBeforeVoting = try reader.readBool()
        bootID = try reader.readOptional { (r) throws(WireError) in try RandomID(from: &r) }
        guard reader.offset < end else { return }
        registry = try reader.readOptional { (r) throws(WireError) in try r.readBytes() }
        guard reader.offset < end else { return }
        quarantine = try reader.readOptional { (r) throws(WireError) in try r.readBytes() }
    }
}
