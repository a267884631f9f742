import Cluster
import NodeMachine
import Raft
import Registry
import Testing

@testable import Replica
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
}
