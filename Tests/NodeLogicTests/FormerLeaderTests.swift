import Raft
import Service
import Testing
import Time
import Wire

@testable import NodeLogic

/// What was sent on to a leader that leads no more.
struct FormerLeaderTests {
    private var router = RequestRouter(applyTimeout: .seconds(10))

    private func at(_ seconds: Int) -> MonotonicTime { .zero + .seconds(seconds) }

    private func standing(_ leader: String?) -> Standing {
        var standing = Standing()
        standing.leader = leader.map { NodeID($0) }
        standing.leaderAddress = leader.map { PeerAddress("\($0):1") }
        return standing
    }

    /// To "b".
    private mutating func send(timeout: Duration) {
        let command = Command(kind: .execute, statements: [Statement("x")])
        let request = ClientRequest(
            id: RequestID(1), operation: .command(command, ReadOptions()), timeout: timeout)
        _ = router.dispatch(
            PendingRequest(request, key: RequestKey(1), now: at(0)), standing("b"), now: at(0))
        #expect(router.takeDecisions().forwards.count == 1)
        router.expire(standing("b"), now: at(1))
    }

    /// - Returns: what the client is told then.
    private mutating func answer(_ leader: String?, at seconds: Int) -> [ServiceError] {
        router.expire(standing(leader), now: at(seconds))
        return router.takeDecisions().answers.compactMap {
            if case .failed(let error) = $0.outcome { error } else { nil }
        }
    }

    @Test mutating func `Who leads no more is not waited for as long as the leader is`() {
        send(timeout: .seconds(600))
        #expect(answer("b", at: 300).isEmpty)
        #expect(answer(nil, at: 301).isEmpty)
        #expect(answer("c", at: 302).isEmpty)
        #expect(answer("c", at: 340).isEmpty)
        let cause = "it leads no more, and did not answer"
        #expect(
            answer("c", at: 341) == [.forwardingFailed(to: PeerAddress("b:1"), cause: cause)])
    }

    @Test mutating func `Who leads again is waited for again`() {
        send(timeout: .seconds(600))
        #expect(answer(nil, at: 10).isEmpty)
        #expect(answer("b", at: 20).isEmpty)
        #expect(answer("b", at: 600).isEmpty)
        #expect(answer("b", at: 601) == [.timedOut(waitingFor: "the leader at b:1")])
    }

    @Test mutating func `A request's own time counts where it is shorter`() {
        send(timeout: .seconds(30))
        #expect(answer("c", at: 2).isEmpty)
        #expect(answer("c", at: 30).isEmpty)
        #expect(answer("c", at: 31) == [.timedOut(waitingFor: "the leader at b:1")])
    }
}
