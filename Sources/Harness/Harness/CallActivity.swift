import Glibc
import Synchronization
import Threads
import Time

/// Which functions of the plugin run now, in a file that whoever waits for the check can read when the
/// check does not end.
enum CallActivity {
    private struct State {
        var file: Int32 = -1
        var running: [(number: Int, name: String, began: UInt64)] = []
        var last = 0
    }

    private static let state = Mutex(State())
    private static let size = 512

    /// The file below a check's directory.
    static func path(in directory: String) -> String { "\(directory)/activity" }

    /// To be called once, before the plugin's first function.
    static func begin(in directory: String) {
        // Above the numbers that checks look at.
        let file = open(path(in: directory), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        state.withLock { $0.file = file }
    }

    static func during<Answer>(_ name: String, _ body: () -> Answer) -> Answer {
        let number = state.withLock { state in
            state.last += 1
            state.running.append((state.last, name, MonotonicTime.now.nanoseconds))
            tell(state)
            return state.last
        }
        defer {
            state.withLock { state in
                state.running.removeAll { $0.number == number }
                tell(state)
            }
        }
        return body()
    }

    private static func tell(_ state: State) {
        guard state.file >= 0 else { return }
        var text = state.running.prefix(8).map { "\($0.name) \($0.began)\n" }.joined()
        text += String(repeating: " ", count: max(size - text.utf8.count, 0))
        var bytes = Array(text.utf8.prefix(size))
        _ = pwrite(state.file, &bytes, bytes.count, 0)
    }

    /// The function that runs longest, and for how many seconds; nil if none does.
    static func longest(in directory: String) -> (name: String, seconds: UInt64)? {
        let lines = (TextFile.read(path(in: directory), limit: 4096) ?? "").split(separator: "\n")
        let calls = lines.compactMap { line -> (name: String, began: UInt64)? in
            let words = line.split(separator: " ")
            guard words.count == 2, let began = UInt64(words[1]) else { return nil }
            return (String(words[0]), began)
        }
        guard let first = calls.min(by: { $0.began < $1.began }) else { return nil }
        let now = MonotonicTime.now.nanoseconds
        return (first.name, now > first.began ? (now - first.began) / 1_000_000_000 : 0)
    }
}
