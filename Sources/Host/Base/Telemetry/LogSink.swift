import Glibc

/// Where log lines go. `write` may be called from any thread.
package protocol LogSink: Sendable {
    /// Takes one line with its newline, `LogLine.limit` bytes at most.
    func write(_ line: [UInt8])
}

/// The process's standard error. One `write(2)` per line and no lock: up to `PIPE_BUF` bytes the
/// kernel doesn't interleave it with others', and a line is never longer.
package struct StandardErrorSink: LogSink {
    package init() {}

    /// What can't be written is lost: a log has nowhere else to report to.
    package func write(_ line: [UInt8]) {
        var result = 0
        repeat {
            result = Glibc.write(STDERR_FILENO, line, line.count)
        } while result < 0 && errno == EINTR
        // A log that can't be written has nowhere to be reported.
    }
}
