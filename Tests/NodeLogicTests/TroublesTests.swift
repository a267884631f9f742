import Testing
import Time

@testable import NodeLogic

/// What is wrong is said when it begins, when its reason changes, and when it is over.
@Suite struct TroublesTests {
    private var start: MonotonicTime { MonotonicTime(nanoseconds: 1_000_000_000) }

    private func told(_ troubles: inout Troubles) -> [String] {
        troubles.takeChanges().map { change in
            let about = change.subject.isEmpty ? "" : " \(change.subject)"
            return switch change.change {
            case .troubled(let reason): "\(change.kind)\(about): \(reason)"
            case .over: "\(change.kind)\(about) over"
            case .forgotten: "\(change.kind)\(about) forgotten"
            }
        }
    }

    @Test func `A state is said once both ways, and anew with another reason`() {
        var troubles = Troubles()
        troubles.set(.logFull, nil)
        #expect(told(&troubles).isEmpty)
        for _ in 0..<3 { troubles.set(.logFull, "a") }
        #expect(told(&troubles) == ["logFull: a"])
        troubles.set(.logFull, "b")
        #expect(troubles.all == [NodeTrouble(.logFull, "b")])
        troubles.set(.logFull, nil)
        troubles.set(.logFull, nil)
        #expect(told(&troubles) == ["logFull: b", "logFull over"])
        #expect(troubles.all.isEmpty)
    }

    @Test func `Each of several is a state of its own`() {
        var troubles = Troubles()
        troubles.set(.followerSilent, [("3", "x"), ("2", "y")]) { _ in true }
        #expect(told(&troubles) == ["followerSilent 3: x", "followerSilent 2: y"])
        #expect(troubles.all.map(\.subject) == ["2", "3"])
        troubles.set(.followerSilent, [("3", "x")]) { _ in true }
        #expect(told(&troubles) == ["followerSilent 2 over"])
    }

    @Test func `Who can't tell any more does not say that it is over`() {
        var troubles = Troubles()
        troubles.set(.followerSilent, [("3", "x")]) { _ in true }
        _ = told(&troubles)
        troubles.set(.followerSilent, []) { $0 != "3" }
        #expect(told(&troubles) == ["followerSilent 3 forgotten"])
    }

    @Test func `An event is over when it was not repeated for a while`() {
        var troubles = Troubles()
        troubles.note(.peerBrokeProtocol, about: "2", "a", now: start)
        troubles.note(.peerBrokeProtocol, about: "2", "a", now: start + .seconds(20))
        #expect(told(&troubles) == ["peerBrokeProtocol 2: a"])
        troubles.expire(now: start + Troubles.memory)
        #expect(told(&troubles).isEmpty)
        troubles.expire(now: start + .seconds(20) + Troubles.memory)
        #expect(told(&troubles) == ["peerBrokeProtocol 2 over"])
    }

    @Test func `However many subjects others name, few are kept`() {
        var troubles = Troubles()
        for number in 0..<10_000 {
            troubles.note(.peerBrokeProtocol, about: "\(number)", "a", now: start)
        }
        troubles.set(.logFull, "b")
        #expect(troubles.all.count == Troubles.limit + 1)
    }
}
