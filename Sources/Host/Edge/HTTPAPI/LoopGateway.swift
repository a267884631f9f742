import NIOCore
import NIOHTTP1
import Rights
import Service
import Telemetry
import Wire

/// Stands between the HTTP connections of one event loop and the node. What the connections take
/// in during one turn of the loop goes to the node as one batch, and a batch of replies comes back
/// to the loop in one hop.
///
/// `@unchecked Sendable`: all mutable state is used on `loop` only, which every entry point but
/// `deliver` asserts, and `deliver` touches none of it before it is on the loop.
final class LoopGateway: ReplySink, @unchecked Sendable {
    typealias ExchangeID = HTTPConnection.Machine.ExchangeID

    struct Waiting {
        let connection: HTTPConnection
        let exchange: ExchangeID
        let pending: PendingReply
        /// What the body holds of the budget of all.
        let share: Share?
        /// Of an answer that comes in parts.
        var source: AnswerSource?
        /// Of a load in parts.
        var shipment: Shipment?
        /// Of an import.
        var importing: ImportRun?
        /// The client has its answer, or a refusal; parts that still come are dropped.
        var isOver = false

        /// What the node answers may lead to the next request rather than to the client's answer.
        var hasSteps: Bool { shipment != nil || importing != nil }
    }

    let loop: any EventLoop
    let service: any NodeService
    let edge: Edge
    private var gathered: [ClientRequest] = []
    /// Nobody waits for these any more, and the node is to hear of it in this turn.
    private var gone: [RequestID] = []
    /// Also requests whose client has gone: the node is still at them.
    var waiting: [RequestID: Waiting] = [:]
    /// Whose request is worked on elsewhere, and its body where that is kept.
    private var away: [RequestID: (connection: HTTPConnection, intake: (any LoadIntake)?)] = [:]
    private var lastSerial: UInt32 = 0
    private var openConnections = 0
    /// Those that may have a request.
    private var serving: [ObjectIdentifier: HTTPConnection] = [:]
    private var sessions: [ObjectIdentifier: HTTP2Session] = [:]
    private var draining: Draining?
    /// Connections that wait for their turn to make a slice.
    private var slicing = CircularBuffer<HTTPConnection>()
    private var isSliceScheduled = false
    /// Until the pause behind the last slice is over.
    private var pauseEnd = NIODeadline.uptimeNanoseconds(0)

    /// The end of service on this loop.
    private struct Draining {
        let promise: EventLoopPromise<Void>
        /// Connections without a request are not waited for any more.
        var isPatienceOver = false
    }

    init(loop: any EventLoop, service: any NodeService, edge: Edge) {
        self.loop = loop
        self.service = service
        self.edge = edge
    }

    func nextSerial() -> UInt32 {
        lastSerial &+= 1
        return lastSerial
    }

    /// Unique on this loop as long as the request is under way.
    private static func id(_ exchange: ExchangeID, _ connection: HTTPConnection) -> RequestID {
        RequestID(
            UInt64(connection.serial) << 32
                | UInt64(UInt32(truncatingIfNeeded: exchange.number)))
    }

    // MARK: Requests

    /// Works out what a complete request wants, here or, when its body is large, elsewhere.
    /// - Returns: whether it is done elsewhere; then the connection is told when it has returned.
    func work(
        _ request: HTTPRequest, _ operation: HTTPOperation, for connection: HTTPConnection,
        _ exchange: ExchangeID
    ) -> Bool {
        loop.assertInEventLoop()
        let pending = PendingReply(operation, request)
        let size = request.body?.readableBytes ?? 0
        guard size <= edge.limits.inlineBodyBytes, !operation.isSlow else {
            return workElsewhere(request, pending, for: connection, exchange)
        }
        switch operation.work(edge.desk, request) {
        case .respond(let response):
            edge.desk.counters.times.record(pending)
            let isKept = keepsAnswer(exchange, of: connection)
            connection.complete(
                exchange, with: edge.desk.finished(response, for: pending, isKept: isKept))
        case .enqueue(let write):
            guard let id = enroll(pending, for: connection, exchange, request.share) else { break }
            enqueue(write, id)
        case .submit(let asked):
            guard let id = enroll(pending, for: connection, exchange, request.share) else { break }
            // The loop runs its tasks after it has read from all sockets that were ready.
            if gathered.isEmpty { loop.execute { self.submitGathered() } }
            gathered.append(Self.request(id, asked, pending))
        case .ship(let parcel, let isBoot):
            guard let id = enroll(pending, for: connection, exchange, request.share) else { break }
            edge.files.run { [self] in ship(parcel, isBoot: isBoot, id, pending) }
        case .importRows(let run):
            guard let id = enroll(pending, for: connection, exchange, request.share) else { break }
            edge.files.run { [self] in importRows(run, id, pending) }
        }
        return false
    }

