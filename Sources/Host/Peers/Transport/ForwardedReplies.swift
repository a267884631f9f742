import NIOCore
import NIOPosix
import Raft
import Service
import Synchronization
import Wire

/// The sink of one connection's forwarded requests: takes replies from any thread and writes them to
/// it. A result that is large goes in parts, as they are asked for, to a dialer that takes parts,
/// whether it comes so or as a whole. Parts are handed to the connection as it takes them, so that
/// the replies to other requests don't wait behind all that is under way.
final class ForwardedReplies: ReplySink {
    /// A whole result that goes out in parts.
    private struct Held {
        var slices: ResultSlices
        var servedBy: PeerAddress?
        var sight: ReadSight?
        var size: Int
        var demand = ResultWindow.bytes
        /// Since when nobody asks for more; nil: somebody does.
        var waitsSince: NIODeadline?

        /// The next part, made.
        mutating func next(at now: NIODeadline) -> ResultPart {
            let part = slices.next()
            demand -= part.byteCount
            if demand <= 0 { waitsSince = now }
            return part
        }

        /// More is asked for.
        /// - Returns: whether that was waited for.
        mutating func ask(for bytes: Int) -> Bool {
            let before = demand
            demand = min(before + min(max(0, bytes), ResultWindow.bytes), ResultWindow.bytes)
            guard before <= 0, demand > 0 else { return false }
            waitsSince = nil
            return true
        }
    }

    private struct State {
        /// The sizes of requests that are not answered, by what the dialer calls them; 0 for those
        /// of whose answer a part went out.
        var open: [RequestID: Int] = [:]
        var openBytes = 0
        /// Of these, those that change nothing.
        var reads: Set<RequestID> = []
        var held: [RequestID: Held] = [:]
        var heldBytes = 0
        /// Those of `held` of which something is asked for, whose turn it is in front. Who was recalled may be among them.
        var due = CircularBuffer<RequestID>()
        /// Those that made room. To give back a GiB takes its time: not under the lock.
        var ended: [Held] = []
        var replies: [Reply] = []
        /// Bytes of `replies`, and of those handed to the connection that it has not written.
        var unsentBytes = 0
        /// Replies to requests that are answered in parts, in their order; those before `front` are
        /// written.
        var parts: [Reply] = []
        var front = 0
        /// The last part was one of what is held.
        var wasSlice = false
        /// From when on what the other node asks for was last left unread, and until when; without that it still is.
        var unread: (from: NIODeadline, until: NIODeadline?)?
        /// A large one is being encoded elsewhere: those after it stay after it.
        var isEncoding = false
        var isFlushScheduled = false

        /// Those that came and those of what is held take turns.
        mutating func nextPart(at now: NIODeadline) -> Reply? {
            guard !isEncoding else { return nil }
            wasSlice.toggle()
            return wasSlice
                ? nextSlice(at: now) ?? nextGiven() : nextGiven() ?? nextSlice(at: now)
        }

        private mutating func nextGiven() -> Reply? {
            guard front < parts.count else { return nil }
            defer {
                front += 1
                if front == parts.count || front >= 256 {
                    parts.removeFirst(front)
                    front = 0
                }
            }
            return parts[front]
        }

        /// Made when the connection takes it, and not before: so what is held is in memory once, and counts until then.
        private mutating func nextSlice(at now: NIODeadline) -> Reply? {
            while let id = due.popFirst() {
                guard var found = held.removeValue(forKey: id) else { continue }
                let part = found.next(at: now)
                held[id] = found
                if found.slices.isFinished {
                    end(id)
                } else if found.demand > 0 {
                    due.append(id)
                }
                return Reply(
                    id: id, outcome: .part(part), servedBy: found.servedBy, sight: found.sight)
            }
            return nil
        }

        mutating func end(_ id: RequestID) {
            openBytes -= open.removeValue(forKey: id) ?? 0
            reads.remove(id)
            if let held = held.removeValue(forKey: id) { heldBytes -= held.size }
        }

