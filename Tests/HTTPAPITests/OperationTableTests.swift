import Foundation
import NIOHTTP1
import Rights
import Service
import Testing

@testable import HTTPAPI

/// The rows of the operations, and what derives from them.
@Suite struct OperationTableTests {
    private static let document = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "docs/http-api.md")

    @Test func `Every operation that travels between nodes has a row`() {
        let codes = Set(OperationTable.all.compactMap(\.code))
        #expect(codes == Set(ClientRequest.Code.allCases))
    }

    @Test func `Every row has a name of its own, and can be reached`() throws {
        let names = OperationTable.all.map(\.name)
        #expect(Set(names).count == names.count)
        for operation in OperationTable.all {
            for path in operation.paths {
                let text =
                    switch path {
                    case .exact(let text): text
                    case .prefix(let text): text + "/"
                    }
                let entry = try #require(OperationTable.path(for: text))
                let method = operation.methods?.first ?? .GET
                #expect(entry.operation(for: method) === operation, "\(operation.name)")
            }
        }
    }

    @Test func `Whatever changes or shows data asks for a permission`() {
        let free = OperationTable.all.filter(\.permissions.isEmpty).map(\.name)
        #expect(free == ["root", "console redirect", "licenses", "api description"])
        #expect(
            OperationTable.all.first { $0.name == "request" }?.permissions == [.query, .execute])
    }

    @Test func `Only what the node does needs more than the edge`() {
        for operation in OperationTable.all {
            #expect((operation.need == .edge) == (operation.code == nil), "\(operation.name)")
        }
    }

    @Test func `OPTIONS tells what a path takes`() throws {
        let client = try Client(answering: .done)
        #expect(
            try client.request("OPTIONS", "/db/query").headers["allow"] == "GET, OPTIONS, POST")
        #expect(try client.request("OPTIONS", "/leader").headers["allow"] == "GET, OPTIONS, POST")
        #expect(try client.request("OPTIONS", "/nowhere").headers["allow"] == nil)
        #expect(try client.request("OPTIONS", "/debug/vars").headers["allow"] == nil)
    }

    /// `REWRITE=1` writes the table anew.
    @Test func `The document lists the operations as they are`() throws {
        let text = try String(contentsOf: Self.document, encoding: .utf8)
        let (begin, end) = ("<!-- operations -->\n", "<!-- end of operations -->\n")
        let start = try #require(text.range(of: begin))
        let stop = try #require(text.range(of: end))
        if ProcessInfo.processInfo.environment["REWRITE"] != nil {
            let new = text[..<start.upperBound] + OperationTable.document + text[stop.lowerBound...]
            try String(new).write(to: Self.document, atomically: true, encoding: .utf8)
        } else {
            #expect(text[start.upperBound..<stop.lowerBound] == OperationTable.document)
        }
    }
}
