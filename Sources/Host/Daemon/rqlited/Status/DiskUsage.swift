import Glibc
import Telemetry
import Threads
import Time

/// What a node's files take, for those who look at it. Where the disk hangs the system takes as long for an
/// answer as the disk does, and who is to be told of that must not wait for it: so it is asked on a thread of
/// its own, and what it said last is what there is meanwhile. Any thread may call.
final class DiskUsage: Sendable {
    struct Found: Sendable {
        /// In bytes: the files in the data directory and below it.
        var all = 0
        /// Of these the log.
        var log = 0
        /// The later one of the database file's time and that of SQLite's log.
        var lastModified = WallTime.never
    }

    private struct State {
        var found = Found()
        /// How often it was found out.
        var rounds: UInt64 = 0
        var isAsking = false
        /// Somebody waited for the answer in vain.
        var isLate = false
    }

    private static let patience = Duration.seconds(1)

    private let directory: String
    private let state = Monitor(State())

    /// - Parameter directory: the data directory.
    init(of directory: String) { self.directory = directory }

    /// As it is now, or as it was, if that is not known within a second.
    /// - Parameter database: the path of its file.
    func current(_ database: String?) -> Found {
        let (before, mustAsk, isLate) = state.withLock { state in
            defer { state.isAsking = true }
            return (state.rounds, !state.isAsking, state.isLate)
        }
        if mustAsk { ask(database) }
        let deadline = MonotonicTime.now + (isLate ? .zero : Self.patience)
        let found = state.wait(until: { deadline }) { $0.rounds > before ? $0.found : nil }
        return found
            ?? state.withLock { state in
                state.isLate = state.rounds == before
                return state.found
            }
    }

    private func ask(_ database: String?) {
        let answer: @Sendable () -> Void = { [self] in
            let found = Found(
                all: Self.size(of: directory), log: Self.size(of: "\(directory)/log"),
                lastModified: Self.lastModified(database))
            state.withLock { state in
                state.found = found
                state.rounds += 1
                state.isAsking = false
                state.isLate = false
            }
        }
        do throws(ThreadShortage) {
            try NamedThread("status-files", takesSignals: false, answer).detach()
        } catch {
            answer()
        }
    }

    /// Of the files right in the directory and in those below it.
    private static func size(of folder: String) -> Int {
        var total = 0
        var folders = [folder]
        while let folder = folders.popLast() {
            guard let directory = opendir(folder) else { continue }
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                var about = stat()
                guard name != ".", name != "..", lstat("\(folder)/\(name)", &about) == 0 else {
                    continue
                }
                if about.st_mode & S_IFMT == S_IFDIR { folders.append("\(folder)/\(name)") }
                if about.st_mode & S_IFMT == S_IFREG {
                    // Of sparse or damaged files two alone may have more than there are numbers.
                    let (sum, isOver) = total.addingReportingOverflow(Int(about.st_size))
                    total = isOver ? .max : sum
                }
            }
        }
        return total
    }

    private static func lastModified(_ path: String?) -> WallTime {
        var newest = WallTime.never
        for file in path.map({ [$0, $0 + "-wal"] }) ?? [] {
            var about = stat()
            guard stat(file, &about) == 0 else { continue }
            newest = max(newest, WallTime(ofFile: about.st_mtim))
        }
        return newest
    }
}
