import Raft
import Rights
package import Wire

/// A request as one node forwards it to another.
///
///     u64 ID | u8 flags (1 forward) | i64 timeout in ns | u8 code | content
///            | since 1.3, only if there is one, or something behind it: credential, see
///            Credential.swift
///            | since 1.4, only if there is one of both: optional demand | optional mark
///     code 1  command    read options | command
///     code 2  remove     node ID
///     code 3  transfer   optional node ID | bool wait
///     code 4  nodes      bool include nonvoters
///     code 5  leader     –
///     code 6  readiness  bool node only | bool sync
///     code 7  backup     read options | backup request
///     code 8  load       u8 1 database image | u8 2 command
///                        | since 1.4: u8 3, bool boot, part | u8 4, bool boot, end; see LoadPart.swift
///     code 9  boot       database image
///     code 16 limits     optional change of the limits, see WriteLimits.swift
///     code 17 decision   u8 1 try again | u8 2 skip, bool is checked
///     code 18 reseed     –
///     code 19 drop       u32 count, addresses
///     code 20 checkpoint optional u64 entries to keep
///
///     read options: u8 level | optional i64 freshness | bool strict | i64 linearizable timeout
///                   | optional i64 database timeout
extension ClientRequest {
    /// - Parameter id: stands for the request's own, so that a connection can number what it
    ///   carries.
    package func encode(into writer: inout ByteWriter, id: RequestID) {
        writer.write(id.rawValue)
        writer.write(UInt8(forward ? 1 : 0))
        timeout.encode(into: &writer)
        writer.write(operation.code.rawValue)
        switch operation {
        case .command(let command, let options):
            options.encode(into: &writer)
            command.encode(into: &writer)
        case .backup(let backup, let options):
            options.encode(into: &writer)
            backup.encode(into: &writer)
        case .load(let image):
            writer.write(UInt8(1))
            image.encode(into: &writer)
        case .boot(let image): image.encode(into: &writer)
        case .loadPart(let part, let isBoot):
            writer.write(UInt8(3))
            writer.write(isBoot)
            part.encode(into: &writer)
        case .loadEnd(let end, let isBoot):
            writer.write(UInt8(4))
            writer.write(isBoot)
            end.encode(into: &writer)
        case .loadDump(let command):
            writer.write(UInt8(2))
            command.encode(into: &writer)
        case .remove(let node):
            node.encode(into: &writer)
        case .transferLeadership(let target, let wait):
            writer.write(target) { $1.encode(into: &$0) }
            writer.write(wait)
        case .nodes(let includeNonvoters):
            writer.write(includeNonvoters)
        case .leader, .reseed: break
        case .drop(let addresses): writer.write(addresses) { $1.encode(into: &$0) }
        case .checkpoint(let keeping): writer.write(keeping) { $0.write($1) }
        case .readiness(let check):
            writer.write(check.nodeOnly)
            writer.write(check.sync)
        case .limits(let change):
            writer.write(change) { $1.encode(into: &$0) }
        case .applyDecision(.tryAgain):
            writer.write(UInt8(1))
        case .applyDecision(.skip(let skip, let isChecked)):
            writer.write(UInt8(2))
            skip.encode(into: &writer)
            writer.write(isChecked)
        }
        let options = operation.readOptions
        guard options?.demand != nil || options?.unless != nil else {
            return credential.encodeAtEnd(into: &writer)
        }
        credential.encode(into: &writer)
        writer.write(options?.demand) { $1.encode(into: &$0) }
        writer.write(options?.unless) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let id = RequestID(try reader.read())
        let flags = try reader.readByte()
        guard flags & ~1 == 0 else { throw .invalid(field: "request flags", value: UInt64(flags)) }
        let timeout = try Duration(from: &reader)
        let operation = try Self.operation(from: &reader)
        self.init(
            id: id, operation: operation, forward: flags & 1 != 0, timeout: timeout,
            credential: try Credential(atEndOf: &reader))
        guard !reader.isAtEnd, var options = operation.readOptions else { return }
        options.demand = try reader.readOptional { (r) throws(WireError) in
            try CommitDemand(from: &r)
        }
        options.unless = try reader.readOptional { (r) throws(WireError) in
            try CommitMark(from: &r)
        }
        switch operation {
        case .command(let command, _): self.operation = .command(command, options)
        case .backup(let backup, _): self.operation = .backup(backup, options)
        default: break
        }
    }

