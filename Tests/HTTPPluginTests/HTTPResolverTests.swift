import Foundation
import HTTPPlugin
import HarnessBackends
import JSON
import PluginABI
import PluginSupport
import Synchronization
import Testing

/// The mode `http` without a daemon around it.
@Suite struct HTTPResolverTests {
    private static func document(_ text: String) throws -> HTTPSubject {
        try HTTPSubject { _ in HTTPResponse(200, json: text) }
    }

    @Test func `Addresses stand in a list, in an object, or alone`() throws {
        let list = try Self.document(
            #"["10.0.0.1","node-2:4002","[2001:db8::3]:5002","2001:db8::4"]"#)
        #expect(
            try list.found(["port": 4444]) == [
                "10.0.0.1 4444", "node-2 4002", "2001:db8::3 5002", "2001:db8::4 4444",
            ])
        let members = try Self.document(
            #"{"1":{"addr":"10.0.0.1:4002","voter":true},"2":{"addr":"10.0.0.2:4002"}}"#)
        #expect(
            try members.found(["host_pointer": "/addr"]) == [
                "10.0.0.1 4002", "10.0.0.2 4002",
            ])
        let alone = try Self.document(#"{"leader":{"host":"10.0.0.1"}}"#)
        #expect(try alone.found(["pointer": "/leader/host"]) == ["10.0.0.1 0"])
        let ports = try Self.document(#"{"n":[{"h":"a","p":1},{"h":"b:9","p":"65535"}]}"#)
        #expect(
            try ports.found(["pointer": "/n", "host_pointer": "/h", "port_pointer": "/p"]) == [
                "a 1", "b 65535",
            ])
        #expect(try Self.document("[]").found().isEmpty)
        #expect(try Self.document("{}").found().isEmpty)
    }

    @Test(arguments: [
        (#"{"other":[]}"#, "nothing at \"/n\""),
        (#"{"n":null}"#, "nothing at \"/n\""),
        (#"{"n":7}"#, "neither a list nor an object nor a text at \"/n\""),
        (#"{"n":[{"h":"a","p":1},{"p":1}]}"#, "no text at \"/n/1/h\""),
        (#"{"n":[{"h":"","p":1}]}"#, "has \"\" at \"/n/0/h\", not one host[:port]"),
        (#"{"n":[{"h":"a b","p":1}]}"#, "not one host[:port]"),
        (#"{"n":[{"h":"a","p":0}]}"#, "no port at \"/n/0/p\""),
        (#"{"n":[{"h":"a","p":70000}]}"#, "no port at \"/n/0/p\""),
        (#"{"n":[{"h":"a","p":1.5}]}"#, "no port at \"/n/0/p\""),
        (#"{"n":{"x\ny":{"h":"a"}}}"#, "no port at \"/n/x?y/p\""),
        ("<html></html>", "which is no JSON"),
        ("", "which is no JSON"),
    ])
    func `A document that isn't as was said is refused, by the place`(
        text: String, words: String
    ) throws {
        let subject = try Self.document(text)
        let failure = try subject.failure([
            "pointer": "/n", "host_pointer": "/h", "port_pointer": "/p",
        ])
        #expect(failure?.code == RQD_PROTOCOL)
        #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
        #expect(failure?.message.hasPrefix("\(subject.url): GET /nodes: ") == true)
    }

    @Test(arguments: [
        (204, RQD_PROTOCOL), (302, RQD_PROTOCOL), (304, RQD_PROTOCOL), (401, RQD_AUTH),
        (403, RQD_AUTH), (404, RQD_PROTOCOL), (429, RQD_UNAVAILABLE), (503, RQD_UNAVAILABLE),
    ])
    func `Any status but 200 is a failure`(status: Int, code: rqd_code) throws {
        let subject = try HTTPSubject { _ in HTTPResponse(status, json: #"["10.0.0.1"]"#) }
        let failure = try subject.failure()
        #expect(failure?.code == code)
        #expect(failure?.message.contains("status \(status)") == true)
        #expect(failure?.message.contains("redirects") == (status == 302))
    }

    @Test func `What didn't change is asked for by its tag, unless the headers changed`() throws {
        let folder = try Folder()
        let path = "\(folder.path)/token"
        try "first\n".write(toFile: path, atomically: true, encoding: .utf8)
        let subject = try HTTPSubject { request in
            let isKnown = request.header("if-none-match") == "W/\"7\""
            var response =
                isKnown ? HTTPResponse(304, .bytes([])) : HTTPResponse(200, json: #"["a:1"]"#)
            response.set("ETag", "W/\"7\"")
            return response
        }
        let resolver = try subject.resolver(["token_file": .string(path)])
        for _ in 1...3 { #expect(try resolver.found() == ["a 1"]) }
        try "second\n".write(toFile: path, atomically: true, encoding: .utf8)
        for _ in 1...2 { #expect(try resolver.found() == ["a 1"]) }
        #expect(
            subject.received.map { $0.header("if-none-match") } == [
                nil, "W/\"7\"", "W/\"7\"", nil, "W/\"7\"",
            ])
        #expect(
            subject.received.map { $0.header("authorization") } == [
                "Bearer first", "Bearer first", "Bearer first", "Bearer second", "Bearer second",
            ])
    }

    @Test func `A document that was refused is not known by its tag`() throws {
        let answer = Mutex(#"{"n":7}"#)
        let subject = try HTTPSubject { request in
            if request.header("if-none-match") != nil { return HTTPResponse(304, .bytes([])) }
            var response = HTTPResponse(200, json: answer.withLock { $0 })
            response.set("ETag", "\"1\"")
            return response
        }
        let resolver = try subject.resolver(["pointer": "/n"])
        #expect(resolver.failure()?.code == RQD_PROTOCOL)
        answer.withLock { $0 = #"{"n":["a"]}"# }
        #expect(try resolver.found() == ["a 0"])
        #expect(try resolver.found() == ["a 0"])
    }

    /// A tag goes back in a header.
    @Test(arguments: [
        "\"a\u{1}b\"", "\"\u{e9}\"", "\"" + String(repeating: "t", count: 20_000) + "\"",
    ])
    func `A tag that can't be sent is forgotten`(_ tag: String) throws {
        let subject = try HTTPSubject { _ in
            var response = HTTPResponse(200, json: #"["a:1"]"#)
            response.set("ETag", tag)
            return response
        }
        let resolver = try subject.resolver()
        for _ in 1...3 { #expect(try resolver.found() == ["a 1"]) }
        #expect(subject.received.allSatisfy { $0.header("if-none-match") == nil })
    }

    @Test func `A server that refuses its own tag is asked without it`() throws {
        let subject = try HTTPSubject { request in
            if request.header("if-none-match") != nil { return HTTPResponse(400, .bytes([])) }
            var response = HTTPResponse(200, json: #"["a:1"]"#)
            response.set("ETag", "\"1\"")
            return response
        }
        let resolver = try subject.resolver()
        #expect(try resolver.found() == ["a 1"])
        #expect(resolver.failure() != nil)
        #expect(try resolver.found() == ["a 1"])
    }

    @Test func `Headers go along, and no secret comes back`() throws {
        let folder = try Folder()
        let path = "\(folder.path)/key"
        try " s3cret-of-file \r\n".write(toFile: path, atomically: true, encoding: .utf8)
        let subject = try HTTPSubject { request in
            let all = request.headers.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
            return HTTPResponse(500, text: "\(all) \(request.parameter("key") ?? "")")
        }
        let resolver = try subject.resolver(
            ["headers": ["X-A": "s3cret-of-config"], "header_files": ["X-B": .string(path)]],
            path: "/nodes?key=s3cret-of-query")
        let message = try #require(resolver.failure()?.message)
        #expect(subject.received[0].header("x-a") == "s3cret-of-config")
        #expect(subject.received[0].header("x-b") == "s3cret-of-file")
        #expect(subject.received[0].parameter("key") == "s3cret-of-query")
        #expect(!message.contains("s3cret-of-config") && !message.contains("s3cret-of-file"))
        #expect(message.hasPrefix("\(subject.url): GET /nodes: status 500"))
        #expect(!resolver.describe().text().contains("s3cret"))
    }

    @Test(arguments: [nil, "", "two\nlines\n", "\u{1}"])
    func `A file of a header that is of no use is named, and read again`(content: String?) throws {
        let folder = try Folder()
        let path = "\(folder.path)/key"
        try content?.write(toFile: path, atomically: true, encoding: .utf8)
        let subject = try Self.document("[]")
        let resolver = try subject.resolver(["header_files": ["X-B": .string(path)]])
        let failure = resolver.failure()
        #expect(failure?.code == RQD_AUTH)
        #expect(failure?.message.contains("the file of the header X-B: \(path): ") == true)
        #expect(subject.received.isEmpty)
        try "mended".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try resolver.found().isEmpty)
    }

    @Test func `A wait ends with other addresses, not with other words`() async throws {
        let answer = Mutex(#"{"time":1,"n":["a","b"]}"#)
        let subject = try HTTPSubject { _ in HTTPResponse(200, json: answer.withLock { $0 }) }
        let resolver = try subject.resolver(["pointer": "/n", "interval": "100ms"])
        let token = try resolver.look(call()).token
        answer.withLock { $0 = #"{"time":2,"n":["b","a","a"]}"# }
        let failure = #expect(throws: CallFailure.self) {
            try resolver.wait(token: token, call(seconds: 0.5))
        }
        #expect(failure?.code == RQD_TIMEOUT)
        async let waiting = resolver.wait(token: token, call())
        answer.withLock { $0 = "not now" }
        answer.withLock { $0 = #"{"n":["c"]}"# }
        let next = try #require(try await waiting)
        #expect(try resolver.look(call()).token == next && next != token)
    }

    @Test func `A look that fails is no change`() throws {
        let subject = try HTTPSubject { _ in HTTPResponse(500, text: "no") }
        let resolver = try subject.resolver(["interval": "100ms"])
        let failure = #expect(throws: CallFailure.self) {
            try resolver.wait(token: [1], call(seconds: 0.5))
        }
        #expect(failure?.code == RQD_TIMEOUT)
        #expect((2...6).contains(subject.received.count))
    }
}

/// A folder that goes with the test.
final class Folder: Sendable {
    let path = FileManager.default.temporaryDirectory
        .appending(path: "rqd-http-\(UUID().uuidString.prefix(8))").path

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        // What can't be removed is the temporary folder's.
        try? FileManager.default.removeItem(atPath: path)
    }
}
