import Threads
import Time

/// The plainest registry there is, for plugins that speak a protocol of their own over HTTP, and for
/// resolvers that fetch a document: records below their paths, with entity tags (RFC 9110).
///
///     GET /path             200 with the value and its ETag, or 404; If-None-Match: TAG: or 304
///     GET /path?wait=TAG    the same, when the tag is another (or 30 s are over); 0: no document
///     GET /path?list        200, a line for each record that begins so: PATH TAG HEX-OF-VALUE
///     PUT /path             If-Match: TAG, or If-None-Match: *; 200 or 412; 404 when a tag is given
///                           and nothing is there
///     DELETE /path          If-Match: TAG; 200, 412 or 404
///
/// Commands: `put PATH VALUE`, `delete PATH`, `wipe`, `get PATH`.
package final class DocumentServer: HTTPBackend {
    package static let kind = "http"
    private static let longestWait: UInt64 = 30_000_000_000

    private let store: RegistryRecords
    package let server: FakeHTTPServer

    package init() throws(BackendError) {
        let store = RegistryRecords()
        self.store = store
        server = try FakeHTTPServer { Self.answer($0, $1, store) }
    }

    package var recordCount: Int { store.list(prefix: "").records.count }

    package func command(_ arguments: [String]) throws(BackendError) -> String {
        switch (arguments.first, arguments.count) {
        case ("put", 3): _ = store.write(arguments[1], Array(arguments[2].utf8)) { _ in true }
        case ("delete", 2): _ = store.erase(arguments[1]) { _ in true }
        case ("wipe", 1): store.eraseAll()
        case ("get", 2):
            return store.read(arguments[1]).record.map { String(decoding: $0.value, as: UTF8.self) }
                ?? ""
        default: throw BackendError("the fake server http knows no command \(arguments)")
        }
        return ""
    }

    private static func answer(
        _ request: ReceivedRequest, _ exchange: HTTPExchange, _ store: RegistryRecords
    ) -> HTTPResponse {
        let expected = request.header("if-match").map { $0.filter { $0 != "\"" } }
        switch request.method {
        case "GET":
            if request.parameter("list") != nil { return list(request.path, store) }
            if let tag = request.parameter("wait") {
                _ = store.wait(exchange, until: MonotonicTime.now.nanoseconds + longestWait) {
                    self.tag($0.read(request.path).record) != tag
                }
            }
            let isStale = request.parameter("stale") != nil
            let record =
                isStale ? store.readStale(request.path).record : store.read(request.path).record
            if record != nil, request.header("if-none-match") == "\"\(self.tag(record))\"" {
                return unchanged(record)
            }
            return document(record)
        case "PUT":
            let outcome = store.write(request.path, request.body) { old in
                expected.map { tag(old) == $0 && old != nil } ?? (old == nil)
            }
            switch outcome {
            case .done(let record): return document(record, didChange: true)
            case .refused(nil): return absent
            case .refused: return HTTPResponse(412, text: "refused")
            case .full: return HTTPResponse(503, text: "full")
            }
        case "DELETE":
            switch store.erase(request.path, if: { tag($0) == expected }) {
            case .done: return HTTPResponse(200, text: "", didChange: true)
            case nil: return absent
            default: return HTTPResponse(412, text: "refused")
            }
        default: return HTTPResponse(400, text: "no such method")
        }
    }

    private static func tag(_ record: RegistryRecords.Record?) -> String {
        record.map { String($0.modifyIndex) } ?? "0"
    }

    /// With a tag, which a page of somebody else's does not have.
    private static var absent: HTTPResponse {
        var response = HTTPResponse(404, text: "no such document")
        response.set("ETag", "\"0\"")
        return response
    }

    private static func unchanged(_ record: RegistryRecords.Record?) -> HTTPResponse {
        var response = HTTPResponse(304, .bytes([]))
        response.set("ETag", "\"\(tag(record))\"")
        return response
    }

    private static func document(
        _ record: RegistryRecords.Record?, didChange: Bool = false
    ) -> HTTPResponse {
        guard let record else { return absent }
        var response = HTTPResponse(200, .bytes(record.value), didChange: didChange)
        response.set("ETag", "\"\(tag(record))\"")
        return response
    }

    private static func list(_ prefix: String, _ store: RegistryRecords) -> HTTPResponse {
        var text = ""
        for record in store.list(prefix: prefix).records {
            let hex = record.value.map { byte in
                String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
            }
            text += "\(record.key) \(tag(record)) \(hex.joined())\n"
        }
        return HTTPResponse(200, text: text)
    }
}
