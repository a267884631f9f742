import Foundation
import Synchronization

/// A server on a loopback port, or a Unix socket, that does with each connection what a test says.
final class ScriptedServer: Sendable {
    struct Failure: Error {}

    struct Connection {
        let descriptor: Int32
        /// From 1, in the order of arrival.
        let number: Int

        /// Head and body of the next request; nil when the client is gone.
        func request() -> String? {
            var received: [UInt8] = []
            while true {
                if let whole = Self.whole(received) { return whole }
                var buffer = [UInt8](repeating: 0, count: 65536)
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { return nil }
                received += buffer[..<count]
            }
        }

        @discardableResult
        func write(_ text: String) -> Bool {
            let bytes = Array(text.utf8)
            return send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
        }

        /// Drops the connection with a reset instead of an orderly end.
        func reset() {
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(
                descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }

        private static func whole(_ bytes: [UInt8]) -> String? {
            let text = String(decoding: bytes, as: UTF8.self)
            guard let end = text.range(of: "\r\n\r\n") else { return nil }
            let lines = text[..<end.lowerBound].lowercased().components(separatedBy: "\r\n")
            let length =
                lines.first { $0.hasPrefix("content-length:") }
                .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) } ?? 0
            return text[end.upperBound...].utf8.count >= length ? text : nil
        }
    }

    let port: UInt16
    private let listener: Int32
    private let accepted = Mutex(0)

    /// The body runs on a thread per connection, which is closed when it returns.
    /// - Parameter family: `AF_INET`, or `AF_INET6` for `::1`; a Unix socket has its own.
    init(
        unixSocket: String? = nil, family: Int32 = AF_INET,
        _ body: @escaping @Sendable (Connection) -> Void
    ) throws {
        let family = unixSocket == nil ? family : AF_UNIX
        let listener = socket(
            family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw Failure() }
        self.listener = listener
        port =
            if let unixSocket {
                try Self.bind(listener, path: unixSocket)
            } else if family == AF_INET6 {
                try Self.bind6(listener)
            } else {
                try Self.bind(listener)
            }
        guard listen(listener, 64) == 0 else { throw Failure() }
        Thread.detachNewThread { [weak self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { break }
                guard let number = self?.next() else {
                    close(descriptor)
                    break
                }
                Thread.detachNewThread {
                    body(Connection(descriptor: descriptor, number: number))
                    close(descriptor)
                }
            }
            close(listener)
        }
    }

    /// Wakes the thread that accepts.
    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    var connectionCount: Int { accepted.withLock { $0 } }

    private func next() -> Int {
        accepted.withLock {
            $0 += 1
            return $0
        }
    }

    private static func bind(_ descriptor: Int32) throws -> UInt16 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard isBound else { throw Failure() }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func bind6(_ descriptor: Int32) throws -> UInt16 {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_addr = in6addr_loopback
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard isBound else { throw Failure() }
        return UInt16(bigEndian: address.sin6_port)
    }

    private static func bind(_ descriptor: Int32, path: String) throws -> UInt16 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isBound else { throw Failure() }
        return 1
    }
}
