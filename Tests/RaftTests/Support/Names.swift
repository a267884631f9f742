import Raft

/// Short ways to write nodes, members and entries in tests: node 1 is "1", and its incarnation 0
/// the one it was made with.
func incarnation(_ node: Int, _ number: Int = 0) -> Incarnation {
    Incarnation(RandomID(high: UInt64(node), low: UInt64(number)))
}

func nodeID(_ node: Int) -> NodeID { NodeID("\(node)") }

func identity(_ node: Int, _ number: Int = 0) -> NodeIdentity {
    NodeIdentity(id: nodeID(node), incarnation: incarnation(node, number))
}

func member(_ node: Int, _ suffrage: Suffrage = .voter, incarnation number: Int = 0) -> Member {
    Member(
        id: nodeID(node), incarnation: incarnation(node, number),
        address: PeerAddress("node\(node):4002"), suffrage: suffrage)
}

func index(_ value: UInt64) -> LogIndex { LogIndex(value) }

func position(_ index: UInt64, _ term: UInt64) -> LogPosition {
    LogPosition(index: LogIndex(index), term: Term(term))
}

let testCluster = ClusterID(RandomID(high: 7, low: 7))

extension Entry {
    init(_ index: UInt64, _ term: UInt64, _ text: String) {
        self.init(
            index: LogIndex(index), term: Term(term), payload: .command(Array(text.utf8)))
    }
}

extension Payload {
    var text: String {
        switch self {
        case .noop: "noop"
        case .command(let bytes):
            bytes.count > 16 ? "(\(bytes.count) bytes)" : String(decoding: bytes, as: UTF8.self)
        case .membership(let membership): membership.text
        }
    }
}

extension Membership {
    /// Such as `1 2 3~ 4-`: a learner has a tilde, a nonvoter a minus, and a second incarnation
    /// its number after a stroke.
    var text: String {
        "{"
            + members.map { member in
                let number = member.incarnation.id.low
                let mark =
                    switch member.suffrage {
                    case .voter: ""
                    case .learner: "~"
                    case .nonvoter: "-"
                    }
                return "\(member.id)\(number == 0 ? "" : "/\(number)")\(mark)"
            }.joined(separator: " ") + "}"
    }
}

extension Entry {
    var text: String { "\(position) \(payload.text)" }
}

extension Message {
    var text: String {
        let head = "\(from.id)→\(to) term=\(term) "
        switch body {
        case .voteRequest(let request):
            return head + (request.isPreVote ? "PreVote?" : "Vote?")
                + (request.isTransfer ? " transfer" : "") + " log=\(request.lastLog)"
        case .voteAnswer(let answer):
            return head + (answer.isPreVote ? "PreVote " : "Vote ")
                + (answer.granted ? "granted" : "refused")
        case .appendEntries(let append):
            let entries = append.entries.map(\.text).joined(separator: ", ")
            return head + "Append after=\(append.previous) [\(entries)] "
                + "commit=\(append.commitIndex)"
                + (append.round == 0 ? "" : " round=\(append.round)")
        case .appendAnswer(let answer):
            let round = answer.round == 0 ? "" : " round=\(answer.round)"
            switch answer.result {
            case .matched(let through): return head + "Matched \(through)" + round
            case .mismatched(let previous, let hint):
                return head + "Mismatched \(previous) hint=\(hint)" + round
            }
        case .timeoutNow: return head + "TimeoutNow"
        case .termIsBehind: return head + "TermIsBehind"
        }
    }
}

extension Observation {
    var text: String {
        switch self {
        case .roleChanged(let role, let term): "\(role.rawValue) in term \(term)"
        case .leaderChanged(let leader, let term):
            "leader \(leader?.rawValue ?? "none") in term \(term)"
        case .membershipChanged(let membership, let index):
            "membership \(membership.text) at \(index)"
        case .membershipCommitted(let membership, let index):
            "membership \(membership.text) at \(index) committed"
        case .steppedDown(let reason): "stepped down: \(reason.rawValue)"
        case .messageDropped(let from, let reason): "dropped from \(from.id): \(reason.rawValue)"
        case .messageRefused(let from, let reason): "refused from \(from.id): \(reason.rawValue)"
        case .snapshotRefused(let mark, let reason):
            "snapshot \(mark.position) refused: \(reason.rawValue)"
        case .followerLostEntries(let id, let acknowledged, let holds):
            "\(id) lost entries: acknowledged \(acknowledged), holds \(holds)"
        case .storageStalled(let isStalled): isStalled ? "storage stalled" : "storage writes again"
        case .termsUsedUp(let term): "terms used up at \(term)"
        case .followerUnreachable(let id): "\(id) unreachable"
        case .entriesDiscarded(let from): "discarded from \(from)"
        case .transferFinished(let to, let succeeded):
            "transfer to \(to?.rawValue ?? "none") \(succeeded ? "succeeded" : "failed")"
        }
    }
}
