import NodeLogic
package import Raft
import StateMachine
import Telemetry
import Threads
package import Time
import WriteAheadLog

/// What keeps copies of the log elsewhere asks of a node.
extension Node {
    /// Entries that are applied here, and so committed, from a place on. Blocks while the thread of the log
    /// reads them; not on a thread of the node's own.
    /// - Parameters:
    ///   - index: of the first one.
    ///   - byteLimit: where their sizes together reach it no more are read; one at least is.
    /// - Returns: none where the log no more holds the first of them; nil: they can't be had now.
    package func appliedEntries(
        from index: LogIndex, byteLimit: Int, until deadline: MonotonicTime
    ) -> [Entry]? {
        let applied = status.appliedIndex
        do throws(LogError) {
            let found = try links.log.entries(from: index, byteLimit: byteLimit, until: deadline)
            return found.map { $0.filter { $0.index <= applied } }
        } catch {
            links.logger.warning("the log can't be read for the archive", ["cause": "\(error)"])
            return nil
        }
    }

    /// What follows is still to be read by `appliedEntries`, and stays in the log while this node leads: a GiB of it
    /// at most, and no more than a quarter of what the disk has free now. To be said again as copying goes on.
    /// Asks the file system, so not on a thread of the node's own.
    /// - Parameter wish: what follows this stays, too, as long as all of it is not more than that.
    package func keepLog(behind index: LogIndex, wishing wish: LogIndex) {
        let most = Self.keptBytes(free: DiskRoom.bytes(at: options.dataDirectory))
        links.mailbox.post(.keepLog(behind: index, wishing: wish, atMost: most))
    }

    /// - Parameter free: of the disk, in bytes; nil: the file system says nothing of its room. One that has none left
    ///   shows when the log is written.
    static func keptBytes(free: UInt64?) -> Int {
        Int(clamping: min((free ?? .max) / 4, mostKeptBytes))
    }

    private static let mostKeptBytes: UInt64 = 1 << 30
}
