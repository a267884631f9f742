import NIOCore
import NIOHTTP1
import Service

/// An answer, complete but for the headers that every answer has.
struct Response: Sendable {
    enum Content: Sendable {
        case json
        case text
        /// A refusal in words; browsers must not take it for anything else.
        case plainError
        case html
        /// A JSON document on each line.
        case lines
        /// Bytes, such as a database file.
        case bytes
        case sql
        case prometheus
        case openMetrics
        /// A failure as a document (RFC 9457).
        case problem
        /// No `Content-Type`, for an empty body.
        case none

        fileprivate var header: StaticString {
            switch self {
            case .json: "Content-Type: application/json; charset=utf-8\r\n"
            case .text: "Content-Type: text/plain; charset=utf-8\r\n"
            case .plainError:
                """
                Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n
                """
            case .html: "Content-Type: text/html; charset=utf-8\r\n"
            case .lines: "Content-Type: application/x-ndjson\r\n"
            case .bytes: "Content-Type: application/octet-stream\r\n"
            case .sql: "Content-Type: application/sql\r\n"
            case .prometheus:
                "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            case .openMetrics:
                """
                Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n
                """
            case .problem: "Content-Type: application/problem+json\r\n"
            case .none: ""
            }
        }

        /// Without its parameters; nil for an empty body.
        var mediaType: String? {
            let value = header.description.dropFirst("Content-Type: ".utf8.count)
                .prefix { $0 != ";" && !$0.isNewline }
            return value.isEmpty ? nil : String(value)
        }

        var isProblem: Bool { if case .problem = self { true } else { false } }
    }

    var status: HTTPResponseStatus
    var content: Content
    var body: [UInt8] = []
    /// Where the body comes from, slice by slice, when it is large; `body` is empty then.
    var source: AnswerSource?
    /// What `body` takes of what all answers may.
    var share: Share?
    var location: String?
    /// Seconds after which the client may try again.
    var retryAfter: Int?
    /// The methods that the path takes.
    var allow: String?
    /// Header fields that a page of another origin may send, beside those that every answer allows.
    var allowedFields: String?
    /// The address of the node that did the work.
    var servedBy: String?
    /// What went wrong, for programs: the header `X-Rqlited-Error`.
    var errorCode: String?
    /// What the answer has seen of the cluster's history: the header `X-Rqlited-Commit`.
    var commit: CommitMark?
    /// By what a client asks whether its copy still holds.
    var entityTag: CommitMark?
    /// The body is packed by gzip.
    var isPacked = false
    /// It is the answer to an earlier request under the same key.
    var isRepeated = false
    /// What the body is a copy of: the database as the log had made it at this index.
    var logIndex: UInt64?
    /// Of the copy that the body is, or is some of: the header `ETag`, a strong one.
    var copyTag: String?
    /// Of which bytes the body is some.
    var contentRange: String?
    /// By what unit bytes of the body may be asked for.
    var acceptedRanges: StaticString?

    init(_ status: HTTPResponseStatus, _ content: Content = .none, body: [UInt8] = []) {
        self.status = status
        self.content = content
        self.body = body
    }

    /// A refusal as `http.Error` of Go sends it.
    static func plain(_ status: HTTPResponseStatus, _ text: String) -> Response {
        Response(status, .plainError, body: Array("\(text)\n".utf8))
    }

    /// This node lacks something, for now: nothing was done, and the client may try again.
    static func unable(_ text: String) -> Response {
        var response = Response.plain(.serviceUnavailable, text)
        response.retryAfter = 1
        return response
    }

    static func redirect(_ status: HTTPResponseStatus, to location: String) -> Response {
        var response = Response(status)
        response.location = location
        return response
    }
}

/// An answer that nothing changes any more: one object, however often it is handed on until it has
/// its turn.
final class FinishedResponse: Sendable {
    let response: Response

    init(_ response: Response) { self.response = response }
}

/// How the connection and the request shape an answer.
struct ResponseFraming: Equatable {
    var isHTTP10 = false
    var keepAlive = true
    /// The request was a HEAD: the length is told, the body is not sent.
    var omitsBody = false
    /// The client may still be sending what nobody wants: it gets time to read the answer.
    var lingers = false
    /// The length is not known: the body goes out in chunks, or ends with the connection.
    var hasNoLength = false

    /// For a body whose length is not known when it begins (RFC 9112 §6.3).
    mutating func omitLength() {
        hasNoLength = true
        if isHTTP10 { keepAlive = false }
    }

    var isChunked: Bool { hasNoLength && !isHTTP10 }
}

/// Writes answers as HTTP/1.1 text. The bytes go out as they are: the encoder of NIO would build
/// a list of strings for what is the same in every answer.
struct ResponseWriter: Sendable {
    /// The header fields that every answer has, as they stand on the wire.
    private let common: [UInt8]
    /// Status line and first fields of nearly all answers.
    private let beginningOfJSON: [UInt8]

    /// - Parameter asksForCredentials: every answer says so, as rqlite's do.
    init(version: String, allowOrigin: String?, asksForCredentials: Bool = false) {
        var text = "X-Rqlite-Version: \(version)\r\n"
        if asksForCredentials {
            text += "Access-Control-Allow-Credentials: true\r\n"
            text += "WWW-Authenticate: Basic realm=\"rqlite\"\r\n"
        }
        if let allowOrigin {
            text += "Access-Control-Allow-Origin: \(allowOrigin)\r\n"
            // Without it a page sees hardly more of an answer's header than its type.
            text += "Access-Control-Expose-Headers: \(Self.exposedFields)\r\n"
        }
        text += "Access-Control-Allow-Methods: OPTIONS, GET, POST\r\n"
        let allowed = asksForCredentials ? "Content-Type, Authorization" : "Content-Type"
        text += "Access-Control-Allow-Headers: \(allowed)\r\n"
        common = Array(text.utf8)
        beginningOfJSON =
            Array("HTTP/1.1 200 OK\r\n".utf8) + common
            + Array(Response.Content.json.header.description.utf8)
    }

