import JSON
import Testing

@testable import HarnessBackends

/// The fake Consul, asked over a real socket. That a real client understands it is for the tests of the
/// plugin `consul-kv` to show.
@Suite struct ConsulServerTests {
    private let server: ConsulServer

    init() throws { server = try ConsulServer() }

    private func ask(_ line: String, _ body: String = "") throws -> (status: String, body: String) {
        let answer = try RawClient(port: server.port).exchange(
            "\(line) HTTP/1.1\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body)
        let status = answer.split(separator: " ").dropFirst().first ?? ""
        let end = answer.split(separator: "\r\n\r\n", maxSplits: 1).dropFirst().first ?? ""
        return (String(status), String(end))
    }

    @Test func `Keys are written by compare-and-set, and listed`() throws {
        defer { server.stop() }
        #expect(try ask("GET /v1/kv/a/1").status == "404")
        #expect(try ask("PUT /v1/kv/a/1?cas=0", "one").body == "true")
        #expect(try ask("PUT /v1/kv/a/1?cas=0", "two").body == "false")
        let entry = try JSONValue(parsing: ask("GET /v1/kv/a/1").body).array?.first
        #expect(entry?["Value"] == "b25l")
        let index = try #require(entry?["ModifyIndex"]?.integer)
        #expect(try ask("PUT /v1/kv/a/1?cas=\(index + 1)", "two").body == "false")
        #expect(try ask("PUT /v1/kv/a/1?cas=\(index)&flags=7", "two").body == "true")
        #expect(try ask("GET /v1/kv/a/1?raw").body == "two")
        #expect(try ask("PUT /v1/kv/a/%2F", "").body == "true")
        #expect(try ask("GET /v1/kv/a/?keys").body == "[\"a//\",\"a/1\"]")
        #expect(try ask("DELETE /v1/kv/a/1?cas=1").body == "false")
        #expect(try ask("DELETE /v1/kv/a/?recurse").body == "true")
        #expect(try ask("GET /v1/kv/a/?recurse").status == "404")
        #expect(try ask("POST /v1/kv/a").status == "405")
    }

    @Test(arguments: ["4294967295m", "18446744073709551615s", "0ms"])
    func `Whoever need not wait is answered, however long it would`(_ wait: String) throws {
        defer { server.stop() }
        #expect(try ask("PUT /v1/kv/a", "one").body == "true")
        #expect(try ask("GET /v1/kv/a?raw&index=1&wait=\(wait)").body == "one")
    }

    @Test func `A transaction happens whole or not at all`() throws {
        defer { server.stop() }
        let set = "{\"KV\":{\"Verb\":\"cas\",\"Key\":\"k\",\"Value\":\"b25l\",\"Index\":0}}"
        let made = try JSONValue(parsing: ask("PUT /v1/txn", "[\(set)]").body)
        let index = try #require(
            made["Results"]?.array?.first?["KV"]?["ModifyIndex"]?.integer)
        #expect(made["Results"]?.array?.first?["KV"]?["Value"] == .null)
        let other = "{\"KV\":{\"Verb\":\"set\",\"Key\":\"other\",\"Value\":\"\"}}"
        let refused = try ask("PUT /v1/txn", "[\(other),\(set)]")
        #expect(refused.status == "409")
        #expect(
            try JSONValue(parsing: refused.body)["Errors"]?.array?.first?["OpIndex"]?.integer == 1)
        #expect(try server.command(["get", "other"]) == "")
        let erase = ["check-index", "delete-cas"].map {
            "{\"KV\":{\"Verb\":\"\($0)\",\"Key\":\"k\",\"Index\":\(index)}}"
        }
        #expect(try ask("PUT /v1/txn", "[\(erase.joined(separator: ","))]").status == "200")
        #expect(try ask("PUT /v1/txn", "[\(erase.joined(separator: ","))]").status == "409")
        for wrong in ["", "{}", "[]", "[{\"KV\":{\"Verb\":\"grab\",\"Key\":\"k\"}}]"] {
            #expect(try ask("PUT /v1/txn", wrong).status == "400")
        }
    }

    @Test func `A query waits for a greater index, no longer than it says`() throws {
        defer { server.stop() }
        _ = try server.command(["put", "k", "one"])
        #expect(try ask("GET /v1/kv/k?index=1&wait=60s").status == "200")
        #expect(try ask("GET /v1/kv/k?index=2&wait=1ms").status == "200")
        _ = try server.command(["delete", "k"])
        #expect(try ask("GET /v1/kv/k?index=2&wait=60s").status == "404")
        #expect(try ask("GET /v1/kv/k?recurse&index=2&wait=60s").status == "404")
    }

    @Test(arguments: ["", "f", "fo", "foo", "foob", "\u{0}\u{7F}ÿ"])
    func `Base64 is that of RFC 4648`(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(Base64Text.decode(Base64Text.encode(bytes)) == bytes)
    }

    @Test func `What is no base64 is nothing`() {
        #expect(Base64Text.encode(Array("foob".utf8)) == "Zm9vYg==")
        for wrong in ["Zg", "Zg=", "Z===", "Zm9?", "=Zm9", "Zm=v"] {
            #expect(Base64Text.decode(wrong) == nil, "\(wrong)")
        }
    }

    @Test func `A read that may be stale misses the last change`() throws {
        defer { server.stop() }
        #expect(try ask("PUT /v1/kv/a", "one").body == "true")
        #expect(try ask("GET /v1/kv/a?raw&stale").status == "404")
        #expect(try ask("PUT /v1/kv/a", "two").body == "true")
        #expect(try ask("GET /v1/kv/a?raw&stale").body == "one")
        #expect(try ask("GET /v1/kv/a?raw&consistent").body == "two")
        #expect(try ask("DELETE /v1/kv/a").body == "true")
        #expect(try ask("GET /v1/kv/a?raw&stale").body == "two")
    }
}
