import Foundation
import JSON
import NIOCore
import NIOHTTP1
import Raft
import Service
import Testing
import Wire

@testable import HTTPAPI

/// The document of the API, and that rows say what operations do.
@Suite struct APIDocumentTests {
    private static let document: JSONValue = {
        do {
            return try JSONValue(parsing: APIDocument.text(version: "v1"))
        } catch {
            return .null
        }
    }()

    private static var described: [HTTPOperation] {
        OperationTable.all.filter { $0.note != nil }
    }

    @Test func `Every operation is in the document, but for the ways to a console`() throws {
        let absent = OperationTable.all.filter { $0.note == nil }.map(\.name)
        #expect(absent == ["root", "console redirect", "console"])
        for operation in Self.described {
            for path in operation.paths {
                let text =
                    switch path {
                    case .exact(let text), .prefix(let text): text
                    }
                for method in operation.methods ?? [.GET] {
                    let entry = Self.document["paths"]?[text]?[method.rawValue.lowercased()]
                    #expect(entry?["responses"]?.members?.isEmpty == false, "\(method) \(text)")
                }
            }
        }
    }

    @Test func `The document is what the server answers, whole and without a right`() throws {
        let client = try Client(answering: .done)
        let answer = try client.get("/openapi.json?pretty")
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"] == "application/json; charset=utf-8")
        let served = try JSONValue(parsing: answer.body)
        #expect(served["openapi"] == "3.1.0")
        #expect(served["info"]?["version"] == "v10.2.7")
        #expect(served["paths"] == Self.document["paths"])
    }

    @Test func `Names in the document are told apart, and every reference leads somewhere`() throws
    {
        var names: [String] = []
        for path in Self.document["paths"]?.members ?? [] {
            for method in path.value.members ?? [] {
                names.append(method.value["operationId"]?.string ?? "")
                let parameters = method.value["parameters"]?.array ?? []
                let given = parameters.compactMap { $0["name"]?.string }
                #expect(Set(given).count == given.count, "\(path.name) \(method.name)")
                for parameter in parameters {
                    #expect(parameter["description"]?.string?.hasSuffix(".") == true)
                }
            }
        }
        #expect(names.count > 25)
        #expect(Set(names).count == names.count)
        let text = APIDocument.text(version: "v1")
        let schemas = Self.document["components"]?["schemas"]
        for match in text.matches(of: /"#\/components\/schemas\/([A-Za-z]+)"/) {
            #expect(schemas?[String(match.output.1)] != nil, "\(match.output.1)")
        }
    }

    @Test func `Every parameter that the server knows is in the row of an operation`() {
        for name in QueryParameters.Name.allCases {
            #expect(Self.described.contains { $0.reads(name) }, "\(name.rawValue)")
        }
        for operation in Self.described {
            let names = operation.note?.parameters.map(\.name) ?? []
            #expect(Set(names).count == names.count, "\(operation.name)")
        }
    }

    /// rqlite: names that an operation does not know are ignored.
    @Test func `A parameter that the row of an operation does not name has no effect`() throws {
        let client = try Client(FakeNode { _ in nil })
        for operation in Self.described {
            for method in operation.methods ?? [.GET] {
                let others = QueryParameters.Name.allCases.filter { !operation.reads($0) }
                let query = others.map { "\($0.rawValue)=\(Self.value(of: $0))" }
                    .joined(separator: "&")
                let head = HTTPRequestHead(
                    version: .http1_1, method: method, uri: "/x?\(query)&unknown")
                var request = try HTTPRequest(head, arrival: .now())
                request.keepParameters(of: operation)
                let plain = try HTTPRequest(
                    HTTPRequestHead(version: .http1_1, method: method, uri: "/x"),
                    arrival: .now())
                let (left, none) = (request.parameters, plain.parameters)
                #expect(QueryParameters.Name.allCases.allSatisfy { !left.has($0) })
                #expect(left.timeout == none.timeout && left.demand == nil)
                #expect(left.databaseTimeout == nil && left.freshness == none.freshness)
                #expect(left.linearizableTimeout == none.linearizableTimeout)
                #expect(left.level == none.level)
                // What a redirect repeats is the client's own.
                #expect(request.target == head.uri)
            }
        }
        // The same, of whole requests.
        try client.send(
            "POST /db/execute?min_index=9&level=none&timeout=3s HTTP/1.1\r\nHost: a\r\n"
                + "Content-Length: 5\r\n\r\n[\"x\"]")
        #expect(client.node.lastOptions?.demand == nil)
        #expect(client.node.requests.last?.timeout == .seconds(3))
    }

    private static func value(of name: QueryParameters.Name) -> String {
        switch name {
        case .timeout, .freshness, .databaseTimeout, .linearizableTimeout: "7s"
        case .retries, .trailingLogs, .minIndex, .batch: "7"
        default: "strong"
        }
    }

    @Test(arguments: [("/boot?redirect", true), ("/db/load?redirect", false)])
    func `A booted node is never sent elsewhere, a load is`(
        target: String, isBoot: Bool
    ) throws {
        let node = FakeNode { request in
            .failed(.notLeader(leaderURL: request.forward ? nil : "http://a:1"))
        }
        let loads = LoadsDouble { _ in .image(DatabaseImage(byteCount: 4096, packed: [1, 2, 3])) }
        let body = "SQLite format 3\0" + String(repeating: "x", count: 32)
        let answer = try Client(node, loads: loads).post(target, body)
        #expect(answer.status == (isBoot ? 503 : 301))
    }

    @Test func `Each code of failures stands in the document, with the status of the page`() throws
    {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let page = try String(
            contentsOf: root.appending(path: "docs/http-api.md"), encoding: .utf8)
        let codes = Set(APIFailures.samples.map { Problem.code(of: $0) })
        #expect(codes.count == 18)
        for error in APIFailures.samples {
            let code = Problem.code(of: error)
            let status = Problem.status(of: error).code
            let row = page.split(separator: "\n").first {
                $0.hasPrefix("| `") && $0.contains("`\(code)`") && $0.contains("| \(status) |")
            }
            #expect(row != nil, "\(code) is \(status)")
            let answer = Self.document["paths"]?["/db/execute"]?["post"]?["responses"]?["\(status)"]
            #expect(answer?["description"]?.string?.contains(code) == true, "\(code)")
        }
    }
}
