import Foundation

/// One request over one connection of its own, never sent twice. `URLSession` can't promise that:
/// below it, a POST over a kept connection that breaks before the answer is silently sent again.
struct OneShotHTTP: Sendable {
    enum Failure: Error {
        /// Nothing of the request left this process.
        case notSent
        /// The request may have taken effect.
        case noAnswer
    }

    var host: String
    var port: Int

    func post(_ path: String, _ body: Data, timeout seconds: Int) async throws -> HTTPAnswer {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try exchange(path, body, seconds) })
            }
        }
    }

    private func exchange(_ path: String, _ body: Data, _ seconds: Int) throws -> HTTPAnswer {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw Failure.notSent }
        defer { close(socket) }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr(host)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Failure.notSent }
        let head = """
            POST \(path) HTTP/1.1\r
            Host: \(host):\(port)\r
            Content-Type: application/json\r
            Content-Length: \(body.count)\r
            Connection: close\r
            \r

            """
        try send(Data(head.utf8) + body, over: socket)
        return try parse(try receive(from: socket))
    }

    private func send(_ data: Data, over socket: Int32) throws {
        var sent = 0
        while sent < data.count {
            let count = data.withUnsafeBytes {
                Glibc.send(
                    socket, $0.baseAddress.map { $0 + sent }, data.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure.noAnswer }
            sent += count
        }
    }

    private func receive(from socket: Int32) throws -> Data {
        var answer = Data()
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count >= 0 else { throw Failure.noAnswer }
            if count == 0 { return answer }
            answer.append(contentsOf: buffer[..<count])
        }
    }

    private func parse(_ answer: Data) throws -> HTTPAnswer {
        guard let end = answer.range(of: Data("\r\n\r\n".utf8)) else { throw Failure.noAnswer }
        let head = String(decoding: answer[..<end.lowerBound], as: UTF8.self)
        let words = head.prefix { $0 != "\r\n" }.split(separator: " ")
        guard words.count > 1, let status = Int(words[1]) else { throw Failure.noAnswer }
        let body = answer[end.upperBound...]
        let length = head.lowercased().components(separatedBy: "content-length: ").dropFirst()
            .first.flatMap { Int($0.prefix { $0.isNumber }) }
        guard length == body.count else { throw Failure.noAnswer }
        return HTTPAnswer(status: status, headers: [:], body: Data(body))
    }
}
