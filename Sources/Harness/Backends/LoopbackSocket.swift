import Glibc

/// Sockets on 127.0.0.1. All are close-on-exec.
enum LoopbackSocket {
    enum Kind {
        case stream
        case datagram

        fileprivate var type: Int32 {
            Int32(self == .stream ? SOCK_STREAM.rawValue : SOCK_DGRAM.rawValue)
                | Int32(SOCK_CLOEXEC.rawValue)
        }
    }

    /// - Parameter port: 0 for one that the system chooses.
    static func open(
        _ kind: Kind, port: UInt16
    ) throws(BackendError) -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, kind.type, 0)
        guard descriptor >= 0 else { throw failure("socket", port) }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard isBound, kind == .datagram || listen(descriptor, BackendLimits.backlog) == 0 else {
            let error = failure("bind", port)
            close(descriptor)
            throw error
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    private static func failure(_ call: String, _ port: UInt16) -> BackendError {
        BackendError("\(call) on 127.0.0.1:\(port): \(String(cString: strerror(errno)))")
    }

    /// Waits for the next connection; nil once the socket was shut down.
    static func accept(_ listener: Int32) -> Int32? {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            if connection >= 0 {
                // The system's call that does both at once is not to be had from Swift. What a
                // process started in between inherits, it closes.
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                return connection
            }
            guard errno == EINTR || errno == ECONNABORTED else { return nil }
        }
    }

    /// False when the other side is gone.
    static func send(_ bytes: some Collection<UInt8>, to connection: Int32) -> Bool {
        let bytes = Array(bytes)
        var sent = 0
        while sent < bytes.count {
            let result = bytes.withUnsafeBytes {
                Glibc.send(
                    connection, $0.baseAddress.map { $0 + sent }, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if result < 0, errno == EINTR { continue }
            guard result > 0 else { return false }
            sent += result
        }
        return true
    }

    /// What is there now, waiting for the first byte; empty at the end of the connection.
    static func receive(from connection: Int32) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = recv(connection, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            return Array(buffer.prefix(max(count, 0)))
        }
    }

    /// So that the close which follows is a reset.
    static func makeReset(_ connection: Int32) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }

    /// POLLRDHUP, which Swift's Glibc does not have: the other side will send nothing more.
    private static let peerClosed: Int16 = 0x2000

    /// Whether the other side has closed, or this one was shut down.
    static func isOver(_ connection: Int32) -> Bool {
        var descriptor = pollfd(fd: connection, events: peerClosed, revents: 0)
        return poll(&descriptor, 1, 0) > 0 && descriptor.revents != 0
    }
}
