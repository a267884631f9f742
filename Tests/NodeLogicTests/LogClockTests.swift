import Testing

@testable import NodeLogic

/// The clock of the log never goes back: where a leader's was ahead once, it stands.
@Suite struct LogClockTests {
    private static let wall: Int64 = 1_764_000_000_000
    private static let hour: Int64 = 3_600_000

    /// What a node says of a log whose clock is ahead of its own.
    private func said(ahead: Int64, wall: [Int64], seconds: Int = 20) -> [String] {
        let node = LoneNode(
            reports: [.clockAhead(Self.wall + ahead)], wall: wall, seconds: seconds)
        #expect(node.isReady)
        return node.changes.filter { $0.kind == .clockAhead }.map { change in
            switch change.change {
            case .troubled(let reason): String(reason.prefix { $0 != ":" })
            case .over: "over"
            case .forgotten: "forgotten"
            }
        }
    }

    @Test
    func `A clock of the log that is ahead raises an alarm, which ends when time has come there`() {
        let later = Self.wall + 48 * Self.hour
        let wall = [Int64](repeating: Self.wall, count: 10) + [later]
        #expect(said(ahead: 48 * Self.hour, wall: wall) == ["by more than a day"])
        #expect(
            said(ahead: 48 * Self.hour, wall: wall, seconds: 60)
                == ["by more than a day", "over"])
    }

    @Test func `While it comes nearer it is said again seldom`() {
        // Two minutes a second.
        let wall = (0..<60 as Range<Int64>).map { Self.wall + $0 * 120_000 }
        #expect(
            said(ahead: 2 * Self.hour - 30_000, wall: wall, seconds: 59)
                == ["by more than an hour", "by more than a minute"])
    }

    @Test func `Clocks of machines that differ a little are no matter`() {
        #expect(said(ahead: 9_000, wall: [Self.wall]).isEmpty)
        #expect(said(ahead: -48 * Self.hour, wall: [Self.wall]).isEmpty)
    }

    @Test(arguments: [Int64.min, -1, 0, .max])
    func `No clock of a machine or of a log ends a node`(wall: Int64) {
        for clock in [Int64.min, 0, .max] {
            let node = LoneNode(reports: [.clockAhead(clock)], wall: [wall], seconds: 2)
            #expect(!node.changes.contains { $0.kind == .clockAhead && $0.change == .over })
        }
    }
}