    static func request(
        _ id: RequestID, _ operation: ClientRequest.Operation, _ pending: PendingReply
    ) -> ClientRequest {
        ClientRequest(
            id: id, operation: operation, forward: !pending.redirects, timeout: pending.timeout,
            credential: pending.credential)
    }

    /// Notes whom the reply is for; nil: too many are waiting, and the client was told.
    private func enroll(
        _ pending: PendingReply, for connection: HTTPConnection, _ exchange: ExchangeID,
        _ share: Share?
    ) -> RequestID? {
        if !pending.operation.isObservation,
            let shortage = edge.budgets.requests.take(1, for: pending.account)
        {
            let refusal = edge.desk.noRoom(shortage, of: "requests under way", for: pending)
            connection.complete(exchange, with: refusal)
            return nil
        }
        let id = Self.id(exchange, connection)
        waiting[id] = Waiting(
            connection: connection, exchange: exchange, pending: pending, share: share)
        return id
    }

    private func workElsewhere(
        _ request: HTTPRequest, _ pending: PendingReply, for connection: HTTPConnection,
        _ exchange: ExchangeID
    ) -> Bool {
        let kept = request.kept?.intake
        guard let id = enroll(pending, for: connection, exchange, request.share) else {
            // To remove what is kept may take long.
            if let kept { edge.files.run { kept.discard() } }
            return false
        }
        away[id] = (connection, kept)
        // What comes earlier shall reach the node earlier.
        if !gathered.isEmpty { submitGathered() }
        let (desk, operation, service) = (edge.desk, pending.operation, service)
        let workshop =
            operation.isObservation
            ? edge.lookout : operation.isSlow ? edge.files : edge.workshop
        let asker = connection.asker
        workshop.run { [self] in
            // What only the client would see of it is not made when that has gone: who asks and hangs up, over
            // and over, would keep all others waiting.
            let isForNobody = operation.need == .edge && asker.isGone
            let action: Action =
                isForNobody ? .respond(Response(.ok)) : operation.work(desk, request)
            switch action {
            case .submit(let asked):
                service.submit([Self.request(id, asked, pending)], replyTo: self)
            case .enqueue(let write): enqueue(write, id)
            case .ship(let parcel, let isBoot): ship(parcel, isBoot: isBoot, id, pending)
            case .importRows(let run): importRows(run, id, pending)
            // Else the event loop, which holds it last, would remove what is kept.
            case .respond: kept?.discard()
            }
            // Nothing else of it: what else it holds ends here.
            let response: Response? = if case .respond(let said) = action { said } else { nil }
            loop.execute { [self] in returned(id, exchange, response) }
        }
        return true
    }

    /// From any thread.
    private func enqueue(_ write: QueuedWrite, _ id: RequestID) {
        guard let queue = edge.queue else { return verdict(.stopped, on: id) }
        guard write.needsNoLeader || queue.hasLeader else { return verdict(nil, on: id) }
        queue.put(write) { [self] in verdict($0, on: id) }
    }

    /// - Parameter verdict: nil: no leader is known.
    private func verdict(_ verdict: WriteQueueMachine.Verdict?, on id: RequestID) {
        loop.execute { [self] in
            guard let waiting = remove(id) else { return }
            edge.desk.counters.times.record(waiting.pending)
            guard waiting.connection.isOpen else { return endDrainingIfDue() }
            waiting.connection.complete(
                waiting.exchange,
                with: verdict.map { edge.desk.answer($0, to: waiting.pending) }
                    ?? edge.desk.failure(.noLeader(waitingFor: ""), to: waiting.pending))
            waiting.connection.flush()
            endDrainingIfDue()
        }
    }

    private func returned(_ id: RequestID, _ exchange: ExchangeID, _ response: Response?) {
        if let response, let waiting = remove(id) {
            edge.desk.counters.times.record(waiting.pending)
            let isKept = keepsAnswer(exchange, of: waiting.connection)
            waiting.connection.complete(
                exchange,
                with: edge.desk.finished(response, for: waiting.pending, isKept: isKept))
        }
        away.removeValue(forKey: id)?.connection.workReturned()
        endDrainingIfDue()
    }

    private func submitGathered() {
        let batch = gathered
        gathered = []
        if !batch.isEmpty { service.submit(batch, replyTo: self) }
    }

