import NIOCore
import NIOPosix
import Service
import Wire

/// Takes requests that come in parts over one connection: it asks for a request when there is memory for
/// the whole of it, and decodes it beside the event loop. Of one event loop; until `close`.
final class RequestReceiver {
    private let transport: PeerTransport
    private let budget: ByteBudget
    private let sink: ForwardedReplies
    private let loop: any EventLoop
    private let arrived: (ClientRequest) -> Void
    private let broken: (any Error) -> Void
    private var assembly: RequestAssembly
    /// Whole, and being decoded.
    private var decoding: Set<RequestID> = []
    private var deadlines: [RequestID: Scheduled<Void>] = [:]
    /// By ID, the number of the announcement that waits for memory: after a recall the same ID may be
    /// announced again while its first place in the line is still to come.
    private var awaited: [RequestID: UInt64] = [:]
    private var announcements: UInt64 = 0
    private var isClosed = false

    /// - Parameters:
    ///   - budget: where each request takes its bytes while it arrives.
    ///   - limit: bytes of one request.
    ///   - sink: asks for more, and answers what doesn't come to its end.
    ///   - arrived: gets each request when it is whole. On the loop, as is `broken`.
    ///   - broken: the peer sent what can't be read.
    init(
        _ context: ChannelHandlerContext, _ transport: PeerTransport, budget: ByteBudget,
        limit: Int, sink: ForwardedReplies, arrived: @escaping (ClientRequest) -> Void,
        broken: @escaping (any Error) -> Void
    ) {
        self.transport = transport
        self.budget = budget
        self.sink = sink
        loop = context.eventLoop
        self.arrived = arrived
        self.broken = broken
        let limits = transport.limits
        assembly = RequestAssembly(
            limit: min(limit, budget.limit), mostRequests: limits.maxOpenForwards,
            window: limits.requestWindowBytes)
    }

    /// The connection is gone, or nothing more is taken from it.
    func close() {
        isClosed = true
        for (id, _) in assembly.admitted { _ = drop(id) }
        for deadline in deadlines.values { deadline.cancel() }
        deadlines = [:]
        awaited = [:]
        decoding = []
    }

    func announced(_ announcement: RequestAssembly.Announcement) throws(FrameParser.Violation) {
        guard !isClosed else { return }
        let (id, count) = (announcement.id, announcement.byteCount)
        // Of all connections: who is recalled keeps its place in the line until its turn.
        guard budget.waiting < transport.limits.maxOpenForwards else {
            return sink.refuse(id, .busy)
        }
        try assembly.announced(announcement)
        announcements += 1
        let number = announcements
        awaited[id] = number
        let here = NIOLoopBound(self, eventLoop: loop)
        let isTaken = budget.take(count) { [loop] in
            loop.execute { here.value.admitted(id, count, number) }
        }
        if isTaken { admitted(id, count, number) }
    }

    private func admitted(_ id: RequestID, _ count: Int, _ number: UInt64) {
        guard !isClosed, awaited[id] == number, let wanted = assembly.admit(id) else {
            return budget.release(count)
        }
        awaited[id] = nil
        let time = transport.limits.frameTime(for: count)
        deadlines[id] = loop.assumeIsolated().scheduleTask(in: time) {
            guard self.drop(id) else { return }
            self.sink.refuse(
                id, .timedOut(waitingFor: "the rest of a request of \(count) bytes"))
        }
        sink.grant(id, wanted)
    }

    func received(_ part: RequestAssembly.Part) throws(FrameParser.Violation) {
        guard !isClosed else { return }
        switch try assembly.received(part) {
        case .unwanted: break
        case .ask(let bytes): if bytes > 0 { sink.grant(part.id, bytes) }
        case .whole(let bytes): decode(part.id, bytes)
        }
    }

    /// - Returns: whether it was on its way; nothing more of it is taken.
    func drop(_ id: RequestID) -> Bool {
        deadlines.removeValue(forKey: id)?.cancel()
        awaited[id] = nil
        if decoding.remove(id) != nil { return true }
        guard let count = assembly.drop(id) else { return false }
        if count > 0 { budget.release(count) }
        return true
    }

    private func decode(_ id: RequestID, _ bytes: [UInt8]) {
        deadlines.removeValue(forKey: id)?.cancel()
        decoding.insert(id)
        let count = bytes.count
        transport.codec.runIfActive(eventLoop: loop) { () throws -> ClientRequest in
            var reader = ByteReader(bytes)
            return try ClientRequest(from: &reader)
        }.assumeIsolated().whenComplete { result in
            self.budget.release(count)
            guard self.decoding.remove(id) != nil, !self.isClosed else { return }
            switch result {
            case .success(let request) where request.id == id: self.arrived(request)
            case .success(let request):
                self.broken(
                    FrameParser.Violation.malformed(
                        "request \(id.rawValue) says that it is \(request.id.rawValue)"))
            case .failure(let error):
                self.broken(
                    FrameParser.Violation.malformed(
                        "request \(id.rawValue) can't be read: \(error)"))
            }
        }
    }
}
