@testable import Raft

/// Nodes brought into a role by hand, for tests of one rule.
enum Elected {
    static var settings: RaftSettings {
        var settings = RaftSettings()
        settings.electionTicks = 10
        settings.heartbeatTicks = 2
        settings.quorumTicks = 10
        return settings
    }

    static func follower(
        _ disk: TestDisk = .bootstrapped(Membership([member(1), member(2), member(3)])),
        settings: RaftSettings = settings
    ) -> RaftMachine {
        RaftMachine(
            identity: identity(1), cluster: testCluster, settings: settings,
            restored: disk.restored, seed: 1)
    }

    /// Node 1 leads term 2 of nodes 1 to 3; its first entry (2:2) is durable here, and committed
    /// if `isReady`.
    static func leader(isReady: Bool = true, settings: RaftSettings = settings) -> RaftMachine {
        var raft = follower(settings: settings)
        raft.campaign()
        _ = raft.takeEffects()
        raft.receive(message(2, term: 2, .voteAnswer(.init(isPreVote: true, granted: true))))
        raft.settleWrites()
        raft.receive(message(2, term: 2, .voteAnswer(.init(isPreVote: false, granted: true))))
        raft.settleWrites()
        if isReady {
            raft.receive(matched(2, 2))
            raft.receive(matched(3, 2))
            raft.applied(through: raft.commitIndex)
            _ = raft.takeEffects()
        }
        return raft
    }

    static func message(_ from: Int, term: UInt64, _ body: Message.Body) -> Message {
        Message(
            cluster: testCluster, from: identity(from), to: nodeID(1), term: Term(term),
            body: body)
    }

    static func matched(_ from: Int, _ through: UInt64, term: UInt64 = 2, round: UInt64 = 0)
        -> Message
    {
        message(
            from, term: term,
            .appendAnswer(.init(result: .matched(through: LogIndex(through)), round: round)))
    }

    static func append(
        _ from: Int = 2, term: UInt64, after previous: LogPosition, _ entries: [Entry] = [],
        commit: UInt64 = 1
    ) -> Message {
        message(
            from, term: term,
            .appendEntries(
                .init(
                    previous: previous, entries: entries, commitIndex: LogIndex(commit),
                    round: 0)))
    }
}

extension RaftMachine {
    /// Everything asked for so far is durable; what the node did besides is dropped.
    mutating func settleWrites() {
        while let persist = takeEffects().persist { persisted(persist.ticket) }
    }
}

extension Effects {
    /// Appended entries by receiver.
    func appends(to node: Int) -> [Message.AppendEntries] {
        messages.compactMap { message in
            guard message.to == nodeID(node), case .appendEntries(let append) = message.body else {
                return nil
            }
            return append
        }
    }
}
