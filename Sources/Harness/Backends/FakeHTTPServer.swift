import Glibc
import Synchronization
import Threads
import Time

/// A fake server for HTTP/1.1 in plain text, on plain sockets, with a thread for each connection.
/// What it answers is its handler's business; how it misbehaves is done here, for all alike.
package final class FakeHTTPServer: Sendable {
    /// Called on the connection's thread; may block as long as the exchange is not over.
    package typealias Handler = @Sendable (ReceivedRequest, HTTPExchange) -> HTTPResponse

    private struct State {
        /// Closed by the thread that accepts on it: were it closed beneath that thread, its number
        /// could be another server's by the time of the next accept.
        var listener: Int32?
        var isAccepting = true
        var connections: Set<Int32> = []
        var plan = FaultPlan(.none)
        var requestCount = 0
        /// Counts restarts: what began before one is over.
        var generation = 0
    }

    package let port: UInt16
    private let state: Mutex<State>
    private let handler: Handler

    package init(handler: @escaping Handler) throws(BackendError) {
        let (listener, port) = try LoopbackSocket.open(.stream, port: 0)
        self.port = port
        self.handler = handler
        state = Mutex(State(listener: listener))
        accept(on: listener, generation: 0)
    }

    package var requestCount: Int { state.withLock { $0.requestCount } }
    package var url: String { "http://127.0.0.1:\(port)" }

    package func misbehave(_ plan: FaultPlan) { state.withLock { $0.plan = plan } }

    /// See `Backend`.
    package func goDown() {
        state.withLock { state in
            guard let listener = state.listener else { return }
            state.listener = nil
            state.generation += 1
            // Wakes the threads, which close what is theirs.
            shutdown(listener, Int32(SHUT_RDWR))
            for connection in state.connections { shutdown(connection, Int32(SHUT_RDWR)) }
        }
        while state.withLock({ $0.isAccepting }) { CurrentThread.pause(milliseconds: 1) }
    }

    /// See `Backend`.
    package func comeUp() throws(BackendError) {
        guard state.withLock({ $0.listener == nil }) else { return }
        let (listener, _) = try LoopbackSocket.open(.stream, port: port)
        let generation = state.withLock { state in
            state.listener = listener
            state.isAccepting = true
            return state.generation
        }
        accept(on: listener, generation: generation)
    }

    private func isUp(_ generation: Int) -> Bool {
        state.withLock { $0.generation == generation && $0.listener != nil }
    }

    private func accept(on listener: Int32, generation: Int) {
        let didStart = BackendThread.start { [self] in
            while let connection = LoopbackSocket.accept(listener) {
                let isWelcome = state.withLock { state in
                    guard state.generation == generation,
                        state.connections.count < BackendLimits.connections
                    else { return false }
                    state.connections.insert(connection)
                    return true
                }
                let didStart =
                    isWelcome
                    && BackendThread.start { [self] in
                        serve(connection, generation)
                        finish(connection)
                    }
                if !didStart { finish(connection) }
            }
            endAccepting(listener)
        }
        if !didStart { endAccepting(listener) }
    }

    private func endAccepting(_ listener: Int32) {
        state.withLock { state in
            close(listener)
            state.listener = nil
            state.isAccepting = false
        }
    }

    private func finish(_ connection: Int32) {
        state.withLock { state in
            state.connections.remove(connection)
            close(connection)
        }
    }

    private func serve(_ connection: Int32, _ generation: Int) {
        var reader = HTTPReader(connection: connection)
        let exchange = HTTPExchange(
            connection: connection, isServerUp: { [self] in isUp(generation) })
        while isUp(generation), let request = reader.next() {
            let fault = state.withLock { state in
                state.requestCount += 1
                return state.plan.next()
            }
            guard answer(request, exchange, fault),
                request.header("connection")?.lowercased() != "close"
            else { return }
        }
    }

    /// Returns whether the connection goes on.
    private func answer(_ request: ReceivedRequest, _ exchange: HTTPExchange, _ fault: Fault)
        -> Bool
    {
        let connection = exchange.connection
        switch fault {
        case .none: return send(handler(request, exchange), exchange)
        case .silent:
            while !exchange.isOver { exchange.pause() }
            return false
        case .slow(let seconds):
            let due = MonotonicTime.now.nanoseconds + UInt64(seconds) * 1_000_000_000
            while MonotonicTime.now.nanoseconds < due {
                if exchange.isOver { return false }
                exchange.pause()
            }
            return send(handler(request, exchange), exchange)
        case .dribble:
            for byte in whole(handler(request, exchange)) {
                guard !exchange.isOver, LoopbackSocket.send([byte], to: connection) else { break }
                CurrentThread.pause(milliseconds: BackendLimits.dribbleMilliseconds)
            }
            return false
        case .reset:
            LoopbackSocket.makeReset(connection)
            return false
        case .status(let code):
            return send(
                HTTPResponse(code, text: "the fake server was told to say \(code)"), exchange)
        case .html:
            return send(
                HTTPResponse(
                    200, text: "<!DOCTYPE html><html><body>Please log in.</body></html>",
                    type: "text/html"), exchange)
        case .garbage:
            _ = LoopbackSocket.send(
                (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 37) },
                to: connection)
            return false
        case .truncated:
            let answer = whole(handler(request, exchange))
            _ = LoopbackSocket.send(answer.dropLast(max(answer.count / 2, 1)), to: connection)
            return false
        case .giant:
            sendGiant(exchange)
            return false
        case .dropAfterExecution:
            let response = handler(request, exchange)
            if response.didChange {
                LoopbackSocket.makeReset(connection)
                return false
            }
            return send(response, exchange)
        }
    }

    private func send(_ response: HTTPResponse, _ exchange: HTTPExchange) -> Bool {
        switch response.body {
        case .bytes: return LoopbackSocket.send(whole(response), to: exchange.connection)
        case .stream(let body):
            guard LoopbackSocket.send(response.head(length: nil), to: exchange.connection) else {
                return false
            }
            body(exchange)
            return LoopbackSocket.send("0\r\n\r\n".utf8, to: exchange.connection)
        }
    }

    /// Of a stream, the head alone.
    private func whole(_ response: HTTPResponse) -> [UInt8] {
        switch response.body {
        case .bytes(let bytes): response.head(length: bytes.count) + bytes
        case .stream: response.head(length: nil)
        }
    }

    /// Well-formed JSON as far as it goes, so that only its size is wrong.
    private func sendGiant(_ exchange: HTTPExchange) {
        var response = HTTPResponse(200, json: "")
        response.body = .stream { exchange in
            let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
            guard exchange.write(Array("[\"".utf8)) else { return }
            for _ in 0..<(BackendLimits.giantBytes / piece.count) {
                guard exchange.write(piece) else { return }
            }
        }
        _ = send(response, exchange)
    }
}
