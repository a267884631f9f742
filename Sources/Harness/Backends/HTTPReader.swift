/// Takes requests from a connection, one after the other.
struct HTTPReader {
    let connection: Int32
    private var buffer: [UInt8] = []

    init(connection: Int32) { self.connection = connection }

    /// Nil at the end of the connection, and for what is malformed or over a limit.
    mutating func next() -> ReceivedRequest? {
        let end = Array("\r\n\r\n".utf8)
        var headEnd: Int?
        while headEnd == nil {
            headEnd = buffer.firstRange(of: end)?.lowerBound
            guard headEnd == nil else { break }
            guard buffer.count < BackendLimits.headBytes, fill() else { return nil }
        }
        guard let headEnd else { return nil }
        let head = Array(buffer[..<headEnd])
        buffer.removeFirst(headEnd + end.count)
        guard let request = ReceivedRequest(head: head, body: []) else { return nil }
        if request.header("expect")?.lowercased() == "100-continue",
            !LoopbackSocket.send("HTTP/1.1 100 Continue\r\n\r\n".utf8, to: connection)
        {
            return nil
        }
        let body: [UInt8]?
        if request.header("transfer-encoding")?.lowercased() == "chunked" {
            body = chunks()
        } else {
            body = take(Int(request.header("content-length") ?? "0") ?? -1)
        }
        return body.flatMap { ReceivedRequest(head: head, body: $0) }
    }

    private mutating func chunks() -> [UInt8]? {
        var body: [UInt8] = []
        while let line = line(), let size = Int(line.prefix { $0 != ";" }, radix: 16) {
            guard size <= BackendLimits.bodyBytes - body.count, let chunk = take(size),
                self.line() != nil
            else { return nil }
            if size == 0 { return body }
            body += chunk
        }
        return nil
    }

    private mutating func line() -> String? {
        let end = Array("\r\n".utf8)
        while true {
            if let range = buffer.firstRange(of: end) {
                let line = String(decoding: buffer[..<range.lowerBound], as: UTF8.self)
                buffer.removeFirst(range.upperBound)
                return line
            }
            guard buffer.count < BackendLimits.headBytes, fill() else { return nil }
        }
    }

    private mutating func take(_ count: Int) -> [UInt8]? {
        guard (0...BackendLimits.bodyBytes).contains(count) else { return nil }
        while buffer.count < count {
            guard fill() else { return nil }
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    private mutating func fill() -> Bool {
        let bytes = LoopbackSocket.receive(from: connection)
        buffer += bytes
        return !bytes.isEmpty
    }
}