    /// The client has gone. The node may drop what only reads; it replies all the same.
    func cancel(_ exchanges: [ExchangeID], of connection: HTTPConnection) {
        let ids = exchanges.map { Self.id($0, connection) }.filter { waiting[$0] != nil }
        guard !ids.isEmpty else { return }
        for id in ids { away[id]?.intake?.abandon() }
        if gone.isEmpty { loop.execute { self.cancelGone() } }
        gone += ids
    }

    /// Together: the node looks through all reads that wait, and clients may hang up by the thousand.
    private func cancelGone() {
        // What is not yet submitted is cancelled after it.
        submitGathered()
        let ids = gone
        gone = []
        service.cancel(ids, replyTo: self)
    }

    // MARK: Replies

    func deliver(_ replies: [Reply]) {
        if loop.inEventLoop {
            finish(replies)
        } else {
            loop.execute { self.finish(replies) }
        }
    }

    private func finish(_ replies: [Reply]) {
        var touched: [HTTPConnection] = []
        for reply in replies {
            if let connection = finish(reply), connection.noteUnflushed() {
                touched.append(connection)
            }
        }
        for connection in touched { connection.flush() }
        endDrainingIfDue()
    }

    /// - Returns: the connection that has something to send by it.
    private func finish(_ reply: Reply) -> HTTPConnection? {
        if case .part(let part) = reply.outcome { return take(part, of: reply) }
        // Whoever answers twice finds nobody waiting.
        guard let place = waiting.index(forKey: reply.id) else { return nil }
        if waiting.values[place].hasSteps, goOn(with: reply) || goOnImporting(with: reply) {
            return nil
        }
        guard let waiting = remove(reply.id) else { return nil }
        if let shipment = waiting.shipment { ended(shipment, reply, waiting.pending) }
        if waiting.source == nil { edge.desk.counters.times.record(waiting.pending) }
        // Behind the first part of an answer comes no news; the lines of a load are its progress.
        if waiting.source == nil || waiting.shipment != nil {
            edge.desk.counters.count(reply, to: waiting.pending.operation)
        }
        // Rendering for a client that has gone would be for nothing.
        guard waiting.connection.isOpen, !waiting.isOver else { return nil }
        if waiting.shipment != nil, waiting.source != nil {
            close(waiting, with: reply.outcome)
        } else if let source = waiting.source {
            // A part went out: the client sees the missing end.
            source.fail()
            waiting.connection.fed(source)
        } else {
            let isKept = keepsAnswer(waiting.exchange, of: waiting.connection)
            waiting.connection.complete(
                waiting.exchange,
                with: edge.desk.answer(reply, to: waiting.pending, isKept: isKept))
        }
        return waiting.connection
    }

    /// What is answered now is kept, as others are already: they wait for an earlier one, or for the client.
    private func keepsAnswer(_ exchange: ExchangeID, of connection: HTTPConnection) -> Bool {
        connection.machine.keptAnswers >= edge.limits.uncountedAnswers
            && !connection.machine.hasTurn(exchange)
            || connection.context?.channel.isWritable == false
    }

    /// - Returns: who is to be flushed.
    private func take(_ part: ResultPart, of reply: Reply) -> HTTPConnection? {
        guard var found = waiting[reply.id] else { return nil }
        if part.isLast { _ = remove(reply.id) }
        let connection = found.connection
        guard connection.isOpen, !found.isOver else { return nil }
        if let source = found.source {
            source.feed(part)
            connection.fed(source)
            return connection
        }
        edge.desk.counters.times.record(found.pending)
        edge.desk.counters.count(reply, to: found.pending.operation)
        let response = edge.desk.answer(reply, to: found.pending)
        found.source = response.source
        found.isOver = response.source == nil
        response.source?.request = reply.id
        if !part.isLast { waiting[reply.id] = found }
        if found.isOver { service.cancel([reply.id], replyTo: self) }
        connection.complete(found.exchange, with: response)
        return connection
    }

    /// What was made into slices makes room for more.
    func demandMore(of source: AnswerSource) {
        guard let id = source.request, waiting[id] != nil, let bytes = source.takeDemand() else {
            return
        }
        service.demand([PartDemand(id: id, bytes: bytes)], replyTo: self)
    }

    var takesParts: Bool { true }

    func remove(_ id: RequestID) -> Waiting? {
        guard let found = waiting.removeValue(forKey: id) else { return nil }
        if !found.pending.operation.isObservation {
            edge.budgets.requests.giveBack(1, for: found.pending.account)
        }
        if found.hasSteps {
            // When this turn of the loop is over nobody else holds them.
            let files = HeldFiles(found.shipment?.parcel, found.importing)
            loop.execute { [self] in edge.files.run { files.end() } }
        }
        return found
    }

