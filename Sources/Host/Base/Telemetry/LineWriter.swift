import Threads
import Time

/// Writes lines on a thread of its own, so that whoever has one need not wait for as long as the write does.
/// Any thread may call.
final class LineWriter: Sendable {
    private struct State {
        /// Are to be written.
        var lines: [[UInt8]] = []
        /// In bytes, also those that are being written.
        var waiting = 0
        /// Somebody waited in vain: nobody does until all lines are written.
        var isLate = false
        var isOver = false
    }

    private enum Step {
        case write([[UInt8]])
        case end
    }

    /// As much as a pipe holds.
    static let capacity = 64 << 10

    private let state = Monitor(State())
    private let write: @Sendable ([UInt8]) -> Void

    /// Nil where there is no thread for it.
    /// - Parameter write: may block.
    init?(_ write: @escaping @Sendable ([UInt8]) -> Void) {
        self.write = write
        do throws(ThreadShortage) {
            // It is made before the process says which signals it handles.
            try NamedThread("log-lines", takesSignals: false, waits: false) { [self] in run() }
                .detach()
        } catch {
            return nil
        }
    }

    /// For one more line, at least.
    var hasRoom: Bool { state.withLock { $0.waiting < Self.capacity } }

    /// Waits until the line is written, but no longer than `time`, and not at all behind a line for which that was
    /// too short: it is written when that is possible.
    func put(_ line: [UInt8], atMost time: Duration) {
        let isLate = state.withLock { state in
            state.lines.append(line)
            state.waiting += line.count
            return state.isLate
        }
        guard !isLate, !awaitEnd(atMost: time) else { return }
        state.withLock { $0.isLate = $0.waiting > 0 }
    }

    /// Waits until all lines are written, but no longer than `time`.
    /// - Returns: whether they are.
    func awaitEnd(atMost time: Duration) -> Bool {
        let deadline = MonotonicTime.now + time
        return state.wait(until: { deadline }) { $0.waiting == 0 ? true : nil } ?? false
    }

    /// Nothing more is put: the thread ends behind the last line.
    func end() { state.withLock { $0.isOver = true } }

    private func run() {
        while case .write(let lines)? = next() {
            for line in lines {
                write(line)
                state.withLock { state in
                    state.waiting -= line.count
                    if state.waiting == 0 { state.isLate = false }
                }
            }
        }
    }

    private func next() -> Step? {
        state.wait(until: { nil }) { (state: inout State) -> Step? in
            guard !state.lines.isEmpty else { return state.isOver ? .end : nil }
            defer { state.lines = [] }
            return .write(state.lines)
        }
    }
}