        /// Ends answers of which nobody asked for more in so long, those that have waited for longest first, until
        /// there is room for another one; none where that is not enough.
        /// - Parameter most: bytes of all that is held.
        mutating func makeRoom(
            for size: Int, of most: Int, at now: NIODeadline, patience: TimeAmount
        ) -> Bool {
            let heard = heardUntil(now)
            var stalled: [(since: NIODeadline, id: RequestID, size: Int)] = []
            for (id, found) in held {
                guard let since = found.waitsSince, heard - since >= patience else { continue }
                stalled.append((since, id, found.size))
            }
            stalled.sort { ($0.since, $0.id.rawValue) < ($1.since, $1.id.rawValue) }
            var room = most - heldBytes
            let gone = stalled.prefix { waiting in
                guard room < size else { return false }
                room += waiting.size
                return true
            }
            guard room >= size else { return false }
            for waiting in gone {
                if let found = held[waiting.id] { ended.append(found) }
                end(waiting.id)
                let cause = "who asked to take the rest of the answer: others need its room"
                parts.append(
                    Reply(id: waiting.id, outcome: .failed(.timedOut(waitingFor: cause))))
            }
            return true
        }

        /// Who asked before that was heard: a connection that takes nothing is not read either.
        private func heardUntil(_ now: NIODeadline) -> NIODeadline {
            guard let unread else { return now }
            // What has come meanwhile is read by then.
            if let until = unread.until, now - until >= .seconds(1) { return now }
            return unread.from
        }

        /// Nobody waits for what is left of these, where they go in parts.
        mutating func drop(_ ids: Set<RequestID>) {
            guard front < parts.count else { return }
            parts = parts[front...].filter { !ids.contains($0.id) }
            front = 0
        }

        /// The request itself is not needed any more; its answer is under way.
        mutating func begin(_ id: RequestID) {
            openBytes -= open.updateValue(0, forKey: id) ?? 0
        }
    }

    let takesParts: Bool
    private let channel: any Channel
    private let limits: TransportLimits
    private let codec: NIOThreadPool
    private let answered: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - takesParts: the dialer does.
    ///   - answered: called on the channel's loop after requests were.
    init(
        channel: any Channel, transport: PeerTransport, takesParts: Bool,
        answered: @escaping @Sendable () -> Void
    ) {
        self.channel = channel
        self.takesParts = takesParts
        limits = transport.limits
        codec = transport.codec
        self.answered = answered
    }

    var isRemote: Bool { true }

    var holdsTooMuch: Bool {
        state.withLock {
            $0.open.count > limits.maxOpenForwards || $0.openBytes > limits.maxOpenForwardBytes
        }
    }

    func opened(_ requests: [ClientRequest]) {
        state.withLock { state in
            for request in requests {
                let size = request.approximateSize
                state.openBytes += size - (state.open.updateValue(size, forKey: request.id) ?? 0)
                if request.operation.onlyReads { state.reads.insert(request.id) }
            }
        }
    }

    /// The connection is gone.
    /// - Returns: what nobody waits for any more.
    func close() -> [RequestID] {
        state.withLock { state in
            let open = state.open.keys.filter { state.held[$0] == nil }
            state = State()
            return open.sorted { $0.rawValue < $1.rawValue }
        }
    }

    /// - Returns: those that the node still is at.
    func recall(_ ids: [RequestID]) -> [RequestID] {
        state.withLock { state in
            state.drop(Set(ids))
            return ids.filter { id in
                let isElsewhere = state.open[id] != nil && state.held[id] == nil
                state.end(id)
                return isElsewhere
            }
        }
    }

    /// - Returns: what is wanted of answers that the node still makes.
    func demand(_ demands: [PartDemand]) -> [PartDemand] {
        let (others, mustSchedule) = state.withLock { state -> ([PartDemand], Bool) in
            var others: [PartDemand] = []
            for demand in demands {
                if let isDue = state.held[demand.id]?.ask(for: demand.bytes) {
                    if isDue { state.due.append(demand.id) }
                } else if state.open[demand.id] != nil {
                    others.append(demand)
                }
            }
            return (others, Self.mustFlush(&state))
        }
        if mustSchedule { channel.eventLoop.execute { self.flush() } }
        return others
    }

    /// What the other node asks for is left unread from now on. On the loop, as is `readsAgain`, which follows.
    func readsNothing() {
        let now = channel.eventLoop.now
        state.withLock { $0.unread = (from: now, until: nil) }
    }

    func readsAgain() {
        let now = channel.eventLoop.now
        state.withLock { $0.unread?.until = now }
    }

    /// Asks for more of a request that comes in parts. On the loop.
    func grant(_ id: RequestID, _ bytes: Int) {
        var writer = ByteWriter(reserving: 32)
        writer.writeFrame(.grant) {
            $0.write(id.rawValue)
            $0.write(UInt32(clamping: bytes))
        }
        channel.writeAndFlush(ByteBuffer(bytes: writer.bytes), promise: nil)
    }

