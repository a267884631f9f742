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
        var plan = FaultPlan(.none)
        var requestCount = 0
    }

    private let listener: LoopbackListener
    private let state = Mutex(State())
    private let handler: Handler

    package init(handler: @escaping Handler) throws(BackendError) {
        listener = try LoopbackListener()
        self.handler = handler
        listener.accept { [self] in serve($0, $1) }
    }

    package var port: UInt16 { listener.port }
    package var requestCount: Int { state.withLock { $0.requestCount } }
    package var url: String { "http://127.0.0.1:\(port)" }

    package func misbehave(_ plan: FaultPlan) { state.withLock { $0.plan = plan } }

    /// See `Backend`.
    package func goDown() { listener.goDown() }

    /// See `Backend`.
    package func comeUp() throws(BackendError) {
        try listener.comeUp { [self] in serve($0, $1) }
    }

    private func serve(_ connection: Int32, _ generation: Int) {
        var reader = HTTPReader(connection: connection)
        let exchange = HTTPExchange(
            connection: connection, isServerUp: { [listener] in listener.isUp(generation) })
        while listener.isUp(generation), let request = reader.next() {
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
