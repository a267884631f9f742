import Raft
import Service
import Testing
import Time
import Wire

@testable import NodeLogic

/// Reads that wait until the database has come so far: there may be thousands, and it goes on all the time.
struct ParkedTests {
    private var router = RequestRouter(applyTimeout: .seconds(10))

    /// A node whose database stands there.
    private func node(at applied: UInt64, leader: String? = nil) -> Standing {
        var standing = Standing()
        standing.isInCluster = true
        standing.cluster = ClusterID(RandomID(high: 0, low: 1))
        standing.appliedIndex = LogIndex(applied)
        standing.leader = leader.map { NodeID($0) }
        return standing
    }

    private mutating func park(
        _ key: UInt64, awaiting index: UInt64, freshness: Freshness = Freshness()
    ) {
        var options = ReadOptions(level: .none, freshness: freshness)
        options.demand = .index(LogIndex(index))
        let command = Command(kind: .query, statements: [Statement("x")])
        let request = ClientRequest(id: RequestID(key), operation: .command(command, options))
        var standing = node(at: 10)
        standing.sinceLeader = .zero
        _ = router.dispatch(
            PendingRequest(request, key: RequestKey(key), now: .zero), standing, now: .zero)
    }

    /// - Returns: which are tried then.
    private mutating func retry(_ standing: Standing) -> [UInt64] {
        let waiting = router.retry(standing)
        for pending in waiting { _ = router.dispatch(pending, standing, now: .zero) }
        if !waiting.isEmpty { router.tried(standing) }
        return waiting.map(\.key.rawValue)
    }

    @Test mutating func `Only what the database has come up to is tried again`() {
        park(1, awaiting: 20)
        park(2, awaiting: 12)
        #expect(retry(node(at: 10)) == [1, 2])
        #expect(retry(node(at: 10)).isEmpty)
        #expect(retry(node(at: 11)).isEmpty)
        #expect(retry(node(at: 12)) == [2])
        #expect(router.takeDecisions().reads.map(\.key) == [RequestKey(2)])
        // What came since then was not tried yet.
        park(3, awaiting: 30)
        #expect(retry(node(at: 12)) == [3])
        #expect(retry(node(at: 25)) == [1])
        #expect(router.parked.map(\.key) == [RequestKey(3)])
        #expect(retry(node(at: 30)) == [3])
        #expect(router.parked.isEmpty && router.parkedBytes == 0)
    }

    @Test mutating func `All are when something else has changed, too`() {
        park(1, awaiting: 20)
        park(2, awaiting: 30)
        #expect(retry(node(at: 10)) == [1, 2])
        #expect(retry(node(at: 11, leader: "b")) == [1, 2])
        #expect(retry(node(at: 12, leader: "b")).isEmpty)
    }

    @Test mutating func `What goes meanwhile leaves the others in their places`() {
        for key in 1...4 as ClosedRange<UInt64> { park(key, awaiting: 20 + key) }
        #expect(retry(node(at: 10)).count == 4)
        park(5, awaiting: 40)
        router.cancelled([RequestKey(1), RequestKey(3), RequestKey(5)])
        park(6, awaiting: 50)
        #expect(retry(node(at: 11)) == [6])
        #expect(router.parked.map(\.key.rawValue) == [2, 4, 6])
        #expect(retry(node(at: 22)) == [2])
        router.expire(node(at: 22), now: .zero + .seconds(3600))
        #expect(router.parked.isEmpty && router.parkedBytes == 0)
    }

    /// For an index that never comes, say.
    @Test mutating func `What waits for the database leaves places for what waits for a leader`() {
        var limits = RouterLimits()
        limits.parkedRequests = 4
        router = RequestRouter(applyTimeout: .seconds(10), limits: limits)
        for key in 1...3 as ClosedRange<UInt64> { park(key, awaiting: 20) }
        #expect(router.takeDecisions().answers.map(\.key) == [RequestKey(3)])
        let command = Command(kind: .execute, statements: [Statement("x")])
        for key in 4...6 as ClosedRange<UInt64> {
            let request = ClientRequest(
                id: RequestID(key), operation: .command(command, ReadOptions()))
            _ = router.dispatch(
                PendingRequest(request, key: RequestKey(key), now: .zero), node(at: 10), now: .zero)
        }
        #expect(router.takeDecisions().answers.map(\.key) == [RequestKey(6)])
        router.cancelled([RequestKey(4)])
        park(7, awaiting: 20)
        #expect(router.takeDecisions().answers.map(\.key) == [RequestKey(7)])
        router.cancelled([RequestKey(1)])
        park(8, awaiting: 20)
        #expect(router.takeDecisions().answers.isEmpty)
        #expect(router.parked.map(\.key.rawValue) == [2, 5, 8])
    }

    /// On the leader, to go through its log.
    private mutating func propose(
        _ key: UInt64, _ kind: CommandKind, demanding demand: CommitDemand
    ) {
        var options = ReadOptions(level: .strong)
        options.demand = demand
        let command = Command(kind: kind, statements: [Statement("x")])
        let request = ClientRequest(id: RequestID(key), operation: .command(command, options))
        _ = router.dispatch(
            PendingRequest(request, key: RequestKey(key), now: .zero), leading(at: 10), now: .zero)
    }

    private func leading(at applied: UInt64) -> Standing {
        var standing = node(at: applied)
        standing.role = .leader
        return standing
    }

    @Test mutating func `What goes through the log must have seen what it demands, too`() {
        propose(1, .query, demanding: .index(LogIndex(10)))
        #expect(router.takeDecisions().proposals.map(\.key) == [RequestKey(1)])
        propose(2, .query, demanding: .index(LogIndex(20)))
        #expect(router.takeDecisions().proposals.isEmpty)
        #expect(retry(leading(at: 20)) == [2])
        #expect(router.takeDecisions().proposals.map(\.key) == [RequestKey(2)])
        let other = CommitMark(
            cluster: ClusterID(RandomID(high: 0, low: 2)), epoch: 0, index: LogIndex(1))
        propose(3, .request, demanding: .mark(other))
        let decisions = router.takeDecisions()
        #expect(decisions.proposals.isEmpty)
        let errors = decisions.answers.compactMap { answer -> ServiceError? in
            if case .failed(let error) = answer.outcome { error } else { nil }
        }
        #expect(errors == [.otherHistory(wanted: other)])
    }

    /// It may be refused though what it waits for has not come.
    @Test mutating func `Who wants a fresh database is tried whenever it has gone on`() {
        park(1, awaiting: 20, freshness: Freshness(limit: .seconds(1)))
        var fresh = node(at: 10)
        fresh.sinceLeader = .zero
        #expect(retry(fresh) == [1])
        #expect(router.parked.count == 1)
        #expect(retry(node(at: 11)) == [1])
        #expect(router.parked.isEmpty)
    }
}
