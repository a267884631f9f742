import Glibc
import Synchronization
import Threads
import Time

/// Where log lines go. `write` may be called from any thread.
package protocol LogSink: Sendable {
    /// Takes one line with its newline, `LogLine.limit` bytes at most.
    func write(_ line: [UInt8])
}

/// The process's standard error, waited for as long as its reader likes: for verbs, whose words are all
/// that they do. One `write(2)` per line and no lock: up to `PIPE_BUF` bytes the kernel doesn't
/// interleave it with others', and a line is never longer.
package struct StandardErrorSink: LogSink {
    package init() {}

    /// What can't be written is lost: a log has nowhere else to report to.
    package func write(_ line: [UInt8]) {
        LossySink.put(line, to: STDERR_FILENO)
    }
}

/// A descriptor whose reader may hang, as a collector of logs does, or a terminal after ^S, or the disk of a
/// file: no thread of a node may hang with it. A line waits a moment for room, and those behind it not
/// even that until there is room again, and for a while behind that: a reader who takes each line late must
/// not slow the node down to his pace. How many were lost is told by the first line that isn't, and counted.
package final class LossySink: LogSink {
    private struct State {
        /// Lines lost since the last that was written.
        var lost: UInt64 = 0
        /// Until then no line waits.
        var hurriedUntil = MonotonicTime.zero
    }

    /// Of standard error there is one, however many loggers write to it.
    package static let standardError = LossySink(STDERR_FILENO)

    /// Lines that nobody took since the process began.
    package let lostLines = Counter()
    private let descriptor: Int32
    /// Of a file, which is always ready for a write that then waits for the disk.
    private let writer: LineWriter?
    /// Held while waiting, too: of two threads that saw room the second could wait for more.
    private let state = Mutex(State())

    /// Milliseconds for which the first line waits: less than the shortest election timeout.
    private static let patience: Int32 = 200
    /// Who waited for longer than this has used up the patience of the next two seconds.
    private static let noticeable = Duration.milliseconds(50)
    private static let hurry = Duration.seconds(2)

    /// - Parameter descriptor: stays the caller's.
    package convenience init(_ descriptor: Int32) {
        var facts = stat()
        let isFile = fstat(descriptor, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG
        self.init(
            descriptor, isFile ? LineWriter { LossySink.put($0, to: descriptor) } : nil)
    }

    /// - Parameter writer: where a write may wait though the descriptor is ready.
    init(_ descriptor: Int32, _ writer: LineWriter?) {
        self.descriptor = descriptor
        self.writer = writer
    }

    deinit { writer?.end() }

    package func write(_ line: [UInt8]) {
        state.withLock { state in
            let begin = MonotonicTime.now
            let isCalm = state.lost == 0 && begin >= state.hurriedUntil
            take(line, isCalm ? Self.patience : 0, &state.lost)
            let end = MonotonicTime.now
            if end - begin >= Self.noticeable { state.hurriedUntil = end + Self.hurry }
        }
    }

    private func take(_ line: [UInt8], _ patience: Int32, _ lost: inout UInt64) {
        guard hasRoom(within: patience) else { return lose(&lost) }
        if lost > 0 {
            let notice = "[log] \(lost) lines were lost, for nobody took them\n"
            deliver(Array(notice.utf8), 0)
            lost = 0
            guard hasRoom(within: 0) else { return lose(&lost) }
        }
        deliver(line, patience)
    }

    /// The process ends: what is not written yet has a moment more.
    package func finish() { _ = writer?.awaitEnd(atMost: .seconds(1)) }

    private func lose(_ lost: inout UInt64) {
        lost += 1
        lostLines.add(1)
    }

    /// In a pipe: for `PIPE_BUF` bytes. True as well where a write fails at once.
    private func hasRoom(within milliseconds: Int32) -> Bool {
        if let writer { return writer.hasRoom }
        var place = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&place, 1, milliseconds) != 0
    }

    private func deliver(_ line: [UInt8], _ patience: Int32) {
        guard let writer else { return Self.put(line, to: descriptor) }
        writer.put(line, atMost: .milliseconds(patience))
    }

    fileprivate static func put(_ line: [UInt8], to descriptor: Int32) {
        while Glibc.write(descriptor, line, line.count) < 0, errno == EINTR {}
    }
}