    /// Answers a request that never was whole, and so is not known as open.
    func refuse(_ id: RequestID, _ error: ServiceError) {
        let mustSchedule = state.withLock { state -> Bool in
            keep(Reply(id: id, outcome: .failed(error)), &state)
            return Self.mustFlush(&state)
        }
        if mustSchedule { channel.eventLoop.execute { self.flush() } }
    }

    func deliver(_ replies: [Reply]) {
        let (mustSchedule, ended) = state.withLock { state -> (Bool, [Held]) in
            for reply in replies { take(reply, &state) }
            defer { state.ended = [] }
            return (Self.mustFlush(&state), state.ended)
        }
        if !ended.isEmpty { codec.submit { _ in withExtendedLifetime(ended) {} } }
        if mustSchedule { channel.eventLoop.execute { self.flush() } }
    }

    private static func mustFlush(_ state: inout State) -> Bool {
        guard !state.isFlushScheduled,
            !state.replies.isEmpty || !state.parts.isEmpty || !state.due.isEmpty
        else { return false }
        state.isFlushScheduled = true
        return true
    }

    private func take(_ reply: Reply, _ state: inout State) {
        // What was recalled, or has ended, may still be answered.
        guard let size = state.open[reply.id] else { return }
        let isQuery = state.reads.contains(reply.id)
        let isInParts = size == 0 || !reply.outcome.isLast
        if !reply.outcome.isLast {
            state.begin(reply.id)
        } else if takesParts, case .results(let result) = reply.outcome,
            case let size = reply.approximateSize,
            size > min(limits.wholeReplyBytes, limits.maxReplyBytes), canHold(size, &state)
        {
            state.begin(reply.id)
            state.held[reply.id] = Held(
                slices: ResultSlices(result), servedBy: reply.servedBy, sight: reply.sight,
                size: size)
            state.heldBytes += size
            return state.due.append(reply.id)
        } else {
            state.end(reply.id)
        }
        if isInParts {
            state.parts.append(reply)
        } else {
            let size = reply.approximateSize
            let hasOnlyRead = isQuery || Self.onlyRead(reply.outcome)
            let findsNone = lacksRoom(size, state.unsentBytes, held: state.heldBytes)
            // Of what has only read and is over the limit it is told so: to ask again would be in vain. But what could be
            // held at another time is over none.
            let most = takesParts ? limits.maxHeldReplyBytes : limits.maxReplyBytes
            let isTooMuch =
                hasOnlyRead
                ? size <= most && (findsNone || size > limits.maxReplyBytes)
                : size > limits.maxReplyBytes || size > limits.wholeReplyBytes && findsNone
                    || isTooMuchWritten(size, state.unsentBytes)
            keep(isTooMuch ? dropped(reply, hasOnlyRead: hasOnlyRead) : reply, &state)
        }
    }

    /// Whether there is room for a result that waits to be asked for. Where there is none, nor for all of it on its
    /// way, others make some of which nobody asks for more: as with answers that readers make.
    private func canHold(_ size: Int, _ state: inout State) -> Bool {
        let most = limits.maxHeldReplyBytes
        if size <= most - state.heldBytes { return true }
        let goesWhole =
            size <= limits.maxReplyBytes
            && !lacksRoom(size, state.unsentBytes, held: state.heldBytes)
        if goesWhole { return false }
        return state.makeRoom(
            for: size, of: most, at: channel.eventLoop.now, patience: limits.heldReplyPatience)
    }

    /// What is said in place of an answer for which there is no room. Of a write nothing that would have it sent again,
    /// and that it was carried out only if all of it was: what has failed may have undone the rest.
    private func dropped(_ reply: Reply, hasOnlyRead: Bool) -> Reply {
        guard !hasOnlyRead else { return Reply(id: reply.id, outcome: .failed(.busy)) }
        var result = CommandResult([])
        switch reply.outcome {
        case .results(let found), .repeated(let found): result = found
        default: break
        }
        let room =
            "there is no room between nodes for the answer of \(reply.approximateSize) bytes"
        let text =
            result.firstFailure.map { "\(room), by which a statement has failed: \($0)" }
            ?? "the request was carried out, and \(room)"
        return Reply(
            id: reply.id,
            outcome: .results(CommandResult([], error: text, logIndex: result.logIndex)))
    }

    /// What may write, and stands nowhere in the log, has only read.
    private static func onlyRead(_ outcome: Outcome) -> Bool {
        if case .results(let result) = outcome { result.logIndex == 0 } else { false }
    }

