import Glibc
import Testing
import Threads

@testable import Telemetry

/// A disk that hangs until the test lets it go on.
private final class HungDisk: Sendable {
    private struct State {
        var hangs = true
        var text = ""
    }

    private let state = Monitor(State())

    func write(_ line: [UInt8]) {
        _ = state.wait(until: { nil }) { $0.hangs ? nil : true }
        state.withLock { $0.text += String(decoding: line, as: UTF8.self) }
    }

    func goOn() { state.withLock { $0.hangs = false } }

    var text: String { state.withLock { $0.text } }
}

/// A pipe as standard error, whose reader does what the test says.
@Suite struct LossySinkTests {
    private let reader: Int32
    private let writer: Int32

    init() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        (reader, writer) = (ends[0], ends[1])
    }

    private func closeBoth() {
        close(reader)
        close(writer)
    }

    private func fill() {
        let flags = fcntl(writer, F_GETFL)
        _ = fcntl(writer, F_SETFL, flags | O_NONBLOCK)
        let page = [UInt8](repeating: UInt8(ascii: "x"), count: 4096)
        while write(writer, page, page.count) > 0 {}
        _ = fcntl(writer, F_SETFL, flags)
    }

    /// All that is in the pipe.
    private func drain() -> String {
        let flags = fcntl(reader, F_GETFL)
        _ = fcntl(reader, F_SETFL, flags | O_NONBLOCK)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = read(reader, &buffer, buffer.count), count > 0 {
            bytes += buffer.prefix(count)
        }
        _ = fcntl(reader, F_SETFL, flags)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `A reader that hangs holds nobody, and is told how many lines he lost`() {
        defer { closeBoth() }
        let sink = LossySink(writer)
        sink.write(Array("first\n".utf8))
        #expect(drain() == "first\n")
        fill()
        // Would never come back if it waited for the pipe's reader.
        for number in 0..<10 { sink.write(Array("lost \(number)\n".utf8)) }
        #expect(sink.lostLines.current == 10)
        #expect(!drain().contains("lost"))
        sink.write(Array("again\n".utf8))
        sink.write(Array("and on\n".utf8))
        #expect(drain() == "[log] 10 lines were lost, for nobody took them\nagain\nand on\n")
        #expect(sink.lostLines.current == 10)
    }

    @Test func `A line waits a moment for its reader`() {
        defer { closeBoth() }
        fill()
        let sink = LossySink(writer)
        let start = ContinuousClock.now
        sink.write(Array("late\n".utf8))
        #expect(ContinuousClock.now - start >= .milliseconds(190))
        #expect(sink.lostLines.current == 1)
    }

    @Test func `A reader that is late again and again does not set the pace`() {
        defer { closeBoth() }
        let sink = LossySink(writer)
        var waits = 0
        for round in 0..<8 {
            fill()
            let start = ContinuousClock.now
            sink.write(Array("late \(round)\n".utf8))
            if ContinuousClock.now - start >= .milliseconds(190) { waits += 1 }
            _ = drain()
            sink.write(Array("in time \(round)\n".utf8))
            #expect(drain().hasSuffix("in time \(round)\n"))
        }
        #expect(sink.lostLines.current == 8)
        // All of them without a memory; one, unless the test itself takes seconds.
        #expect(waits < 5)
    }

    @Test func `A reader that is gone holds nobody`() {
        signal(SIGPIPE, SIG_IGN)
        close(reader)
        defer { close(writer) }
        let sink = LossySink(writer)
        for _ in 0..<3 { sink.write(Array("nobody\n".utf8)) }
        #expect(sink.lostLines.current == 0)
    }

    @Test func `A file whose disk hangs holds nobody, and keeps what a pipe would`()
        throws
    {
        defer { closeBoth() }
        let disk = HungDisk()
        let lines = try #require(LineWriter { disk.write($0) })
        let sink = LossySink(-1, lines)
        // Would never come back if it waited for the disk.
        sink.write(Array("first\n".utf8))
        let page = String(repeating: "x", count: 4095) + "\n"
        for _ in 0..<26 { sink.write(Array(page.utf8)) }
        // What a pipe holds is kept.
        #expect(sink.lostLines.current == 10)
        #expect(disk.text.isEmpty)
        disk.goOn()
        #expect(lines.awaitEnd(atMost: .seconds(60)))
        sink.write(Array("again\n".utf8))
        sink.write(Array("and on\n".utf8))
        #expect(lines.awaitEnd(atMost: .seconds(60)))
        let kept = String(repeating: page, count: LineWriter.capacity / page.utf8.count)
        let notice = "[log] 10 lines were lost, for nobody took them\n"
        #expect(disk.text == "first\n\(kept)\(notice)again\nand on\n")
        #expect(sink.lostLines.current == 10)
    }

    @Test func `A file gets all lines in their order`() throws {
        defer { closeBoth() }
        var path = Array("/tmp/lossy-sink-XXXXXX".utf8CString)
        let file = mkstemp(&path)
        try #require(file >= 0)
        unlink(path)
        defer { close(file) }
        let sink = LossySink(file)
        for number in 0..<100 { sink.write(Array("\(number)\n".utf8)) }
        let expected = (0..<100).map { "\($0)\n" }.joined()
        // Where the thread that writes was late nobody waited for the last.
        let limit = ContinuousClock.now + .seconds(60)
        while content(of: file) != expected, ContinuousClock.now < limit { sched_yield() }
        #expect(content(of: file) == expected)
        #expect(sink.lostLines.current == 0)
    }

    @Test func `A file without room tells how many lines it lost, and tears none that follow`()
        async
    {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            var path = Array("/tmp/lossy-sink-XXXXXX".utf8CString)
            let file = mkstemp(&path)
            unlink(path)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            var small = limit
            small.rlim_cur = 10
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &small)
            let sink = LossySink(file)
            let deadline = ContinuousClock.now + .seconds(60)
            for line in ["first", "second", "third"] { sink.write(Array("\(line)\n".utf8)) }
            while sink.lostLines.current < 2, ContinuousClock.now < deadline { sched_yield() }
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            for line in ["fourth", "fifth"] { sink.write(Array("\(line)\n".utf8)) }
            let expected = """
                first
                seco
                [log] 2 lines were lost, for their file could not be written
                fourth
                fifth

                """
            var content = ""
            while content != expected, ContinuousClock.now < deadline {
                var bytes = [UInt8](repeating: 0, count: 4096)
                let count = pread(file, &bytes, bytes.count, 0)
                content = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
            }
            guard content == expected, sink.lostLines.current == 2 else { exit(3) }
        }
    }

    private func content(of file: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = pread(file, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
