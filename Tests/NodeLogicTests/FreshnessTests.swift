import PeerProtocol
import Raft
import Service
import Testing

@testable import NodeLogic

/// When a read with a bound on the age of what it sees may be served here.
@Suite struct FreshnessTests {
    private func standing(_ change: (inout Standing) -> Void = { _ in }) -> Standing {
        var standing = Standing()
        standing.isInCluster = true
        standing.sinceLeader = .milliseconds(10)
        standing.commitIndex = LogIndex(5)
        standing.knownCommitIndex = LogIndex(5)
        standing.knowsCommitOfTerm = true
        standing.appliedIndex = LogIndex(5)
        change(&standing)
        return standing
    }

    private let lax = Freshness(limit: .milliseconds(100))
    private let strict = Freshness(limit: .milliseconds(100), strict: true)

    @Test func `A node that heard its leader of late and lacks nothing is fresh`() {
        #expect(standing().isFresh(lax))
        #expect(standing().isFresh(strict))
    }

    @Test func `A node that belongs to no cluster is fresh by no bound`() {
        let alone = Standing()
        #expect(!alone.isFresh(lax))
        #expect(!alone.isFresh(strict))
        #expect(alone.isFresh(Freshness()))
    }

    @Test func `Whose leader has committed nothing yet is not strictly fresh`() {
        let early = standing { $0.knowsCommitOfTerm = false }
        #expect(early.isFresh(lax))
        #expect(!early.isFresh(strict))
    }

    @Test func `A new leader is strictly fresh once it holds what its predecessors acknowledged`() {
        let new = standing { $0.role = .leader }
        #expect(new.isFresh(lax))
        #expect(!new.isFresh(strict))
        #expect(new.isFresh(Freshness()))
        let ready = standing {
            $0.role = .leader
            $0.canServeAsLeader = true
            $0.knownCommitIndex = LogIndex(500)
        }
        #expect(ready.isFresh(strict))
    }

    @Test func `A node that heard of commits which its log lacks is not strictly fresh`() {
        let behind = standing { $0.knownCommitIndex = LogIndex(500) }
        #expect(behind.isFresh(lax))
        #expect(!behind.isFresh(strict))
    }
}
