import NodeLogic
import PeerProtocol
import Raft
import Telemetry
import Testing
import Threads
import Time
import Wire

@testable import Replica
@testable import StateMachine

/// The thread that reads pieces of the database, and the file that it reads.
@Suite struct ScrubThreadTests {
    private struct Silence: LogSink {
        func write(_ bytes: [UInt8]) {}
    }

    @Test func `A file that was replaced is let go before the next pass`() throws {
        let core = Mailbox<NodeEvent>()
        let scrub = try ScrubThread(
            core: core, logger: Logger(module: "test", threshold: nil, sink: Silence()))
        defer { scrub.stop() }
        let bench = try Bench()
        var old: Bench? = try Bench()
        let path = try #require(old?.path)
        let marker = ReachedMarker(
            position: LogPosition(index: LogIndex(1), term: Term(1)),
            marker: ChecksumMarker(piece: .start), trace: nil)
        scrub.reached(marker, path: path)
        let events = core.take(until: .now + .seconds(60))
        guard case .database(.checksum(let taken))? = events.first else {
            Issue.record("\(events)")
            return
        }
        #expect(taken.reading.piece != .none)

        old = nil
        #expect(Bench.descriptors(of: path) > 0)
        scrub.replaced()
        #expect(try bench.eventually { Bench.descriptors(of: path) == 0 })
    }
}
