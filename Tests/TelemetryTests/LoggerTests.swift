import Synchronization
import Testing

@testable import Telemetry

/// Keeps what is written to it.
final class CollectingSink: LogSink {
    private let collected = Mutex<[String]>([])

    func write(_ line: [UInt8]) {
        collected.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
    }

    var lines: [String] { collected.withLock { $0 } }
}

@Suite struct LoggerTests {
    let sink = CollectingSink()

    func logger(_ threshold: LogLevel? = .info) -> Logger {
        Logger(
            module: "store", threshold: threshold, sink: sink,
            now: { WallTime(seconds: 1_767_366_245, nanoseconds: 5) })
    }

    @Test func `A line has module, time, message and metadata`() {
        logger().info("node joined", ["node.id": "2", "raft.term": 7, "cause": "it said \"a=b\""])
        #expect(
            sink.lines == [
                "[store] 2026/01/02 15:04:05 node joined node.id=2 raft.term=7 "
                    + "cause=\"it said \\\"a=b\\\"\"\n"
            ])
    }

    @Test func `Trouble is marked`() {
        logger().warning("disk almost full")
        logger().error("sync failed", ["errno": 5])
        #expect(
            sink.lines.map { $0.dropFirst(28) } == [
                "disk almost full level=warning\n", "sync failed errno=5 level=error\n",
            ])
    }

    @Test func `Lines below the threshold are dropped and their metadata not made`() {
        func never() -> String {
            Issue.record("made")
            return ""
        }
        logger().debug("step", ["state": never()])
        logger(nil).error("unheard", ["state": never()])
        #expect(sink.lines.isEmpty)
        #expect(logger(.debug).isEnabled(.debug))
    }

    @Test(arguments: [nil, .error, .debug] as [LogLevel?])
    func `What is announced is written whatever the threshold`(threshold: LogLevel?) {
        logger(threshold).announce("failed to listen")
        logger(threshold).write(.warning, "waiting", [("for", "2")], always: true)
        #expect(
            sink.lines.map { $0.dropFirst(28) } == [
                "failed to listen\n", "waiting for=2 level=warning\n",
            ])
    }

    @Test func `Nothing in a value breaks the line`() {
        logger().named("http").announce("first\nsecond\u{1B}[0m \"as it is\"")
        logger().info("m", ["empty": "", "breaks": "a\r\n\tb\\", "text": "größer"])
        #expect(
            sink.lines == [
                "[http] 2026/01/02 15:04:05 first\\nsecond\\x1b[0m \"as it is\"\n",
                "[store] 2026/01/02 15:04:05 m empty=\"\" breaks=\"a\\r\\n\\tb\\\\\" "
                    + "text=größer\n",
            ])
    }

    @Test(arguments: [
        ("\u{1B}", "\\x1b"), ("\u{7F}", "\\x7f"), ("\u{80}", "\\x80"), ("\u{9B}", "\\x9b"),
    ])
    func `No control character reaches the terminal of who reads the log`(
        character: String, written: String
    ) {
        let text = "node\(character)31m"
        logger().write(.info, text, [("about", text)])
        let escaped = "node\(written)31m"
        #expect(sink.lines.count == 1)
        #expect(sink.lines[0].dropFirst(28) == "\(escaped) about=\"\(escaped)\"\n")
    }

    @Test(arguments: 0..<4)
    func `A long line is cut at a character, so that one write takes it`(offset: Int) {
        logger().announce(
            String(repeating: "x", count: offset) + String(repeating: "日", count: 3000))
        let line = sink.lines[0]
        #expect(line.utf8.count <= LogLine.limit)
        #expect(line.utf8.count > LogLine.limit - 4)
        #expect(line.hasSuffix("日…\n"))
    }
}