    private func keep(_ reply: Reply, _ state: inout State) {
        state.unsentBytes += reply.approximateSize
        state.replies.append(reply)
    }

    /// Whether the reply is too much beside those that the connection has not taken. Each of all requests that may be
    /// open can have an answer of `wholeReplyBytes`, and a dialer may ask faster than it takes: so these have
    /// what is left of the bound of what is held, and a quarter of it in any case: what is held waits for single
    /// clients, for as long as they like. Small ones are bounded by their number.
    private func lacksRoom(_ size: Int, _ unsent: Int, held: Int) -> Bool {
        let most = limits.maxHeldReplyBytes
        return size > Self.smallReplyBytes && unsent > 0
            && unsent + size > max(most - held, most / 4)
    }

    private static let smallReplyBytes = 16 << 10

    /// The same of a write's, which goes out where it can: who hears of none sends again what is done.
    private func isTooMuchWritten(_ size: Int, _ unsent: Int) -> Bool {
        size > Self.smallReplyBytes && unsent + size > 2 * limits.maxHeldReplyBytes
    }

    // MARK: Writing

    /// On the loop.
    private func flush() {
        let replies = state.withLock { state -> [Reply] in
            state.isFlushScheduled = false
            defer { state.replies = [] }
            return state.replies
        }
        guard channel.isActive else { return }
        let size = replies.reduce(0) { $0 + $1.approximateSize }
        if size > limits.largeFrameBytes {
            codec.submit { _ in
                let pieces = self.encoded(replies)
                self.channel.eventLoop.execute { self.send(pieces, of: size) }
            }
        } else if !replies.isEmpty {
            send(encoded(replies), of: size)
        }
        writeParts()
        answered()
    }

    /// On the loop: as much as the connection takes.
    func writeParts() {
        let now = channel.eventLoop.now
        while channel.isWritable, let part = state.withLock({ $0.nextPart(at: now) }) {
            guard part.approximateSize > limits.largeFrameBytes else {
                send(encoded([part]), of: 0)
                continue
            }
            state.withLock { $0.isEncoding = true }
            codec.submit { _ in
                let pieces = self.encoded([part])
                self.channel.eventLoop.execute {
                    self.send(pieces, of: 0)
                    self.state.withLock { $0.isEncoding = false }
                    self.writeParts()
                }
            }
        }
    }

    /// On the loop, or where large frames are encoded: whole replies are paired by number, not by order.
    private func encoded(_ replies: [Reply]) -> [ByteBuffer] {
        var pieces: [ByteBuffer] = []
        var writer = ByteWriter(reserving: 256 * replies.count)
        for reply in replies {
            fitting(reply).encode(asFrameInto: &writer)
            if writer.count >= limits.writeBatchBytes {
                pieces.append(ByteBuffer(bytes: writer.bytes))
                writer = ByteWriter()
            }
        }
        if writer.count > 0 { pieces.append(ByteBuffer(bytes: writer.bytes)) }
        return pieces
    }

    /// On the loop.
    /// - Parameter size: of the replies, as `unsentBytes` has it.
    private func send(_ pieces: [ByteBuffer], of size: Int) {
        for piece in pieces.dropLast() { channel.write(piece, promise: nil) }
        guard let last = pieces.last else { return }
        guard size > 0 else { return channel.writeAndFlush(last, promise: nil) }
        let written = channel.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { [self] _ in
            // What there was of a connection that is gone counts no more.
            state.withLock { $0.unsentBytes = max(0, $0.unsentBytes - size) }
        }
        channel.writeAndFlush(last, promise: written)
    }

    private func fitting(_ reply: Reply) -> Reply {
        let size = reply.approximateSize
        guard size > limits.maxReplyBytes else { return reply }
        let cause =
            "its answer of \(size) bytes is over the limit of \(limits.maxReplyBytes) between "
            + "nodes: ask for less at once, or ask that node itself"
        return Reply(
            id: reply.id,
            outcome: .failed(
                .forwardingFailed(to: PeerAddress(channel.localText), cause: cause)))
    }
}

extension Reply {
    fileprivate func encode(asFrameInto writer: inout ByteWriter) {
        writer.writeFrame(.reply) { encode(into: &$0) }
    }
}

extension ClientRequest.Operation {
    /// Who is told that it is busy can send it again.
    fileprivate var onlyReads: Bool {
        if case .command(let command, _) = self { command.kind == .query } else { false }
    }
}