    private static func operation(from reader: inout ByteReader) throws(WireError) -> Operation {
        let raw = try reader.readByte()
        switch Code(rawValue: raw) {
        case .command:
            let options = try ReadOptions(from: &reader)
            return .command(try Command(from: &reader), options)
        case .backup:
            let options = try ReadOptions(from: &reader)
            return .backup(try BackupRequest(from: &reader), options)
        case .boot: return .boot(try DatabaseImage(from: &reader))
        case .load:
            let form = try reader.readByte()
            switch form {
            case 1: return .load(try DatabaseImage(from: &reader))
            case 2: return .loadDump(try Command(from: &reader))
            case 3:
                let isBoot = try reader.readBool()
                return .loadPart(try LoadPart(from: &reader), isBoot: isBoot)
            case 4:
                let isBoot = try reader.readBool()
                return .loadEnd(try LoadEnd(from: &reader), isBoot: isBoot)
            default: throw .invalid(field: "form of a load", value: UInt64(form))
            }
        case .remove: return .remove(try NodeID(from: &reader))
        case .transferLeadership:
            let target = try reader.readOptional { (r) throws(WireError) in try NodeID(from: &r) }
            return .transferLeadership(to: target, wait: try reader.readBool())
        case .nodes: return .nodes(includeNonvoters: try reader.readBool())
        case .leader: return .leader
        case .reseed: return .reseed
        case .drop:
            return .drop(
                try reader.readList(elementSize: 4, limit: 256) { (r) throws(WireError) in
                    try PeerAddress(from: &r)
                })
        case .checkpoint:
            return .checkpoint(
                keeping: try reader.readOptional { (r) throws(WireError) in try r.read() })
        case .readiness:
            return .readiness(
                ReadinessCheck(nodeOnly: try reader.readBool(), sync: try reader.readBool()))
        case .limits:
            return .limits(
                try reader.readOptional { (r) throws(WireError) in
                    try WriteLimitsChange(from: &r)
                })
        case .applyDecision: return .applyDecision(try decision(from: &reader))
        case nil: throw .invalid(field: "request kind", value: UInt64(raw))
        }
    }

    private static func decision(from reader: inout ByteReader) throws(WireError) -> ApplyDecision {
        let raw = try reader.readByte()
        switch raw {
        case 1: return .tryAgain
        case 2:
            return .skip(try EntrySkip(from: &reader), isChecked: try reader.readBool())
        default: throw .invalid(field: "decision", value: UInt64(raw))
        }
    }
}

extension ReadOptions {
    package func encode(into writer: inout ByteWriter) {
        writer.write(level.rawValue)
        writer.write(freshness.limit) { $1.encode(into: &$0) }
        writer.write(freshness.strict)
        linearizableTimeout.encode(into: &writer)
        writer.write(databaseTimeout) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.readByte()
        guard let level = ConsistencyLevel(rawValue: raw) else {
            throw .invalid(field: "consistency level", value: UInt64(raw))
        }
        let limit = try reader.readOptional { (r) throws(WireError) in try Duration(from: &r) }
        let freshness = Freshness(limit: limit, strict: try reader.readBool())
        let linearizableTimeout = try Duration(from: &reader)
        self.init(
            level: level, freshness: freshness, linearizableTimeout: linearizableTimeout,
            databaseTimeout: try reader.readOptional { (r) throws(WireError) in
                try Duration(from: &r)
            })
    }
}
