import Foundation
import Service
import Telemetry
import Testing

@testable import HTTPAPI

/// `/snapshot`, `/reap` and `/licenses`.
@Suite struct SnapshotTests {
    private func asked(_ target: String) throws -> UInt64?? {
        let client = try Client(answering: .done)
        let answer = try client.request("POST", target)
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
        #expect(client.metrics.counter("store", "num_user_snapshots").current == 1)
        guard case .checkpoint(let keeping)? = client.node.requests.first?.operation else {
            return nil
        }
        return .some(keeping)
    }

    @Test func `trailing_logs says how many entries stay; what is not above 0 says nothing`() throws
    {
        #expect(try asked("/snapshot?trailing_logs=7") == .some(7))
        #expect(try asked("/snapshot") == .some(nil))
        #expect(try asked("/snapshot?trailing_logs=0") == .some(nil))
        #expect(try asked("/snapshot?trailing_logs=-5") == .some(nil))
        #expect(
            try asked("/snapshot?trailing_logs=9223372036854775807")
                == .some(9_223_372_036_854_775_807))
        let refused = try Client(answering: .done).request("POST", "/snapshot?trailing_logs=x")
        #expect(refused.status == 400)
        #expect(refused.body == "trailing_logs is not a valid integer\n")
    }

    @Test func `Nothing to do is 204 without a length, and what follows on the connection is read`()
        throws
    {
        let client = try Client(answering: .unchanged)
        try client.send(
            "POST /snapshot HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                + "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
        let text = try client.output()
        #expect(text.hasPrefix("HTTP/1.1 204 No Content\r\n"))
        let head = text.components(separatedBy: "\r\n\r\n")[0]
        #expect(!head.lowercased().contains("content-length"))
        #expect(!head.lowercased().contains("transfer-encoding"))
        #expect(client.metrics.counter("store", "num_user_snapshots").current == 0)
        #expect(text.contains("HTTP/1.1 404"))
    }

    @Test func `What goes wrong is a 500 that says what`() throws {
        let client = try Client(answering: .failed(.unsuitable("readers hold it back")))
        let answer = try client.request("POST", "/snapshot")
        #expect(answer.status == 500)
        #expect(answer.body == "readers hold it back\n")
        #expect(client.metrics.counter("store", "num_user_snapshots_failed").current == 1)
        #expect(client.metrics.counter("store", "num_user_snapshots").current == 0)
    }

    @Test func `There is never anything to reap`() throws {
        let answer = try Client(answering: .done).request("POST", "/reap")
        #expect(answer.status == 200)
        #expect(answer.body == "{\"snapshots_reaped\":0,\"wals_checkpointed\":0}\n")
        #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
    }

    @Test func `The licences name everything that is linked in`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let text = try Client(answering: .done).get("/licenses").body
        let own = try String(contentsOf: root.appending(path: "LICENSE"), encoding: .utf8)
        #expect(text.hasPrefix("rqlited\n"))
        #expect(text.contains(own))
        let resolved = try JSONSerialization.jsonObject(
            with: Data(contentsOf: root.appending(path: "Package.resolved")))
        let pins = try #require((resolved as? [String: Any])?["pins"] as? [[String: Any]])
        #expect(pins.count > 2)
        for pin in pins {
            let name = try #require(pin["identity"] as? String)
            #expect(text.contains(name), "\(name)")
        }
    }
}
