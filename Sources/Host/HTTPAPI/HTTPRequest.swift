import NIOCore
import NIOHTTP1
import Service

/// A request whose query string has been checked and whose body is complete.
struct HTTPRequest {
    let method: HTTPMethod
    /// Path and query string as received: what a redirect repeats.
    let target: String
    /// Percent-decoded.
    let path: String
    let headers: HTTPHeaders
    let parameters: QueryParameters
    let arrival: NIODeadline
    var body: ByteBuffer?

    init(_ head: HTTPRequestHead, arrival: NIODeadline) throws(QueryParameters.Invalid) {
        method = head.method
        headers = head.headers
        self.arrival = arrival
        target = Self.originForm(head.uri)
        let query = target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        parameters = try QueryParameters(target[query...].dropFirst())
        path = try PercentEncoding.decode(target[..<query].utf8, plusIsBlank: false)
    }

    /// Proxies send whole URLs (RFC 9112 §3.2.2).
    private static func originForm(_ uri: String) -> String {
        guard uri.utf8.first != UInt8(ascii: "/") else { return uri }
        for scheme in ["http://", "https://"] where uri.lowercased().hasPrefix(scheme) {
            let rest = uri.utf8.dropFirst(scheme.utf8.count)
            let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
            return String(Substring(rest[(end ?? rest.endIndex)...]))
        }
        return uri
    }
}

/// What a route does with a request.
enum Action {
    case respond(Response)
    case submit(ClientRequest.Operation, PendingReply)
}

/// What is remembered of a request until its reply comes.
struct PendingReply {
    enum Kind: Equatable {
        case command
        case remove
        case transferLeadership
        case nodes(asList: Bool)
        case leader
        case readiness(sync: Bool)
    }

    let kind: Kind
    let format: ResultFormat
    let target: String
    let timeout: Duration
    /// The client follows redirects to the leader itself.
    let redirects: Bool
    let arrival: NIODeadline

    init(_ kind: Kind, _ request: HTTPRequest) {
        self.kind = kind
        format = ResultFormat(request.parameters)
        target = request.target
        timeout = request.parameters.timeout
        redirects = request.parameters.has(.redirect)
        arrival = request.arrival
    }

    var elapsed: Duration { .nanoseconds((NIODeadline.now() - arrival).nanoseconds) }
}
