/// What a fake server's handler answers.
package struct HTTPResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Sent as chunks, as long as the closure writes; for watches.
        case stream(@Sendable (HTTPExchange) -> Void)
    }

    package var status: Int
    package var headers: [ReceivedRequest.Parameter] = []
    package var body: Body
    /// Whether the request changed the server's state: `Fault.dropAfterExecution` breaks these.
    package var didChange = false

    package init(_ status: Int, _ body: Body, didChange: Bool = false) {
        self.status = status
        self.body = body
        self.didChange = didChange
    }

    package init(_ status: Int, text: String, type: String = "text/plain", didChange: Bool = false)
    {
        self.init(status, .bytes(Array(text.utf8)), didChange: didChange)
        set("Content-Type", type)
    }

    package init(_ status: Int, json: String, didChange: Bool = false) {
        self.init(status, text: json, type: "application/json", didChange: didChange)
    }

    package mutating func set(_ name: String, _ value: String) {
        headers.append(ReceivedRequest.Parameter(name: name, value: value))
    }

    /// Status line and headers, with the empty line.
    func head(length: Int?) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(Self.reason(status))\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        text +=
            length.map { "Content-Length: \($0)\r\n\r\n" } ?? "Transfer-Encoding: chunked\r\n\r\n"
        return Array(text.utf8)
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 204: "No Content"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 410: "Gone"
        case 412: "Precondition Failed"
        case 500: "Internal Server Error"
        case 503: "Service Unavailable"
        default: "Other"
        }
    }
}
