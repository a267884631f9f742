import NIOPosix
import NodeLogic
import Raft
import Service
import Testing
import Threads
import Time
import Transport
import Wire

@testable import Replica

/// What is sent on to another node, and who waits for it here.
@Suite struct ForwarderTests {
    private let open = OpenRequests()
    private let core = Mailbox<NodeEvent>()
    private let forwarder: Forwarder
    private let place = PeerAddress("localhost:1")

    init() {
        let transport = PeerTransport(
            group: MultiThreadedEventLoopGroup.singleton,
            identity: NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1)))
        forwarder = Forwarder(transport: transport, mailbox: core, open: open)
    }

    private func part(_ key: RequestKey) -> Reply {
        Reply(
            id: RequestID(key.rawValue),
            outcome: .part(
                ResultPart([.rowsBegin(columns: ["a"], types: ["text"], isRead: true)])))
    }

    @Test func `An answer that is recalled when its first part just came ends all the same`() throws
    {
        let sink = Sink(isRemote: false, takesParts: true)
        let key = open.add(ReplyTarget(sink: sink, id: RequestID(7)))
        forwarder.deliver([part(key)])
        #expect(try sink.replies(1).map(\.outcome.isLast) == [false])
        // The machine did not know of it yet.
        forwarder.recall([key], at: place)
        let end = try #require(try sink.replies(1).first)
        guard case .failed(.timedOut) = end.outcome else {
            Issue.record("\(end.outcome)")
            return
        }
        #expect(end.id == RequestID(7))
        // What comes after it is nobody's.
        forwarder.deliver([part(key)])
        #expect(sink.isEmpty)
    }

    @Test func `Who hung up hears of the end once, and nothing after it`() throws {
        let sink = Sink(isRemote: false, takesParts: true)
        let key = open.add(ReplyTarget(sink: sink, id: RequestID(7)))
        forwarder.deliver([part(key)])
        #expect(forwarder.cancel([RequestID(7)], of: sink).map(\.key) == [key])
        forwarder.recall([key], at: place)
        forwarder.deliver([part(key)])
        #expect(try sink.replies(1).count == 1)
        #expect(sink.isEmpty)
    }
}
