import Testing

@testable import HTTPAPI

/// What of an answer a client has still to take.
@Suite struct TrafficTests {
    private static func traffic(
        written: Int, waiting: Int = 0, unacknowledged: Int, received: Int = 0
    ) -> HTTPTraffic {
        HTTPTraffic(
            received: received, written: written, waiting: waiting,
            unacknowledged: unacknowledged, isMidHead: false, HTTPPaceLimits())
    }

    @Test(arguments: [
        (0, 0, 0), (0, 4095, 0), (0, 4096, 4096), (0, 2_000_000, 2_000_000), (1, 0, 1),
        (1, 100, 101),
    ])
    func `The end of an answer that is all in the socket counts as taken`(
        waiting: Int, unacknowledged: Int, unsent: Int
    ) {
        let traffic = Self.traffic(
            written: 3_000_000, waiting: waiting, unacknowledged: unacknowledged)
        #expect(traffic.unsent == unsent)
        #expect(traffic.taken == 3_000_000 - unsent)
    }

    /// Its acknowledgement takes a while, and it asks at the beat of the looks.
    @Test
    func `Of who asks for little, again and again, the end of an answer may be seen at each look`()
    {
        var machine = HTTP2SessionMachine(HTTPLimits(), now: .zero)
        machine.streamOpened(at: .zero)
        for look in 1...60 {
            machine.tick(
                Self.traffic(
                    written: 100 * look, unacknowledged: 100, received: 50 * look),
                at: .seconds(15 * look))
        }
        let effects = machine.takeEffects()
        #expect(effects.isEmpty)
    }

    @Test func `Who takes nothing of a large answer that the socket has is cut`() {
        var machine = HTTP2SessionMachine(HTTPLimits(), now: .zero)
        machine.streamOpened(at: .zero)
        for look in 1...30 {
            machine.tick(
                Self.traffic(written: 1_000_000, unacknowledged: 900_000),
                at: .seconds(15 * look))
        }
        let effects = machine.takeEffects()
        #expect(effects == [.close])
    }
}
