import Glibc
import JSON

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

    /// Nil at the end, and for what is no JSON.
    func receive() -> JSONValue? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                do { return try JSONValue(parsing: line) } catch { return nil }
            }
            var more = [UInt8](repeating: 0, count: 64 << 10)
            let count = recv(descriptor, &more, more.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0, buffer.count < Self.longest else { return nil }
            buffer += more.prefix(count)
        }
    }
}
