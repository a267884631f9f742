import Foundation
import Testing

/// One client of a node that has most of what all share.
@Suite struct SharedBoundTests {
    private static let text = "CREATE TABLE loaded(a)"

    private static func entry(_ user: String) -> String {
        #"{"username":"\#(user)","password":"pw","perms":["all"]}"#
    }

    /// A load of which some has come, and how to send the rest.
    private static func begin(as user: String, at node: Daemon) throws -> HTTPWire {
        let wire = try HTTPWire(host: node.host, port: node.httpPort, timeout: 60)
        let credential = Data("\(user):pw".utf8).base64EncodedString()
        try wire.sendRaw(
            "POST /db/load HTTP/1.1\r\nHost: x\r\nAuthorization: Basic \(credential)\r\n"
                + "Content-Length: \(text.utf8.count)\r\n\r\n\(text.prefix(6))")
        return wire
    }

    /// What is kept of bodies.
    private func kept(by node: Daemon) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: node.dataDirectory + "/tmp")
            .filter { $0.contains("loading") }.count
    }

    @Test(.timeLimit(.minutes(5)))
    func
        `Who has all the places for loads is told so when another user finds none, who then gets one`()
        async throws
    {
        let directory = try TestDirectory()
        let file = "\(directory.path)/users.json"
        try "[\(Self.entry("many")),\(Self.entry("few"))]".write(
            toFile: file, atomically: true, encoding: .utf8)
        let node = try Daemon.guarded(by: file, in: directory)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        var loads: [HTTPWire] = []
        for _ in 0..<8 { loads.append(try Self.begin(as: "many", at: node)) }
        try await eventually("eight are received", within: .seconds(60)) {
            try kept(by: node) == 8 ? true : nil
        }
        // Both within the time for which clients keep to their shares behind a refusal.
        let refused = try await eventually("the first user is refused", within: .seconds(60)) {
            let full = try Self.begin(as: "few", at: node).receiveAnswer()
            #expect(full.status == 503)
            let answer = try Self.begin(as: "many", at: node).receiveAnswer()
            return answer.status == 429 ? answer : nil
        }
        #expect(refused.headers["retry-after"] == "1")
        #expect(refused.headers["x-rqlited-error"] == "over_share")
        loads.removeLast()
        try await eventually("the other user gets a place", within: .seconds(60)) {
            let load = try Self.begin(as: "few", at: node)
            try load.sendRaw(String(Self.text.dropFirst(6)))
            return try load.receiveAnswer().status == 200 ? true : nil
        }
        #expect(loads.count == 7)
    }
}
