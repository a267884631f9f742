import PeerProtocol
import Raft
import Testing
import Time

@testable import NodeLogic

/// How long a snapshot may be on its way, as its sender's machine has it.
@Suite struct SnapshotTimeTests {
    private static let follower = NodeID("2")
    private static let mark = SnapshotMark(
        position: LogPosition(index: LogIndex(9), term: Term(1)), membership: Membership(),
        membershipIndex: LogIndex(1))

    private static func seconds(_ count: Int) -> MonotonicTime { .zero + .seconds(count) }

    /// One of so many bytes is wanted at the clock's start, and opened at once.
    private func sending(_ byteCount: UInt64) -> SnapshotTraffic {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("n1:4002"),
            apiURL: "http://n1", dataDirectory: "", version: "test")
        let identity = NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))
        var traffic = SnapshotTraffic(
            NodeOptions(identity: identity, engine: "e", settings: settings))
        traffic.wanted(by: Self.follower, now: .zero)
        let opened = OpenedSnapshot(mark: Self.mark, generation: .first, byteCount: byteCount)
        traffic.opened(
            SnapshotSendID(1), .success(opened), cluster: ClusterID(RandomID(high: 0, low: 1)),
            term: Term(1), now: .zero)
        _ = traffic.takeDecisions()
        return traffic
    }

    /// Whether it is given up by that time.
    private func isCancelled(_ traffic: inout SnapshotTraffic, at time: Int) -> Bool {
        traffic.tick(now: Self.seconds(time))
        return traffic.takeDecisions().contains { if case .cancel = $0 { true } else { false } }
    }

    @Test func `A large snapshot may take two seconds for each MiB`() {
        var traffic = sending(4 << 30)
        for time in [781, 780 + 8191] {
            traffic.tick(now: Self.seconds(time))
            let count = traffic.takeDecisions().count
            #expect(count == 0, "after \(time) s")
        }
        traffic.sent(SnapshotSendID(1), .success(()), now: Self.seconds(780 + 8191))
        let reached = traffic.takeDecisions().compactMap { decision -> LogIndex? in
            if case .sent(to: Self.follower, through: let index) = decision { index } else { nil }
        }
        #expect(reached == [LogIndex(9)])
    }

    @Test func `One that takes longer is given up`() {
        var traffic = sending(4 << 30)
        let isGivenUp = isCancelled(&traffic, at: 780 + 8192)
        #expect(isGivenUp)
    }

    @Test func `A small one is given up after the time that all have`() {
        var traffic = sending(4096)
        let isEarly = isCancelled(&traffic, at: 779)
        #expect(!isEarly)
        let isGivenUp = isCancelled(&traffic, at: 780)
        #expect(isGivenUp)
    }
}
