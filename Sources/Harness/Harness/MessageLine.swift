import Glibc
import JSON
import Threads
import Time

/// JSON objects over a stream socket, one a line.
final class MessageLine {
    private static let longest = 8 << 20

    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// False when the other side is gone.
    func send(_ value: JSONValue) -> Bool {
        var bytes: [UInt8] = []
        value.write(to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Nil at the end, for what is no JSON, and for what is not whole by `time`.
    func receive(until time: UInt64 = .max) -> JSONValue? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                do { return try JSONValue(parsing: line) } catch { return nil }
            }
            guard hasMore(by: time) else { return nil }
            var more = [UInt8](repeating: 0, count: 64 << 10)
            let count = recv(descriptor, &more, more.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0, buffer.count < Self.longest else { return nil }
            buffer += more.prefix(count)
        }
    }

    private func hasMore(by time: UInt64) -> Bool {
        guard time < .max else { return true }
        while true {
            let now = MonotonicTime.now.nanoseconds
            guard now < time else { return false }
            var source = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&source, 1, Int32(clamping: (time - now) / 1_000_000 + 1)) > 0 { return true }
        }
    }
}
