package import Raft
package import Wire

/// A service error: u8 kind, those of `Kind` | what the case carries. Texts are for people; who
/// receives one decides by the kind.
extension ServiceError {
    private enum Kind: UInt8 {
        case notLeader = 1
        case noLeader = 2
        case notReady = 3
        case leadershipLost = 4
        case timedOut = 5
        case busy = 6
        case staleRead = 7
        case linearizableTimeout = 8
        case forwardingFailed = 9
        case requestTooLarge = 10
        case transfer = 11
        case membership = 12
        case diskFull = 13
        case keyTaken = 21
        case otherHistory = 22
        case behind = 23
        case unsuitable = 32
        case notAuthorized = 33
    }

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .notLeader(let leaderURL):
            writer.write(Kind.notLeader.rawValue)
            writer.write(leaderURL) { $0.write($1) }
        case .noLeader(let waitingFor):
            writer.write(Kind.noLeader.rawValue)
            writer.write(waitingFor)
        case .notReady(let text):
            writer.write(Kind.notReady.rawValue)
            writer.write(text)
        case .leadershipLost: writer.write(Kind.leadershipLost.rawValue)
        case .timedOut(let waitingFor):
            writer.write(Kind.timedOut.rawValue)
            writer.write(waitingFor)
        case .busy: writer.write(Kind.busy.rawValue)
        case .staleRead: writer.write(Kind.staleRead.rawValue)
        case .linearizableTimeout(let index):
            writer.write(Kind.linearizableTimeout.rawValue)
            index.encode(into: &writer)
        case .forwardingFailed(let address, let cause):
            writer.write(Kind.forwardingFailed.rawValue)
            address.encode(into: &writer)
            writer.write(cause)
        case .requestTooLarge(let limit):
            writer.write(Kind.requestTooLarge.rawValue)
            writer.write(UInt64(clamping: limit))
        case .transfer(let refusal):
            writer.write(Kind.transfer.rawValue)
            refusal.encode(into: &writer)
        case .membership(let refusal):
            writer.write(Kind.membership.rawValue)
            refusal.encode(into: &writer)
        case .diskFull: writer.write(Kind.diskFull.rawValue)
        case .otherHistory(let wanted):
            writer.write(Kind.otherHistory.rawValue)
            wanted.encode(into: &writer)
        case .behind(let wanted, let applied):
            writer.write(Kind.behind.rawValue)
            wanted.encode(into: &writer)
            applied.encode(into: &writer)
        case .keyTaken(let index):
            writer.write(Kind.keyTaken.rawValue)
            index.encode(into: &writer)
        case .unsuitable(let text):
            writer.write(Kind.unsuitable.rawValue)
            writer.write(text)
        case .notAuthorized(let text):
            writer.write(Kind.notAuthorized.rawValue)
            writer.write(text)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.readByte()
        switch Kind(rawValue: raw) {
        case .notLeader:
            self = .notLeader(
                leaderURL: try reader.readOptional { (r) throws(WireError) in try r.readText() })
        case .noLeader: self = .noLeader(waitingFor: try reader.readText())
        case .notReady: self = .notReady(try reader.readText())
        case .leadershipLost: self = .leadershipLost
        case .timedOut: self = .timedOut(waitingFor: try reader.readText())
        case .busy: self = .busy
        case .staleRead: self = .staleRead
        case .linearizableTimeout: self = .linearizableTimeout(index: try LogIndex(from: &reader))
        case .forwardingFailed:
            self = .forwardingFailed(
                to: try PeerAddress(from: &reader), cause: try reader.readText())
        case .requestTooLarge:
            self = .requestTooLarge(limit: Int(clamping: try reader.read(UInt64.self)))
        case .transfer: self = .transfer(try Refusal(from: &reader))
        case .membership: self = .membership(try Refusal(from: &reader))
        case .diskFull: self = .diskFull
        case .otherHistory: self = .otherHistory(wanted: try CommitMark(from: &reader))
        case .behind:
            self = .behind(
                wanted: try LogIndex(from: &reader), applied: try LogIndex(from: &reader))
        case .keyTaken: self = .keyTaken(try LogIndex(from: &reader))
        case .unsuitable: self = .unsuitable(try reader.readText())
        case .notAuthorized: self = .notAuthorized(try reader.readText())
        case nil: throw .invalid(field: "service error", value: UInt64(raw))
        }
    }
}

/// A refusal of the consensus core: u8 kind | what the case carries.
extension Refusal {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .notLeader(let leader):
            writer.write(UInt8(1))
            writer.write(leader) { $1.encode(into: &$0) }
        case .busy: writer.write(UInt8(2))
        case .transferInProgress: writer.write(UInt8(3))
        case .changeInProgress: writer.write(UInt8(4))
        case .unknownMember: writer.write(UInt8(5))
        case .notCaughtUp: writer.write(UInt8(6))
        case .lastVoter: writer.write(UInt8(7))
        case .noTransferTarget: writer.write(UInt8(8))
        case .transferToSelf: writer.write(UInt8(9))
        case .entryTooLarge(let limit):
            writer.write(UInt8(10))
            writer.write(UInt64(clamping: limit))
        case .alreadyMember: writer.write(UInt8(11))
        case .notPromotable: writer.write(UInt8(12))
        case .wouldLoseQuorum(let silent):
            writer.write(UInt8(13))
            writer.write(silent) { $1.encode(into: &$0) }
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let tag = try reader.readByte()
        switch tag {
        case 1:
            self = .notLeader(
                leader: try reader.readOptional { (r) throws(WireError) in try NodeID(from: &r) })
        case 2: self = .busy
        case 3: self = .transferInProgress
        case 4: self = .changeInProgress
        case 5: self = .unknownMember
        case 6: self = .notCaughtUp
        case 7: self = .lastVoter
        case 8: self = .noTransferTarget
        case 9: self = .transferToSelf
        case 10: self = .entryTooLarge(limit: Int(clamping: try reader.read(UInt64.self)))
        case 11: self = .alreadyMember
        case 12: self = .notPromotable
        case 13:
            self = .wouldLoseQuorum(
                silent: try reader.readList(elementSize: 4) { (r) throws(WireError) in
                    try NodeID(from: &r)
                })
        default: throw .invalid(field: "refusal", value: UInt64(tag))
        }
    }
}
