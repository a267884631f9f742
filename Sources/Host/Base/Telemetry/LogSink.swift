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
        _ = LossySink.put(line, to: STDERR_FILENO)
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

    /// Lines that nobody took, or that their file had no room for, since the process began.
    package let lostLines: Counter
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
        let lostLines = Counter()
        let file = LogFile(descriptor, lostLines)
        self.init(descriptor, isFile ? LineWriter { file.put($0) } : nil, lostLines)
    }

    /// - Parameters:
    ///   - writer: where a write may wait though the descriptor is ready.
    ///   - lostLines: counts what is lost behind `writer`, too.
    init(_ descriptor: Int32, _ writer: LineWriter?, _ lostLines: Counter = Counter()) {
        self.descriptor = descriptor
        self.writer = writer
        self.lostLines = lostLines
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
        guard let writer else {
            _ = Self.put(line, to: descriptor)
            return
        }
        writer.put(line, atMost: .milliseconds(patience))
    }

    /// - Returns: bytes that were written; fewer than there are where the rest can't be.
    fileprivate static func put(_ line: [UInt8], to descriptor: Int32) -> Int {
        var done = 0
        while done < line.count {
            let count = line[done...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            done += count
        }
        return done
    }
}

/// A file of lines whose disk may be full. How many were lost is told before the first that isn't, and counted.
private final class LogFile: Sendable {
    private struct State {
        /// Lines lost since the last that was written.
        var lost: UInt64 = 0
        /// The last one was written in part.
        var isTorn = false
    }

    private let descriptor: Int32
    private let lostLines: Counter
    private let state = Mutex(State())

    init(_ descriptor: Int32, _ lostLines: Counter) {
        self.descriptor = descriptor
        self.lostLines = lostLines
    }

    /// Waits for the disk.
    func put(_ line: [UInt8]) {
        state.withLock { state in
            var text = state.isTorn ? "\n" : ""
            if state.lost > 0 {
                text += "[log] \(state.lost) lines were lost, for their file could not be written\n"
            }
            let bytes = Array(text.utf8) + line
            let count = LossySink.put(bytes, to: descriptor)
            if count == bytes.count {
                state = State()
                return
            }
            if count > 0 { state.isTorn = true }
            state.lost += 1
            lostLines.add(1)
        }
    }
}
