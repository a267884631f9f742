import Foundation
import NIOPosix
import NodeLogic
import Raft
import Replica
import SQLite
import Telemetry
import Threads
import Time

/// Starts a node in this process, as the daemon does, on what a loss of power left, and says what it
/// holds.
struct CrashStart {
    /// What must be there.
    struct Promise {
        /// The index of the newest entry that must be in log or database.
        var index: Int
        /// What was acknowledged: values, with the indices of their entries.
        var values: [(value: Int, index: Int)]
        /// The node has no other that it must wait for: it must serve.
        var isAlone: Bool
    }

    enum Verdict {
        case kept
        /// It did not start, and said why.
        case refused(String)
        case broken(String)
    }

    private struct Silence: LogSink {
        func write(_ line: [UInt8]) {}
    }

    var id: String
    /// Its address, as the others know it.
    var raftPort: Int
    var mayFound: Bool
    /// For a start to show what it holds; a machine of many tests is slow.
    var patience = Duration.seconds(20)

    func judge(_ directory: String, _ promise: Promise) -> Verdict {
        var settings = MachineSettings(
            explicitID: NodeID(id), fallbackID: NodeID(id),
            address: PeerAddress("127.0.0.1:\(raftPort)"), apiURL: "http://127.0.0.1:1",
            dataDirectory: directory, version: "test")
        settings.stepDownOnShutdown = false
        if !mayFound {
            settings.plan = .join(attempts: 1, interval: .seconds(1), suffrage: .voter)
        }
        let node: Node
        do {
            node = try Node.start(
                settings, group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(module: "test", threshold: nil, sink: Silence()))
        } catch {
            return .refused("\(error)")
        }
        let status = settle(node, promise)
        node.stop()
        let held = max(
            status.durableIndex.rawValue, status.appliedIndex.rawValue,
            status.lastPosition.index.rawValue)
        guard held >= UInt64(promise.index) else {
            return .broken("entry \(promise.index) was acknowledged; the node holds \(held)")
        }
        if promise.isAlone, !status.isReady { return .broken("it never served: \(status)") }
        return compare(directory, promise, applied: Int(status.appliedIndex.rawValue))
    }

    /// Waits until the node holds what it promised, or serves if it can; its last state after a while.
    private func settle(_ node: Node, _ promise: Promise) -> NodeStatus {
        let deadline = MonotonicTime.now + patience
        var status = node.status
        while MonotonicTime.now < deadline {
            status = node.status
            let isThere =
                promise.isAlone
                ? status.isReady : status.durableIndex.rawValue >= UInt64(promise.index)
            if isThere { break }
            _ = Mailbox<Bool>().take(until: .now + .milliseconds(2))
        }
        return status
    }

    /// Every acknowledged value that is applied is there, each once, and none that nobody wrote.
    private func compare(_ directory: String, _ promise: Promise, applied: Int) -> Verdict {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let databases = names.filter { $0.hasPrefix("db-") && $0.hasSuffix(".sqlite") }
        guard databases.count == 1 else {
            return promise.values.isEmpty ? .kept : .broken("databases: \(databases)")
        }
        var rows: [Int] = []
        do {
            let connection = try Connection(
                path: "\(directory)/\(databases[0])", access: .readWrite)
            let table = try connection.integer("SELECT count(*) FROM sqlite_master WHERE name='t'")
            if table == 1 {
                let text = try connection.text("SELECT group_concat(v) FROM t") ?? ""
                rows = text.split(separator: ",").compactMap { Int($0) }
            }
        } catch {
            return .broken("the database can't be read: \(error)")
        }
        guard Set(rows).count == rows.count else { return .broken("a row is there twice") }
        // One client wrote them, one behind the other, so they are the first so many of all that were written: one
        // that is missing shows by those behind it, and one write may be under way.
        guard rows == Array(0..<rows.count),
            promise.values.isEmpty || rows.count <= promise.values.count + 1
        else { return .broken("\(rows.count) rows, the last ones \(rows.suffix(8))") }
        let present = Set(rows)
        let missing = promise.values.filter { $0.index <= applied && !present.contains($0.value) }
        guard missing.isEmpty else {
            return .broken("applied through \(applied), and \(missing.prefix(3)) are missing")
        }
        return .kept
    }
}
