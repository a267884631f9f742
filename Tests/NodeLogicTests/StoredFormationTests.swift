import Cluster
import Raft
import Registry
import Testing

@testable import NodeLogic
@testable import WriteAheadLog

/// What a start makes of attempts to come to a cluster that the disk tells of.
@Suite struct StoredFormationTests {
    private let cluster = ClusterID(RandomID(high: 1, low: 2))
    private let registryPlan = FormationPlan.registry(expect: nil, timeout: nil, suffrage: .voter)
    private let plans: [FormationPlan] = [
        .alone, .join(attempts: 1, interval: .seconds(1), suffrage: .voter),
        .bootstrap(expect: 3, timeout: .seconds(1), suffrage: .voter),
        .registry(expect: nil, timeout: nil, suffrage: .voter),
    ]

    private var claim: RegistryState {
        RegistryState(
            claim: RegistryState.Claim(
                nonce: RandomID(high: 3, low: 4),
                value: BootstrapValue(cluster: cluster, members: [Samples.member("1")])))
    }

    @Test func `A new data directory holds none`() throws {
        for plan in plans {
            #expect(try StartPlan.formation(log: LogState(), plan: plan) == StoredFormation())
        }
    }

    @Test func `A claim in a registry goes on where it stopped`() throws {
        var log = LogState()
        log.registry = claim.encoded()
        #expect(try StartPlan.formation(log: log, plan: registryPlan).registry == claim)
    }

    @Test func `Nobody founds a second cluster while a claim may have founded one`() throws {
        var log = LogState()
        log.registry = claim.encoded()
        for plan in [plans[0], plans[2]] {
            let error = #expect(throws: StartError.self) {
                try StartPlan.formation(log: log, plan: plan)
            }
            #expect(error == .claimUnsettled(cluster))
            #expect(error?.description.contains("-disco-mode") == true)
        }
        // Joining another's cluster founds nothing.
        #expect(try StartPlan.formation(log: log, plan: plans[1]).registry == claim)
    }

    @Test func `Nobody founds a second cluster while a founding has not come to the log`() throws {
        var log = LogState()
        let founding = RegistryState(
            claim: nil,
            founding: BootstrapValue(cluster: cluster, members: [Samples.member("1")]))
        log.registry = founding.encoded()
        for plan in [plans[0], plans[2]] {
            #expect(throws: StartError.claimUnsettled(cluster)) {
                try StartPlan.formation(log: log, plan: plan)
            }
        }
        for plan in [plans[1], plans[3]] {
            #expect(try StartPlan.formation(log: log, plan: plan).registry == founding)
        }
    }

    @Test func `A founding that was left for another cluster is settled`() throws {
        var log = LogState()
        let founding = RegistryState(
            claim: nil,
            founding: BootstrapValue(cluster: cluster, members: [Samples.member("1")]))
        log.registry = founding.encoded()
        log.abandonedClusters = [cluster]
        for plan in plans {
            #expect(try StartPlan.formation(log: log, plan: plan) == StoredFormation())
        }
        // Until the log says so.
        log.cluster = cluster
        #expect(try StartPlan.formation(log: log, plan: registryPlan).registry == founding)
    }

    @Test func `Nobody founds a second cluster who has agreed with others on one`() throws {
        let member = Samples.member("1")
        let own = FormationIntroduction(
            identity: NodeIdentity(id: member.id, incarnation: member.incarnation),
            address: member.address, suffrage: .voter, expect: 1)
        var machine = Formation(
            FormationSettings(own, limit: .none), state: AcceptorState(),
            freshClusterID: RandomID(high: 1, low: 1), seed: 1)
        let ballot = Ballot(counter: 1, proposer: member.incarnation)
        let list = CandidateList(
            expect: 1, entries: [.init(address: member.address, incarnation: member.incarnation)])
        machine.requested(.prepare(ballot, list, from: own), by: FormationRequestID(1))
        var log = LogState()
        log.formation = machine.state.encoded()
        for plan in [plans[0], plans[3]] {
            let error = #expect(throws: StartError.self) {
                try StartPlan.formation(log: log, plan: plan)
            }
            #expect(error == .agreementUnsettled)
            #expect(error?.description.contains("-bootstrap-expect") == true)
        }
        for plan in [plans[1], plans[2]] {
            #expect(try StartPlan.formation(log: log, plan: plan).acceptor == machine.state)
        }
    }

    @Test func `In a cluster, an old claim keeps nobody from starting`() throws {
        var log = LogState()
        log.registry = claim.encoded()
        log.cluster = cluster
        for plan in plans { _ = try StartPlan.formation(log: log, plan: plan) }
    }

    @Test func `What can't be read is not taken for nothing`() {
        var log = LogState()
        log.registry = [1, 2, 3]
        let error = #expect(throws: StartError.self) {
            try StartPlan.formation(log: log, plan: registryPlan)
        }
        #expect(error?.description.contains("unreadable") == true)
    }

    @Test func `What a later version wrote is refused with both numbers`() {
        var (agreement, registry, database) = (LogState(), LogState(), LogState())
        agreement.formation = [4]
        registry.registry = [2]
        database.quarantine = [2]
        let first = #expect(throws: StartError.self) {
            try StartPlan.formation(log: agreement, plan: registryPlan)
        }
        let second = #expect(throws: StartError.self) {
            try StartPlan.formation(log: registry, plan: registryPlan)
        }
        let third = #expect(throws: StartError.self) { try StartPlan.quarantine(log: database) }
        let found = [first, second, third].map { $0?.description ?? "none" }
        #expect(found[0].contains("format version 4 is newer than 3"), "\(found[0])")
        #expect(found[1].contains("format version 2 is newer than 1"), "\(found[1])")
        #expect(found[2].contains("format version 2 is newer than 1"), "\(found[2])")
    }

    @Test func `A membership of an entry that the database has not come to is damage`() throws {
        var database = StoredDatabase()
        database.cluster = cluster
        database.membershipIndex = LogIndex(1)
        var log = LogState()
        log.cluster = cluster
        let error = #expect(throws: StartError.self) {
            try StartPlan.restored(log: log, database: database, tail: LogTail())
        }
        #expect(error?.description.contains("damaged") == true)
        // Of a recovery by hand that found a database without rows.
        log.apply(.metadata(.recovered(cluster, Membership(), at: LogIndex(1))))
        _ = try StartPlan.restored(log: log, database: database, tail: LogTail())
    }

    @Test func `A database that names a dropped bootstrap keeps nobody from starting`() throws {
        var database = StoredDatabase()
        database.cluster = cluster
        var log = LogState()
        #expect(throws: StartError.self) {
            try StartPlan.restored(log: log, database: database, tail: LogTail())
        }
        log.abandonedClusters = [cluster]
        _ = try StartPlan.restored(log: log, database: database, tail: LogTail())
        // Nor when the node is about to belong to another.
        log.cluster = ClusterID(RandomID(high: 9, low: 9))
        _ = try StartPlan.restored(log: log, database: database, tail: LogTail())
        // What was applied was not dropped.
        database.position = LogPosition(index: LogIndex(1), term: Term(1))
        log.abandonedClusters = []
        #expect(throws: StartError.self) {
            try StartPlan.restored(log: log, database: database, tail: LogTail())
        }
    }
}
