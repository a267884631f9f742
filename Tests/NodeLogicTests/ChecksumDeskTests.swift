import PeerProtocol
import Raft
import Testing
import Time
import Wire

@testable import NodeLogic

/// When the leader proposes markers for checksums.
@Suite struct ChecksumDeskTests {
    private static let situation = ChecksumDesk.Situation(
        own: NodeID("1"), membership: Membership(), mayPropose: true, commitIndex: LogIndex(9),
        isUnderstood: true)
    private static let now = MonotonicTime(nanoseconds: 1_000_000_000)

    @Test func `A trace from before checksums were switched off ends with the first leader`() {
        var desk = ChecksumDesk(.off)
        desk.begin(isTraced: true)
        #expect(desk.due(Self.situation, now: Self.now)?.tracing == .stop)
        // Once is enough.
        #expect(desk.due(Self.situation, now: Self.now) == nil)
        let marker = ChecksumMarker(tracing: .stop)
        let reading = ChecksumReading(index: LogIndex(10), trace: nil, piece: .none)
        desk.taken(reading, marker, next: nil, now: Self.now)
        #expect(desk.due(Self.situation, now: Self.now + .seconds(3600)) == nil)
    }

    @Test func `Without a trace no marker is proposed while checksums are off`() {
        var desk = ChecksumDesk(.off)
        #expect(desk.due(Self.situation, now: Self.now) == nil)
        desk.begin(isTraced: false)
        #expect(desk.due(Self.situation, now: Self.now) == nil)
    }

    @Test func `A trace that goes on is not begun anew by a start`() {
        var desk = ChecksumDesk(ChecksumSettings())
        desk.begin(isTraced: true)
        #expect(desk.due(Self.situation, now: Self.now)?.tracing == .restart)
    }
}
