import Raft
import Testing

@testable import NodeLogic
@testable import WriteAheadLog

/// What a recovery by hand changes, and what it refuses.
@Suite struct RecoveryPlanTests {
    private let before = ClusterID(RandomID(high: 1, low: 1))
    private let old = Samples.voters("1", "2", "3")
    private let wanted = Samples.voters("1", "2")

    private func log(_ cluster: ClusterID, _ membership: Membership) -> LogState {
        var log = LogState()
        log.cluster = cluster
        log.hardState = HardState(term: Term(5))
        log.last = LogPosition(index: LogIndex(9), term: Term(5))
        log.memberships = [.init(index: LogIndex(3), membership: membership)]
        return log
    }

    private func database(_ cluster: ClusterID, _ membership: Membership) -> StoredDatabase {
        StoredDatabase(
            position: LogPosition(index: LogIndex(7), term: Term(5)), cluster: cluster,
            membership: membership, membershipIndex: LogIndex(3))
    }

    @Test func `Interrupted after any step the same recovery goes on where it was`() throws {
        var log = log(before, old)
        var database = database(before, old)
        let first = try RecoveryPlan(wanted, log: log, database: database)
        let cluster = RecoveryPlan.cluster(after: before, wanted)
        #expect(first.step == .logAndDatabase(cluster, from: LogIndex(7)))
        log.apply(.metadata(.recovered(cluster, wanted, at: LogIndex(7))))
        let second = try RecoveryPlan(wanted, log: log, database: database)
        #expect(second.step == .database(cluster, from: LogIndex(7)))
        database.cluster = cluster
        database.membership = wanted
        database.membershipIndex = LogIndex(7)
        #expect(try RecoveryPlan(wanted, log: log, database: database).step == .nothing)
    }

    @Test func `After entries of the new epoch the same members are a new recovery`() throws {
        let cluster = RecoveryPlan.cluster(after: before, wanted)
        var log = log(before, old)
        log.apply(.metadata(.recovered(cluster, wanted, at: LogIndex(7))))
        log.last = LogPosition(index: LogIndex(10), term: log.hardState.term.next)
        let again = try RecoveryPlan(wanted, log: log, database: database(cluster, wanted))
        let next = RecoveryPlan.cluster(after: cluster, wanted)
        #expect(again.step == .logAndDatabase(next, from: LogIndex(7)))
        #expect(next != cluster)
    }

    @Test func `Another recovery than the one begun is refused`() {
        var log = log(before, old)
        let cluster = RecoveryPlan.cluster(after: before, wanted)
        log.apply(.metadata(.recovered(cluster, wanted, at: LogIndex(7))))
        #expect(throws: RecoveryError.otherRecoveryBegun) {
            try RecoveryPlan(
                Samples.voters("1"), log: log, database: database(before, old))
        }
    }

    /// What was set aside has no rows, and its log may be the newest that is left.
    @Test func `A node whose database is not to be trusted is not recovered alone`() throws {
        var log = log(before, old)
        log.identity = NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))
        #expect(try RecoveryPlan.distrust(log) == nil)
        var quarantine = Quarantine()
        quarantine.cause = Quarantine.Cause(text: "rot", index: LogIndex(7), since: 0)
        log.apply(.metadata(.quarantine(quarantine.encoded())))
        #expect(try RecoveryPlan.distrust(log) == "rot")
        let database = database(before, old)
        let replica = Member(
            id: NodeID("2"), incarnation: Samples.incarnation(1), address: PeerAddress("n2:4002"),
            suffrage: .nonvoter)
        for alone in [Samples.voters("1"), Samples.voters("1").setting(replica)] {
            #expect(throws: RecoveryError.untrusted("rot")) {
                try RecoveryPlan(alone, log: log, database: database)
            }
        }
        // Whoever leads then has sound rows, or hands over to who has.
        let both = try RecoveryPlan(wanted, log: log, database: database)
        #expect(both.step != .nothing)
        log.apply(.metadata(.quarantine(Quarantine().encoded())))
        #expect(
            try RecoveryPlan(Samples.voters("1"), log: log, database: database).step != .nothing)
    }

    @Test func `Nodes that were told the same agree on the cluster, others never`() {
        let cluster = RecoveryPlan.cluster(after: before, wanted)
        #expect(cluster == RecoveryPlan.cluster(after: before, wanted))
        #expect(cluster != RecoveryPlan.cluster(after: before, Samples.voters("1", "3")))
        let moved = wanted.setting(
            Member(
                id: NodeID("1"), incarnation: Samples.incarnation(1),
                address: PeerAddress("elsewhere:1"), suffrage: .voter))
        #expect(cluster != RecoveryPlan.cluster(after: before, moved))
    }

    @Test func `The operator's list must name this node and nobody that it never knew`() throws {
        func peers(_ list: (String, String)...) -> [NamedPeer] {
            list.map { NamedPeer(id: NodeID($0), address: PeerAddress($1), isVoter: true) }
        }
        let own = NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))
        func made(_ peers: [NamedPeer]) throws(RecoveryError) -> Membership {
            try RecoveryPlan.membership(of: peers, known: old, own: own)
        }
        let good = try made(peers(("1", "a:1"), ("2", "b:2")))
        #expect(good[NodeID("2")]?.incarnation == Samples.incarnation(1))
        #expect(good[NodeID("2")]?.address == PeerAddress("b:2"))
        #expect(throws: RecoveryError.lacksThisNode(own.id)) { try made(peers(("2", "b:2"))) }
        #expect(throws: RecoveryError.unknownMember(NodeID("9"), known: old)) {
            try made(peers(("1", "a:1"), ("9", "b:2")))
        }
        #expect(throws: RecoveryError.protocolInAddress("http://a:1")) {
            try made(peers(("1", "http://a:1")))
        }
        let long = String(repeating: "a", count: 300)
        for text in [
            "a", "a:x", "a:", "a:0", "a:+1", ":1", "a b:1", "a\n:1", "::1:1", "[::1:1", "a/b:1",
            "\(long):1",
        ] {
            #expect(throws: RecoveryError.invalidAddress(text)) { try made(peers(("1", text))) }
        }
        for text in ["[::1]:1", "b\u{FC}cher:1", "a.b-c_d:65535"] {
            #expect(try made(peers(("1", text))).contains(own.id))
        }
    }
}