    /// Header fields of answers that a page of another origin may look at.
    private static let exposedFields =
        "Accept-Ranges, Content-Range, ETag, Idempotency-Replayed, Retry-After, "
        + "X-Rqlite-Raft-Index, X-Rqlite-Served-By, X-Rqlite-Version, X-Rqlited-Commit, X-Rqlited-Error"

    /// A complete answer, or the head of one in slices.
    func write(_ response: Response, _ framing: ResponseFraming, to output: inout ByteBuffer) {
        let bodySize = framing.omitsBody ? 0 : response.body.count
        output.reserveCapacity(minimumWritableBytes: common.count + 256 + bodySize)
        if response.status == .ok, case .json = response.content {
            output.writeBytes(beginningOfJSON)
        } else {
            output.writeString(
                "HTTP/1.1 \(response.status.code) \(response.status.reasonPhrase)\r\n")
            output.writeBytes(common)
            output.writeStaticString(response.content.header)
        }
        writeFields(of: response, to: &output)
        if !framing.keepAlive {
            output.writeStaticString("Connection: close\r\n")
        } else if framing.isHTTP10 {
            output.writeStaticString("Connection: keep-alive\r\n")
        }
        if framing.isChunked {
            output.writeStaticString("Transfer-Encoding: chunked\r\n")
        } else if !framing.hasNoLength, response.status != .noContent,
            response.status != .notModified
        {
            // A 204 must not have it (RFC 9110 §8.6), and a 304 tells that of its 200.
            writeField("Content-Length: ", String(response.body.count), to: &output)
        }
        output.writeStaticString("\r\n")
        if !framing.omitsBody { output.writeBytes(response.body) }
    }

    /// Those that only some answers have, whatever the connection is.
    private func writeFields(of response: Response, to output: inout ByteBuffer) {
        if let servedBy = response.servedBy {
            writeField("X-Rqlite-Served-By: ", servedBy, to: &output)
        }
        if let index = response.logIndex {
            writeField("X-Rqlite-Raft-Index: ", String(index), to: &output)
        }
        if let code = response.errorCode {
            writeField("X-Rqlited-Error: ", code, to: &output)
        }
        if let commit = response.commit {
            writeField("X-Rqlited-Commit: ", commit.description, to: &output)
        }
        if let tag = response.entityTag {
            writeField("ETag: W/\"", tag.description, ending: "\"\r\n", to: &output)
        }
        if let tag = response.copyTag { writeField("ETag: ", "\"\(tag)\"", to: &output) }
        if let range = response.contentRange {
            writeField("Content-Range: ", range, to: &output)
        }
        if let unit = response.acceptedRanges {
            writeField("Accept-Ranges: ", "\(unit)", to: &output)
        }
        if response.isPacked { output.writeStaticString("Content-Encoding: gzip\r\n") }
        if response.isPacked || response.entityTag != nil {
            output.writeStaticString("Vary: Accept, Accept-Encoding\r\n")
        }
        if response.isRepeated {
            output.writeStaticString("Idempotency-Replayed: true\r\n")
        }
        if let location = response.location { writeField("Location: ", location, to: &output) }
        if let allow = response.allow { writeField("Allow: ", allow, to: &output) }
        if let fields = response.allowedFields {
            // A second line, which says as much as one longer one (RFC 9110 §5.3).
            writeField("Access-Control-Allow-Headers: ", fields, to: &output)
        }
        if let seconds = response.retryAfter {
            writeField("Retry-After: ", String(seconds), to: &output)
        }
    }

    /// A part of a body of unknown length, and its end (RFC 9112 §7.1).
    func write(
        slice: [UInt8], isLast: Bool, _ framing: ResponseFraming, to output: inout ByteBuffer
    ) {
        guard framing.isChunked else {
            output.writeBytes(slice)
            return
        }
        output.reserveCapacity(minimumWritableBytes: slice.count + 32)
        if !slice.isEmpty {
            output.writeString("\(String(slice.count, radix: 16))\r\n")
            output.writeBytes(slice)
            output.writeStaticString("\r\n")
        }
        if isLast { output.writeStaticString("0\r\n\r\n") }
    }

    /// All of it at once: each write into the buffer costs more than the few bytes of a field.
    private func writeField(
        _ name: StaticString, _ value: String, ending: StaticString = "\r\n",
        to output: inout ByteBuffer
    ) {
        var value = value
        value.withUTF8 { value in
            let parts = (
                UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount),
                UnsafeRawBufferPointer(value),
                UnsafeRawBufferPointer(start: ending.utf8Start, count: ending.utf8CodeUnitCount)
            )
            let count = parts.0.count + parts.1.count + parts.2.count
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { field in
                field.copyMemory(from: parts.0)
                UnsafeMutableRawBufferPointer(rebasing: field[parts.0.count...])
                    .copyMemory(from: parts.1)
                UnsafeMutableRawBufferPointer(rebasing: field[(count - parts.2.count)...])
                    .copyMemory(from: parts.2)
                return count
            }
        }
    }
}
