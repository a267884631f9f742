package import Raft
internal import Wire

/// What a start has in memory of the entries that the database has not applied.
package struct LogTail: Equatable, Sendable {
    /// The last ones, up to the end of the log: all that are not known to be committed, and as many
    /// before them as there is room for.
    package var entries: [Entry]
    /// Of those before them, all of which are committed, the memberships and the decisions to leave
    /// an entry out.
    package var passed: [Entry]

    package init(entries: [Entry] = [], passed: [Entry] = []) {
        self.entries = entries
        self.passed = passed
    }

    /// Gathers a tail from entries in their order.
    struct Collector {
        private let committed: LogIndex
        private let byteLimit: Int
        private var entries: [Entry] = []
        /// How many of `entries` are let go.
        private var head = 0
        private var byteCount = 0
        private var passed: [Entry] = []

        init(committed: LogIndex, byteLimit: Int) {
            self.committed = committed
            self.byteLimit = byteLimit
        }

        var tail: LogTail { LogTail(entries: Array(entries[head...]), passed: passed) }

        mutating func append(_ entry: Entry) {
            entries.append(entry)
            byteCount += entry.size
            while byteCount > byteLimit, head < entries.count, entries[head].index <= committed {
                pass()
            }
            // Removing from the front moves the rest: only when that is no more than was removed.
            guard head * 2 > entries.count else { return }
            entries.removeFirst(head)
            head = 0
        }

        private mutating func pass() {
            let entry = entries[head]
            byteCount -= entry.size
            entries[head].payload = .noop
            head += 1
            switch entry.payload {
            case .membership: passed.append(entry)
            case .command(let bytes): if LogCommand.isSkip(bytes) { passed.append(entry) }
            default: break
            }
        }
    }
}
