import NIOCore
import NIOPosix
import NodeLogic
import Raft
import Scratch
import Service
import Telemetry
import Testing
import Threads
import Time
import Wire

@testable import Replica

/// The end of a node, whose clients can still reach it.
@Suite(.serialized) struct NodeStopTests {
    private struct Silence: LogSink {
        func write(_ bytes: [UInt8]) {}
    }

    /// A node that is a cluster of its own.
    private func start(in directory: TemporaryDirectory) throws -> Node {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("localhost:1"),
            apiURL: "http://localhost:2", dataDirectory: directory.path + "/data", version: "test")
        let node = try Node.start(
            settings, group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(module: "test", threshold: nil, sink: Silence()))
        let deadline = MonotonicTime.now + .seconds(60)
        while !node.status.isReady, MonotonicTime.now < deadline {
            _ = Mailbox<Bool>().take(until: .now + .milliseconds(5))
        }
        #expect(node.status.isReady)
        return node
    }

    @Test func `What is asked of a node that has stopped is refused at once`() throws {
        let directory = try TemporaryDirectory("stop")
        try withExtendedLifetime(directory) {
            let node = try start(in: directory)
            node.stop()
            let read = Command(kind: .query, statements: [Statement("SELECT 1")])
            let write = Command(kind: .execute, statements: [Statement("CREATE TABLE t(x)")])
            let asked: [ClientRequest.Operation] = [
                .command(read, ReadOptions(level: .none)),
                .command(read, ReadOptions(level: .weak)),
                .command(read, ReadOptions(level: .linearizable)),
                .command(write, ReadOptions()),
                .readiness(ClientRequest.ReadinessCheck(nodeOnly: false, sync: false)),
            ]
            let requests = asked.enumerated().map { place, operation in
                ClientRequest(id: RequestID(UInt64(place)), operation: operation)
            }
            let sink = Sink(isRemote: false, takesParts: false)
            node.submit(requests, replyTo: sink)
            let replies = try sink.replies(asked.count)
            #expect(replies.map(\.id.rawValue).sorted() == [0, 1, 2, 3, 4])
            for reply in replies {
                guard case .failed(.notReady) = reply.outcome else {
                    Issue.record("not refused: \(reply)")
                    continue
                }
            }
        }
    }
}
