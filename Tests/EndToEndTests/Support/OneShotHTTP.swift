import Foundation

/// One request over one connection of its own, never sent twice. `URLSession` can't promise that:
/// below it, a POST over a kept connection that breaks before the answer is silently sent again.
struct OneShotHTTP: Sendable {
    typealias Failure = HTTPWire.Failure

    var host: String
    var port: Int

    func send(
        _ method: String, _ path: String, headers: [String], _ body: Data?, timeout seconds: Int
    ) async throws -> HTTPAnswer {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        try HTTPWire(host: host, port: port, timeout: seconds)
                            .send(method, path, headers: headers, body)
                    })
            }
        }
    }

    func post(_ path: String, _ body: Data, timeout seconds: Int) async throws -> HTTPAnswer {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        let wire = try HTTPWire(host: host, port: port, timeout: seconds)
                        return try wire.post(path, body, keepAlive: false)
                    })
            }
        }
    }
}