    // MARK: Slices

    /// The connection makes the next slice of its answer when it has its turn. The event loop looks at
    /// its sockets only when none of its tasks is due: so there is one task for all connections, and a
    /// pause behind each slice. With a task for each there would always be one that is due, and
    /// whoever asks for something new would wait until the others have all they can take.
    func slice(_ connection: HTTPConnection) {
        slicing.append(connection)
        if !isSliceScheduled {
            scheduleSlice(after: loop.now < pauseEnd ? edge.limits.slicePause : .zero)
        }
    }

    private func scheduleSlice(after pause: TimeAmount) {
        isSliceScheduled = true
        loop.assumeIsolated().scheduleTask(in: pause) {
            // Whatever it asks for meanwhile comes behind the others.
            self.slicing.popFirst()?.makeSlice()
            self.isSliceScheduled = false
            self.pauseEnd = self.loop.now + self.edge.limits.slicePause
            if !self.slicing.isEmpty { self.scheduleSlice(after: self.edge.limits.slicePause) }
        }
    }

    // MARK: Draining

    var isDraining: Bool { draining != nil }

    /// Until it has left it is asked whether it is idle.
    func joined(_ connection: HTTPConnection) { serving[ObjectIdentifier(connection)] = connection }

    func left(_ connection: HTTPConnection) { serving[ObjectIdentifier(connection)] = nil }

    /// - Returns: nil: there are as many as the process may have.
    func connectionOpened(by account: ClientAccount) -> ConnectionPlace? {
        guard let place = takePlace(in: edge.budgets.connections, for: account) else { return nil }
        openConnections += 1
        edge.desk.counters.connections.add(1)
        return place
    }

    func connectionClosed(_ place: ConnectionPlace) {
        openConnections -= 1
        edge.desk.counters.connections.add(-1)
        giveBack(place)
        endDrainingIfDue()
    }

    /// One for a further stream of a connection, as for a connection.
    func takePlaceOfStream(for account: ClientAccount) -> ConnectionPlace? {
        takePlace(in: edge.budgets.furtherStreams, for: account)
    }

    /// One among all, or else among those that only look at the node; nil: there is neither.
    private func takePlace(in budget: Budget, for account: ClientAccount) -> ConnectionPlace? {
        guard let shortage = budget.take(1, for: account) else {
            return ConnectionPlace(account: account, shortage: nil, budget: budget)
        }
        let observers = edge.budgets.observers
        guard observers.take(1, for: nil) == nil else { return nil }
        return ConnectionPlace(account: account, shortage: shortage, budget: observers)
    }

    func giveBack(_ place: ConnectionPlace) {
        place.budget.giveBack(1, for: place.isObserver ? nil : place.account)
    }

    /// An open connection speaks HTTP/2.
    func sessionOpened(_ session: HTTP2Session) {
        sessions[ObjectIdentifier(session)] = session
        edge.desk.counters.http2.sessions.add(1)
    }

    func sessionClosed(_ session: HTTP2Session, at place: ConnectionPlace) {
        guard sessions.removeValue(forKey: ObjectIdentifier(session)) != nil else { return }
        edge.desk.counters.http2.sessions.add(-1)
        connectionClosed(place)
    }

    /// See `HTTPServer.drain`.
    func drain(_ limits: HTTPLimits) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        loop.execute {
            guard self.draining == nil else { return promise.succeed(()) }
            self.draining = Draining(promise: promise)
            self.loop.assumeIsolated().scheduleTask(in: limits.drainPatience) {
                self.draining?.isPatienceOver = true
                self.waitForClients(until: self.loop.now + limits.drainLimit)
            }
            self.loop.assumeIsolated().scheduleTask(in: limits.drainLimit) { promise.succeed(()) }
            for session in Array(self.sessions.values) { session.drain() }
            self.endDrainingIfDue()
        }
        return promise.futureResult
    }

    func endDrainingIfDue() {
        guard let draining else { return }
        let isIdle =
            draining.isPatienceOver && waiting.isEmpty && serving.values.allSatisfy(\.isIdle)
        if openConnections == 0 || isIdle { draining.promise.succeed(()) }
    }

    /// A client that sends its request, or takes its answer, comes to the end of it without a word to
    /// here: so it is looked for.
    private func waitForClients(until end: NIODeadline) {
        endDrainingIfDue()
        guard loop.now < end else { return }
        loop.assumeIsolated().scheduleTask(in: .milliseconds(50)) {
            self.waitForClients(until: end)
        }
    }
}
