import Glibc
import HarnessBackends
import Threads
import Time

/// A connection to a fake server, in plain bytes.
final class RawClient {
    struct Failure: Error {
        let code: Int32
    }

    private let descriptor: Int32

    init(port: UInt16, kind: __socket_type = SOCK_STREAM) throws {
        descriptor = socket(AF_INET, Int32(kind.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // `deinit` closes it, after this throw too.
        if result != 0 { throw Failure(code: errno) }
    }

    deinit { close(descriptor) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) > 0 else {
            throw Failure(code: errno)
        }
    }

    /// One datagram, or what has come of a stream.
    func receiveBytes(waiting milliseconds: Int32) -> [UInt8] {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wanted, 1, milliseconds) > 0 else { return [] }
        var buffer = [UInt8](repeating: 0, count: 70 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return Array(buffer.prefix(max(count, 0)))
    }

    /// All there is until the end of the connection, or until `milliseconds` are over.
    func receive(waiting milliseconds: Int32) -> String {
        let end = MonotonicTime.now.nanoseconds + UInt64(milliseconds) * 1_000_000
        var bytes: [UInt8] = []
        while case let now = MonotonicTime.now.nanoseconds, now < end {
            let more = receiveBytes(waiting: Int32((end - now) / 1_000_000))
            if more.isEmpty { break }
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func exchange(_ text: String, waiting milliseconds: Int32 = 60_000) throws -> String {
        try send(text)
        return receive(waiting: milliseconds)
    }
}
