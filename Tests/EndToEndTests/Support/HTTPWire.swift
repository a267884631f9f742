import Foundation

/// One TCP connection that speaks HTTP/1.1 and never sends anything twice. Blocks its thread.
final class HTTPWire {
    enum Failure: Error {
        /// Nothing of the request left this process.
        case notSent
        /// The request may have taken effect.
        case noAnswer
    }

    private let socket: Int32
    private let host: String
    private var buffer = Data()
    /// Answers tell the length of a body that does not come.
    private var hasNoBody = false
    /// The server asked for the end of the connection, or broke it.
    private(set) var isOver = false

    init(host: String, port: Int, timeout seconds: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | 0o2000000, 0)
        guard socket >= 0 else { throw Failure.notSent }
        self.host = "\(host):\(port)"
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var isOn: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(4))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr(host)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // `deinit` closes the socket, after this throw too.
        guard connected == 0 else { throw Failure.notSent }
    }

    deinit { close(socket) }

    func post(
        _ path: String, headers: [String] = [], _ body: Data, keepAlive: Bool
    ) throws -> HTTPAnswer {
        var head = """
            POST \(path) HTTP/1.1\r
            Host: \(host)\r
            Content-Type: application/json\r
            Content-Length: \(body.count)\r

            """
        for header in headers { head += header + "\r\n" }
        if !keepAlive { head += "Connection: close\r\n" }
        try send(Data((head + "\r\n").utf8) + body)
        return try receive()
    }

    func send(
        _ method: String, _ path: String, headers: [String], _ body: Data?
    ) throws -> HTTPAnswer {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n"
        for header in headers { head += header + "\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        hasNoBody = method == "HEAD"
        try send(Data((head + "\r\n").utf8) + (body ?? Data()))
        return try receive()
    }

    func get(_ path: String) throws -> HTTPAnswer {
        try send(Data("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8))
        return try receive()
    }

    /// Sends a part of a request, or of several, as it is.
    func sendRaw(_ text: String) throws { try send(Data(text.utf8)) }

    /// The same of bytes.
    func sendRaw(_ bytes: Data) throws { try send(bytes) }

    /// The answer to what `sendRaw` sent.
    func receiveAnswer() throws -> HTTPAnswer { try receive() }

    /// Takes what has come, up to a number of bytes, and drops it.
    /// - Returns: how much; 0 at the end of the connection.
    func drop(atMost limit: Int) throws -> Int {
        var part = [UInt8](repeating: 0, count: min(limit, 1 << 16))
        let count = recv(socket, &part, part.count, 0)
        guard count >= 0 else { throw fail() }
        return count
    }

    private func send(_ data: Data) throws {
        var sent = 0
        while sent < data.count {
            let count = data.withUnsafeBytes {
                Glibc.send(
                    socket, $0.baseAddress.map { $0 + sent }, data.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw fail() }
            sent += count
        }
    }

    private func receive() throws -> HTTPAnswer {
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            if let answer = try parse() { return answer }
            let count = recv(socket, &part, part.count, 0)
            guard count > 0 else { throw fail() }
            buffer.append(contentsOf: part[..<count])
        }
    }

    /// Takes one whole answer out of what has come; nil if there is none yet.
    private func parse() throws -> HTTPAnswer? {
        guard let end = buffer.range(of: Data("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
            .components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count > 1, let status = Int(words[1]) else { throw fail() }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw fail() }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...]
                .trimmingCharacters(in: .whitespaces)
        }
        // A 204 and a 304 have no body, and tell no length.
        let hasBody = status != 204 && status != 304 && !hasNoBody
        if hasBody, headers["transfer-encoding"] == "chunked" {
            guard let body = try chunks(from: end.upperBound) else { return nil }
            return HTTPAnswer(status: status, headers: headers, body: body)
        }
        let told = hasBody ? headers["content-length"].flatMap { Int($0) } : 0
        guard let length = told else { throw fail() }
        guard buffer.distance(from: end.upperBound, to: buffer.endIndex) >= length else {
            return nil
        }
        let body = Data(buffer[end.upperBound...].prefix(length))
        buffer = Data(buffer[end.upperBound...].dropFirst(length))
        if headers["connection"]?.lowercased() == "close" { isOver = true }
        return HTTPAnswer(status: status, headers: headers, body: body)
    }

    /// A body in chunks, taken out of what has come; nil if its last one has not.
    private func chunks(from start: Data.Index) throws -> Data? {
        var body = Data()
        var place = start
        while let line = buffer[place...].range(of: Data("\r\n".utf8)) {
            let digits = String(decoding: buffer[place..<line.lowerBound], as: UTF8.self)
            guard let size = Int(digits, radix: 16) else { throw fail() }
            guard buffer.distance(from: line.upperBound, to: buffer.endIndex) >= size + 2 else {
                return nil
            }
            let end = buffer.index(line.upperBound, offsetBy: size)
            body += buffer[line.upperBound..<end]
            place = buffer.index(end, offsetBy: 2)
            guard size > 0 else {
                buffer = Data(buffer[place...])
                return body
            }
        }
        return nil
    }

    private func fail() -> Failure {
        isOver = true
        return .noAnswer
    }
}
