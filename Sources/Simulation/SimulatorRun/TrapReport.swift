import Glibc

/// Names the seed when a precondition ends the process: the production types check themselves.
enum TrapReport {
    /// Written by the one thread of the program and read by its signal handler on that thread;
    /// allocated once and never freed.
    nonisolated(unsafe) private static let text = UnsafeMutablePointer<CChar>.allocate(capacity: 64)

    static func note(_ seed: UInt64) {
        var line = Array("seed \(seed) trapped\n".utf8CString)
        line.withUnsafeMutableBufferPointer {
            text.update(from: $0.baseAddress ?? text, count: $0.count)
        }
    }

    static func install() {
        text.initialize(repeating: 0, count: 64)
        for number in [SIGILL, SIGTRAP, SIGABRT] {
            signal(number) { number in
                // Only calls that are safe in a handler.
                _ = write(STDERR_FILENO, TrapReport.text, strlen(TrapReport.text))
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}
