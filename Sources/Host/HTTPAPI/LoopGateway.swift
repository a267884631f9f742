import NIOCore
import Service

/// Stands between the HTTP connections of one event loop and the node. What the connections take
/// in during one turn of the loop goes to the node as one batch, and a batch of replies comes back
/// to the loop in one hop.
///
/// `@unchecked Sendable`: all mutable state is used on `loop` only, which every entry point but
/// `deliver` asserts, and `deliver` touches none of it before it is on the loop.
final class LoopGateway: ReplySink, @unchecked Sendable {
    private struct Waiting {
        let connection: HTTPConnection
        let place: HTTPConnection.Place
        let pending: PendingReply
    }

    private let loop: any EventLoop
    private let service: any NodeService
    private let renderer: ReplyRenderer
    private var gathered: [ClientRequest] = []
    private var waiting: [RequestID: Waiting] = [:]
    private var lastID: UInt64 = 0
    private var openConnections = 0
    private var draining: Draining?

    /// The end of service on this loop.
    private struct Draining {
        let promise: EventLoopPromise<Void>
        /// Connections without a request are not waited for any more.
        var isPatienceOver = false
    }

    init(loop: any EventLoop, service: any NodeService, renderer: ReplyRenderer) {
        self.loop = loop
        self.service = service
        self.renderer = renderer
    }

    func submit(
        _ operation: ClientRequest.Operation, _ pending: PendingReply,
        for connection: HTTPConnection, at place: HTTPConnection.Place
    ) {
        loop.assertInEventLoop()
        lastID += 1
        let id = RequestID(lastID)
        waiting[id] = Waiting(connection: connection, place: place, pending: pending)
        // The loop runs its tasks after it has read from all sockets that were ready.
        if gathered.isEmpty { loop.execute { self.submitGathered() } }
        gathered.append(
            ClientRequest(
                id: id, operation: operation, forward: !pending.redirects,
                timeout: pending.timeout))
    }

    private func submitGathered() {
        let batch = gathered
        gathered = []
        service.submit(batch, replyTo: self)
    }

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
            // Whoever answers twice finds nobody waiting.
            guard let waiting = waiting.removeValue(forKey: reply.id) else { continue }
            // Rendering for a client that has gone would be for nothing.
            guard waiting.connection.isOpen else { continue }
            waiting.connection.complete(
                waiting.place, with: renderer.render(reply, to: waiting.pending))
            if waiting.connection.noteUnflushed() { touched.append(waiting.connection) }
        }
        for connection in touched { connection.flush() }
        endDrainingIfDue()
    }

    // MARK: Draining

    var isDraining: Bool { draining != nil }

    func connectionOpened() { openConnections += 1 }

    func connectionClosed() {
        openConnections -= 1
        endDrainingIfDue()
    }

    /// See `HTTPServer.drain`.
    func drain(_ limits: HTTPLimits) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        loop.execute {
            guard self.draining == nil else { return promise.succeed(()) }
            self.draining = Draining(promise: promise)
            self.loop.assumeIsolated().scheduleTask(in: limits.drainPatience) {
                self.draining?.isPatienceOver = true
                self.endDrainingIfDue()
            }
            self.loop.assumeIsolated().scheduleTask(in: limits.drainLimit) { promise.succeed(()) }
            self.endDrainingIfDue()
        }
        return promise.futureResult
    }

    private func endDrainingIfDue() {
        guard let draining else { return }
        let isIdle = waiting.isEmpty && draining.isPatienceOver
        if openConnections == 0 || isIdle { draining.promise.succeed(()) }
    }
}
