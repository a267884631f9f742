import Raft
package import Wire

/// A reply as it travels back to the node that forwarded the request.
///
///     u64 ID | optional address that served | u8 kind | content | since 1.4, if known: what the
///     answer has seen, see ReadSight.swift
///     kind 1  results    command result
///     kind 2  done       –
///     kind 3  nodes      list of node descriptions
///     kind 4  leader     node description
///     kind 5  readiness  u8 case, in the order of `Readiness` | bool or text
///     kind 6  failed     service error
///     kind 7  part       result part; only to nodes of 1.2 and later
///     kind 8  unchanged  –
///     kind 16 limits     the limits, as a change of all of them
///     kind 21 repeated   command result
///     kind 22 done before u64 index
extension Reply {
    package func encode(into writer: inout ByteWriter) {
        writer.write(id.rawValue)
        writer.write(servedBy) { $1.encode(into: &$0) }
        outcome.encode(into: &writer)
        sight?.encode(into: &writer)
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let id = RequestID(try reader.read())
        let servedBy = try reader.readOptional { (r) throws(WireError) in
            try PeerAddress(from: &r)
        }
        self.init(id: id, outcome: try Outcome(from: &reader), servedBy: servedBy)
        if !reader.isAtEnd { sight = try ReadSight(from: &reader) }
    }
}

extension Outcome {
    private enum Kind: UInt8 {
        case results = 1
        case done = 2
        case nodes = 3
        case leader = 4
        case readiness = 5
        case failed = 6
        case part = 7
        case unchanged = 8
        case limits = 16
        case repeated = 21
        case doneBefore = 22
    }

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .results(let result):
            writer.write(Kind.results.rawValue)
            result.encode(into: &writer)
        case .repeated(let result):
            writer.write(Kind.repeated.rawValue)
            result.encode(into: &writer)
        case .doneBefore(let index):
            writer.write(Kind.doneBefore.rawValue)
            index.encode(into: &writer)
        case .part(let part):
            writer.write(Kind.part.rawValue)
            part.encode(into: &writer)
        case .done:
            writer.write(Kind.done.rawValue)
        case .unchanged: writer.write(Kind.unchanged.rawValue)
        case .nodes(let nodes):
            writer.write(Kind.nodes.rawValue)
            writer.write(nodes) { $1.encode(into: &$0) }
        case .leader(let node):
            writer.write(Kind.leader.rawValue)
            node.encode(into: &writer)
        case .readiness(let readiness):
            writer.write(Kind.readiness.rawValue)
            readiness.encode(into: &writer)
        case .limits(let limits):
            writer.write(Kind.limits.rawValue)
            limits.all.encode(into: &writer)
        case .failed(let error):
            writer.write(Kind.failed.rawValue)
            error.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.readByte()
        switch Kind(rawValue: raw) {
        case .results: self = .results(try CommandResult(from: &reader))
        case .repeated: self = .repeated(try CommandResult(from: &reader))
        case .doneBefore: self = .doneBefore(try LogIndex(from: &reader))
        case .done: self = .done
        case .unchanged: self = .unchanged
        case .nodes:
            self = .nodes(
                try reader.readList(elementSize: 17) { (r) throws(WireError) in
                    try NodeDescription(from: &r)
                })
        case .leader: self = .leader(try NodeDescription(from: &reader))
        case .readiness: self = .readiness(try Readiness(from: &reader))
        case .part: self = .part(try ResultPart(from: &reader))
        case .limits:
            self = .limits(WriteLimits.least.applying(try WriteLimitsChange(from: &reader)))
        case .failed: self = .failed(try ServiceError(from: &reader))
        case nil: throw .invalid(field: "outcome", value: UInt64(raw))
        }
    }
}

/// ID | optional API URL | address | version | u8 flags (1 voter, 2 reachable, 4 leader)
/// | optional i64 elapsed | optional error
extension NodeDescription {
    package func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        writer.write(apiURL) { $0.write($1) }
        address.encode(into: &writer)
        writer.write(version)
        writer.write(UInt8((isVoter ? 1 : 0) | (isReachable ? 2 : 0) | (isLeader ? 4 : 0)))
        writer.write(elapsed) { $1.encode(into: &$0) }
        writer.write(error) { $0.write($1) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let id = try NodeID(from: &reader)
        let apiURL = try reader.readOptional { (r) throws(WireError) in try r.readText() }
        let address = try PeerAddress(from: &reader)
        let version = try reader.readText()
        let flags = try reader.readByte()
        guard flags & ~7 == 0 else { throw .invalid(field: "node flags", value: UInt64(flags)) }
        let elapsed = try reader.readOptional { (r) throws(WireError) in try Duration(from: &r) }
        self.init(
            id: id, apiURL: apiURL, address: address, version: version, isVoter: flags & 1 != 0,
            isReachable: flags & 2 != 0, isLeader: flags & 4 != 0, elapsed: elapsed,
            error: try reader.readOptional { (r) throws(WireError) in try r.readText() })
    }
}

extension Readiness {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .ready(let synced):
            writer.write(UInt8(0))
            writer.write(synced)
        case .nodeOnly: writer.write(UInt8(1))
        case .noLeader(let text): Self.encode(2, text, into: &writer)
        case .leaderUnreachable(let text): Self.encode(3, text, into: &writer)
        case .storeNotReady(let text): Self.encode(4, text, into: &writer)
        case .notSynced(let text): Self.encode(5, text, into: &writer)
        case .databaseFailed(let text): Self.encode(6, text, into: &writer)
        }
    }

    private static func encode(_ tag: UInt8, _ text: String, into writer: inout ByteWriter) {
        writer.write(tag)
        writer.write(text)
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let tag = try reader.readByte()
        switch tag {
        case 0: self = .ready(synced: try reader.readBool())
        case 1: self = .nodeOnly
        case 2: self = .noLeader(waitingFor: try reader.readText())
        case 3: self = .leaderUnreachable(try reader.readText())
        case 4: self = .storeNotReady(try reader.readText())
        case 5: self = .notSynced(try reader.readText())
        case 6: self = .databaseFailed(try reader.readText())
        default: throw .invalid(field: "readiness", value: UInt64(tag))
        }
    }
}
