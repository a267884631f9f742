import NIOCore
import NIOHTTP1

/// An answer, complete but for the headers that every answer has.
struct Response {
    enum Content {
        case json
        case text
        /// A refusal in words; browsers must not take it for anything else.
        case plainError
        case html
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
            case .none: ""
            }
        }
    }

    var status: HTTPResponseStatus
    var content: Content
    var body: [UInt8] = []
    var location: String?
    /// The address of the node that did the work.
    var servedBy: String?

    init(_ status: HTTPResponseStatus, _ content: Content = .none, body: [UInt8] = []) {
        self.status = status
        self.content = content
        self.body = body
    }

    /// A refusal as `http.Error` of Go sends it.
    static func plain(_ status: HTTPResponseStatus, _ text: String) -> Response {
        Response(status, .plainError, body: Array("\(text)\n".utf8))
    }

    static func redirect(_ status: HTTPResponseStatus, to location: String) -> Response {
        var response = Response(status)
        response.location = location
        return response
    }
}

/// How the connection and the request shape an answer.
struct ResponseFraming {
    var isHTTP10 = false
    var keepAlive = true
    /// The request was a HEAD: the length is told, the body is not sent.
    var omitsBody = false
}

/// Writes answers as HTTP/1.1 text. The bytes go out as they are: the encoder of NIO would build
/// a list of strings for what is the same in every answer.
struct ResponseWriter: Sendable {
    /// The header fields that every answer has, as they stand on the wire.
    private let common: [UInt8]

    init(version: String, allowOrigin: String?) {
        var text = "X-Rqlite-Version: \(version)\r\n"
        if let allowOrigin { text += "Access-Control-Allow-Origin: \(allowOrigin)\r\n" }
        text += "Access-Control-Allow-Methods: OPTIONS, GET, POST\r\n"
        text += "Access-Control-Allow-Headers: Content-Type\r\n"
        common = Array(text.utf8)
    }

    func write(_ response: Response, _ framing: ResponseFraming, to output: inout ByteBuffer) {
        output.reserveCapacity(
            minimumWritableBytes: common.count + 256 + (framing.omitsBody ? 0 : response.body.count)
        )
        if response.status == .ok {
            output.writeStaticString("HTTP/1.1 200 OK\r\n")
        } else {
            output.writeString(
                "HTTP/1.1 \(response.status.code) \(response.status.reasonPhrase)\r\n")
        }
        output.writeBytes(common)
        output.writeStaticString(response.content.header)
        if let servedBy = response.servedBy {
            writeField("X-Rqlite-Served-By: ", servedBy, to: &output)
        }
        if let location = response.location { writeField("Location: ", location, to: &output) }
        if !framing.keepAlive {
            output.writeStaticString("Connection: close\r\n")
        } else if framing.isHTTP10 {
            output.writeStaticString("Connection: keep-alive\r\n")
        }
        // A 204 must not have it (RFC 9110 §8.6); no route of ours answers so.
        writeField("Content-Length: ", String(response.body.count), to: &output)
        output.writeStaticString("\r\n")
        if !framing.omitsBody { output.writeBytes(response.body) }
    }

    private func writeField(_ name: StaticString, _ value: String, to output: inout ByteBuffer) {
        output.writeStaticString(name)
        output.writeString(value)
        output.writeStaticString("\r\n")
    }
}
