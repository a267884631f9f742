import Raft
import Wire

/// An entry of a message whose command can't be read: no leader proposes one, and a node that took
/// it into its log could never apply it, at this start or any later one.
///
/// Looked for where messages arrive, beside the machine's thread and before anything is kept.
struct UnreadableEntry: Error, Equatable, CustomStringConvertible {
    var index: LogIndex
    var cause: WireError

    var description: String { "entry \(index) can't be read: \(cause)" }

    /// The first one in the message; nil if there is none.
    init?(in message: Message) {
        guard case .appendEntries(let append) = message.body else { return nil }
        for entry in append.entries {
            guard case .command(let bytes) = entry.payload else { continue }
            do throws(WireError) {
                _ = try LogCommand(decoding: bytes)
            } catch {
                self.init(index: entry.index, cause: error)
                return
            }
        }
        return nil
    }

    private init(index: LogIndex, cause: WireError) {
        self.index = index
        self.cause = cause
    }
}
