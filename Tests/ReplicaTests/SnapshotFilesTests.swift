import Foundation
import PeerProtocol
import Raft
import Scratch
import StateMachine
import Synchronization
import Telemetry
import Testing
import Threads

@testable import NodeLogic
@testable import Replica

/// What becomes of offers, whichever thread comes first.
@Suite struct SnapshotFilesTests {
    private final class Events: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    private static let offer = SnapshotOffer(
        cluster: ClusterID(RandomID(high: 1, low: 1)),
        id: SnapshotID(sender: NodeID("1"), generation: 1, index: LogIndex(9)),
        mark: SnapshotMark(
            position: LogPosition(index: LogIndex(9), term: Term(1)), membership: Membership(),
            membershipIndex: LogIndex(1)), byteCount: 10)

    @Test func `One that is stopped while it is told to begin is stopped when it has begun`() {
        let files = SnapshotFiles(directory: "/nowhere")
        let events = Events()
        let stopping: SnapshotFiles.Stopping = { id, _ in events.add("stop \(id)") }
        let first = files.begin(Self.offer) { decision in
            // As another thread would, before the transport knows the transfer.
            files.stop(SnapshotReceiptID(1), "deposed") { id, _ in events.add("unknown \(id)") }
            if case .accept(let id, _) = decision { events.add("begin \(id)") }
        }
        files.decide(first, refusal: nil, stopping)
        #expect(events.all == ["unknown 1", "begin 1", "stop 1"])
        // The next one waits for its end, and not for longer.
        let second = files.begin(Self.offer) { decision in
            if case .accept(let id, _) = decision { events.add("begin \(id)") }
        }
        files.decide(second, refusal: nil, stopping)
        #expect(events.all.count == 3)
        files.forget(first, stopping)
        #expect(events.all.last == "begin 2")
    }

    @Test func `An offer that is stopped before it is answered is refused`() {
        let files = SnapshotFiles(directory: "/nowhere")
        let events = Events()
        let id = files.begin(Self.offer) { decision in
            if case .refuse(let cause) = decision { events.add(cause) }
        }
        files.stop(id, "deposed") { id, _ in events.add("stop \(id)") }
        files.decide(id, refusal: nil) { id, _ in events.add("stop \(id)") }
        #expect(events.all == ["deposed"])
    }

    @Test
    func `One that is stopped when it lies complete keeps the next waiting until its end only`() {
        let files = SnapshotFiles(directory: "/nowhere")
        let events = Events()
        let stopping: SnapshotFiles.Stopping = { id, _ in events.add("stop \(id)") }
        let begin: @Sendable (SnapshotDecision) -> Void = { decision in
            if case .accept(let id, _) = decision { events.add("begin \(id)") }
        }
        let first = files.begin(Self.offer, begin)
        files.decide(first, refusal: nil, stopping)
        #expect(files.complete(first) { events.add("done: \($0 ?? "well")") })
        let second = files.begin(Self.offer, begin)
        files.stop(first, "deposed", stopping)
        files.decide(second, refusal: nil, stopping)
        #expect(events.all == ["begin 1", "stop 1"])
        // The transport has nothing left of it: only the machine says that it is over.
        files.end(first, problem: "not wanted", stopping)
        #expect(events.all.dropFirst(2) == ["done: not wanted", "begin 2"])
    }

    @Test func `The file of one that is not wanted is deleted though its transfer has ended`()
        throws
    {
        let directory = try TemporaryDirectory("discard")
        let databases = DatabaseDirectory(path: directory.path)
        try databases.create(.first)
        let (core, open) = (Mailbox<NodeEvent>(), OpenRequests())
        let readers = ReaderPool(
            path: databases.file(of: .first), limits: ReaderPool.Limits(threads: 1), core: core,
            open: open)
        defer { readers.stop(patience: .zero) }
        let files = SnapshotFiles(directory: directory.path)
        let (apply, _) = try ApplyThread.start(
            generation: .first,
            links: ApplyThread.Links(
                core: core, directory: databases,
                limits: ApplyKeeper.Limits(
                    checkpointBytes: 1 << 20, checkpointEntries: 1000,
                    checkpointInterval: .seconds(1), holdBytes: 1 << 20),
                open: open, snapshots: files, readers: readers, board: StatusBoard(),
                timings: NodeTimings(MetricRegistry()),
                logger: Logger(module: "test", threshold: nil)))
        let (discarded, unfit) = (
            files.begin(Self.offer) { _ in }, files.begin(Self.offer) { _ in }
        )
        for id in [discarded, unfit] {
            try Data("received".utf8).write(to: URL(filePath: files.path(of: id)))
            #expect(files.complete(id) { _ in })
        }
        // As the machine's thread does, which hands over and goes on.
        files.end(discarded, problem: nil) { _, _ in }
        apply.post(.discard(discarded))
        apply.post(.prepare(unfit, Self.offer.mark))
        apply.stop()
        let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(left.filter { $0.hasPrefix("incoming-") } == [])
        withExtendedLifetime(directory) {}
    }
}
