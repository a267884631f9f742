import PeerProtocol
import Raft
import Synchronization
import Testing

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
}
