import Glibc
import Synchronization
import Threads

/// Stands before a real server that speaks over TCP, and misbehaves in its place: what it is told to do
/// happens to the bytes of answers, whatever they mean. It sees no requests, so every chunk from the
/// plugin counts as one.
package final class TCPProxy: Backend {
    package static let kind = "proxy"

    private struct State {
        var plan = FaultPlan(.none)
        var requestCount = 0
    }

    /// The server's, with this proxy's address in place of its own.
    package let url: String
    private let target: Target
    private let listener: LoopbackListener
    private let state = Mutex(State())

    /// Where a URL leads: `scheme://[user@]host:port[/…]`.
    private struct Target {
        var host: String
        var port: String
        /// Before and after `host:port`.
        var prefix: Substring
        var suffix: Substring

        init?(_ url: String) {
            guard let scheme = url.firstRange(of: "://") else { return nil }
            var rest = url[scheme.upperBound...]
            let end = rest.firstIndex(where: { "/?#".contains($0) }) ?? rest.endIndex
            suffix = rest[end...]
            rest = rest[..<end]
            prefix = url[..<scheme.upperBound]
            if let at = rest.lastIndex(of: "@") {
                prefix = url[...at]
                rest = rest[rest.index(after: at)...]
            }
            guard let colon = rest.lastIndex(of: ":"),
                UInt16(rest[rest.index(after: colon)...]) != nil
            else { return nil }
            port = String(rest[rest.index(after: colon)...])
            host = String(rest[..<colon]).filter { $0 != "[" && $0 != "]" }
        }
    }

    /// Whether a server can be reached through one: it must be named with a port, and speak over TCP.
    package static func canStand(before url: String) -> Bool {
        !url.hasPrefix("dns:") && !url.hasPrefix("udp:") && Target(url) != nil
    }

    /// - Throws: if the URL names no port, or none is free here.
    package init(before url: String) throws(BackendError) {
        guard let target = Target(url) else {
            throw BackendError("\(url) names no host and port to stand before")
        }
        listener = try LoopbackListener()
        self.target = target
        self.url = "\(target.prefix)127.0.0.1:\(listener.port)\(target.suffix)"
        listener.accept { [self] connection, _ in serve(connection) }
    }

    package var port: UInt16 { listener.port }
    package var requestCount: Int { state.withLock { $0.requestCount } }

    package func misbehave(_ plan: FaultPlan) { state.withLock { $0.plan = plan } }

    package func command(_ arguments: [String]) throws(BackendError) -> String {
        throw BackendError("a real server takes no commands here: \(arguments)")
    }

    package func goDown() { listener.goDown() }

    package func comeUp() throws(BackendError) {
        try listener.comeUp { [self] connection, _ in serve(connection) }
    }

    package func stop() { goDown() }

    // MARK: One connection

    private func serve(_ connection: Int32) {
        guard let server = connect() else { return LoopbackSocket.makeReset(connection) }
        listener.adopt(server)
        defer { listener.finish(server) }
        var descriptors = [
            pollfd(fd: connection, events: Int16(POLLIN), revents: 0),
            pollfd(fd: server, events: Int16(POLLIN), revents: 0),
        ]
        // The fault that the answer to the last chunk shall meet.
        var fault = Fault.none
        while poll(&descriptors, 2, -1) > 0 || errno == EINTR {
            if descriptors[0].revents != 0 {
                let chunk = LoopbackSocket.receive(from: connection)
                guard !chunk.isEmpty else { return }
                fault = state.withLock { state in
                    state.requestCount += 1
                    return state.plan.next()
                }
                guard pass(chunk, to: server, connection, fault) else { return }
            }
            if descriptors[1].revents != 0 {
                let chunk = LoopbackSocket.receive(from: server)
                guard !chunk.isEmpty, answer(chunk, to: connection, fault) else { return }
            }
        }
    }

    /// What happens to a request; false when the connection ends with it.
    private func pass(
        _ chunk: [UInt8], to server: Int32, _ connection: Int32, _ fault: Fault
    ) -> Bool {
        switch fault {
        case .none, .slow, .dribble, .truncated, .dropAfterExecution:
            return LoopbackSocket.send(chunk, to: server)
        case .silent: return true
        case .reset:
            LoopbackSocket.makeReset(connection)
            return false
        case .status(let code):
            return send("HTTP/1.1 \(code) No\r\n", "told to say \(code)", connection)
        case .html:
            return send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", "<html></html>", connection)
        case .garbage:
            _ = LoopbackSocket.send(
                (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 37) }, to: connection)
            return false
        case .giant:
            let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
            for _ in 0..<(BackendLimits.giantBytes / piece.count) {
                guard LoopbackSocket.send(piece, to: connection) else { break }
            }
            return false
        }
    }

    private func send(_ head: String, _ body: String, _ connection: Int32) -> Bool {
        let text = "\(head)Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        _ = LoopbackSocket.send(text.utf8, to: connection)
        return false
    }

    /// What happens to a piece of an answer; false when the connection ends with it.
    private func answer(_ chunk: [UInt8], to connection: Int32, _ fault: Fault) -> Bool {
        switch fault {
        case .slow(let seconds):
            for _ in 0..<(seconds * 20) where !LoopbackSocket.isOver(connection) {
                CurrentThread.pause(milliseconds: 50)
            }
            return LoopbackSocket.send(chunk, to: connection)
        case .dribble:
            for byte in chunk {
                guard !LoopbackSocket.isOver(connection),
                    LoopbackSocket.send([byte], to: connection)
                else { return false }
                CurrentThread.pause(milliseconds: BackendLimits.dribbleMilliseconds)
            }
            return true
        case .truncated:
            _ = LoopbackSocket.send(chunk.dropLast(max(chunk.count / 2, 1)), to: connection)
            return false
        case .dropAfterExecution:
            LoopbackSocket.makeReset(connection)
            return false
        default: return LoopbackSocket.send(chunk, to: connection)
        }
    }

    private func connect() -> Int32? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(target.host, target.port, &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        var next = found
        while let entry = next?.pointee {
            let descriptor = socket(
                entry.ai_family, entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), entry.ai_protocol
            )
            if descriptor >= 0 {
                if Glibc.connect(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 {
                    return descriptor
                }
                close(descriptor)
            }
            next = entry.ai_next
        }
        return nil
    }
}
