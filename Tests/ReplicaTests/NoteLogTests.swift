import NodeLogic
import Synchronization
import Telemetry
import Testing
import Time

@testable import Replica

/// What the node's machine says, and how often.
@Suite struct NoteLogTests {
    private final class Lines: LogSink {
        private let lines = Mutex<[String]>([])
        func write(_ line: [UInt8]) {
            lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        }
        var all: [String] { lines.withLock { $0 } }
    }

    @Test func `A warning that repeats is written once, then as its number; others always`() {
        let lines = Lines()
        let start = MonotonicTime(nanoseconds: 1_000_000_000)
        var log = NoteLog(Logger(module: "store", sink: lines), now: start)
        let silent = NodeNote(.warning, "follower does not answer", ["node.id": "2"])
        for half in 0..<18 {
            log.write(silent, at: start + .milliseconds(500) * half)
            log.flush(at: start + .milliseconds(500) * half)
        }
        #expect(lines.all.count == 1)
        log.write(NodeNote(.warning, "follower does not answer", ["node.id": "3"]), at: start)
        for _ in 0..<3 { log.write(NodeNote(.info, "role changed"), at: start) }
        for _ in 0..<3 { log.write(NodeNote(.error, "node failed"), at: start) }
        #expect(lines.all.count == 8)
        log.flush(at: start + .seconds(11))
        #expect(lines.all.count == 9)
        #expect(lines.all.last?.contains("repeats=17") == true)
        log.write(silent, at: start + .seconds(30))
        #expect(lines.all.count == 10)
    }
}
