import JSON
import NIOCore
import NIOHTTP1
import Rights
import Service
import Wire

/// A request whose query string has been checked.
struct HTTPRequest: Sendable {
    private(set) var head: HTTPRequestFacts
    private(set) var body: ByteBuffer?
    /// What the body takes of what all bodies may.
    private(set) var share: Share?
    /// For whom things are taken; nil: for nobody who has a share.
    var account: ClientAccount?
    /// A body that came in parts; then `body` is nil.
    private(set) var kept: KeptBody?

    init(_ head: HTTPRequestHead, arrival: NIODeadline) throws(QueryParameters.Invalid) {
        self.head = try HTTPRequestFacts(head, arrival: arrival)
    }

    /// Forgets the parameters that have no meaning for the operation.
    mutating func keepParameters(of operation: HTTPOperation) {
        guard let rest = parameters.limited(to: operation) else { return }
        head = HTTPRequestFacts(head, rest)
    }

    var method: HTTPMethod { head.method }
    var target: String { head.target }
    var path: String { head.path }
    var headers: HTTPHeaders { head.headers }
    var parameters: QueryParameters { head.parameters }
    var credential: Credential { head.credential }

    /// Adds a part of the body.
    /// - Returns: nil: there was room for it.
    mutating func append(_ part: ByteBuffer, _ edge: Edge) -> Shortage? {
        let before = body?.readableBytes ?? 0
        let size = before + part.readableBytes
        if size > edge.limits.uncountedBytes {
            let more = before > edge.limits.uncountedBytes ? part.readableBytes : size
            if let shortage = take(more, edge) { return shortage }
        }
        if body == nil {
            body = part.withoutIdleMemory(above: edge.limits.uncountedBytes)
        } else {
            body?.writeImmutableBuffer(part)
        }
        return nil
    }

    private mutating func take(_ byteCount: Int, _ edge: Edge) -> Shortage? {
        let share = share ?? Share(of: edge.budgets.bodyBytes, for: account)
        if let shortage = share.grow(by: byteCount) { return shortage }
        self.share = share
        return nil
    }

    /// Counts what the request takes besides its body: its head is kept until it is answered.
    /// - Parameters:
    ///   - byteCount: of its head, in memory.
    ///   - isWaiting: many are before it; else a small head is covered by the bound on requests.
    /// - Returns: nil: there was room for it.
    mutating func reserve(_ byteCount: Int, isWaiting: Bool, _ edge: Edge) -> Shortage? {
        guard isWaiting || byteCount > edge.limits.uncountedBytes else { return nil }
        return take(max(byteCount, Self.ownBytes), edge)
    }

    /// In memory, about.
    private static let ownBytes = 1024

    /// The body came in parts, all of which are kept.
    mutating func bring(_ upload: BodyUpload) {
        kept = upload.body
        share = upload.share
    }

    /// The client asks for rows as lines: it names them, and nothing that it would rather have.
    var wantsLines: Bool {
        headers.first(name: "accept")?.lowercased().hasPrefix("application/x-ndjson") ?? false
    }

    /// The body as a small JSON document; nil when it is none.
    var document: JSONValue? {
        guard let body else { return nil }
        do { return try JSONValue(parsing: Array(body.readableBytesView)) } catch { return nil }
    }
}

/// What a request's head says. One object, however often the request is handed on: it is much, and
/// the answer is shaped by it too, when the body is long gone.
final class HTTPRequestFacts: Sendable {
    let method: HTTPMethod
    /// Path and query string as received: what a redirect repeats.
    let target: String
    /// Percent-decoded.
    let path: String
    let headers: HTTPHeaders
    let parameters: QueryParameters
    let credential: Credential
    let arrival: NIODeadline

    init(_ head: HTTPRequestHead, arrival: NIODeadline) throws(QueryParameters.Invalid) {
        method = head.method
        headers = head.headers
        credential = AuthorizationField.credential(headers.first(name: "authorization"))
        self.arrival = arrival
        target = Self.originForm(head.uri)
        let query = target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        parameters = try QueryParameters(target[query...].dropFirst())
        path = try PercentDecoding.decode(target[..<query], plusIsBlank: false)
    }

    /// The same with other parameters.
    fileprivate init(_ facts: HTTPRequestFacts, _ parameters: QueryParameters) {
        method = facts.method
        target = facts.target
        path = facts.path
        headers = facts.headers
        self.parameters = parameters
        credential = facts.credential
        arrival = facts.arrival
    }

    /// Since it arrived.
    var elapsed: Duration { .nanoseconds((NIODeadline.now() - arrival).nanoseconds) }

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

/// What an operation does with a request.
enum Action {
    case respond(Response)
    /// To be asked of the node.
    case submit(ClientRequest.Operation)
    /// A database is brought to the node in parts.
    case ship(LoadParcel, isBoot: Bool)
    /// Rows are added in batches.
    case importRows(ImportRun)
    /// To be carried out with others, by and by.
    case enqueue(QueuedWrite)
}

/// What is remembered of a request until its reply comes.
struct PendingReply {
    let operation: HTTPOperation
    let format: ResultFormat
    let head: HTTPRequestFacts
    /// For whom things are taken; nil: for nobody who has a share.
    let account: ClientAccount?

    init(_ operation: HTTPOperation, _ request: HTTPRequest) {
        self.operation = operation
        var format = ResultFormat(request.parameters)
        format.lines = request.wantsLines
        self.format = format
        head = request.head
        account = request.account
    }

    var target: String { head.target }
    var parameters: QueryParameters { head.parameters }
    var credential: Credential { head.credential }
    var method: HTTPMethod { head.method }
    /// The client takes failures as documents.
    var wantsProblem: Bool { Problem.isWanted(head.headers) }
    /// The client takes bodies that are packed by gzip.
    var takesGzip: Bool { AcceptedEncoding.takesGzip(head.headers) }
    var timeout: Duration { parameters.timeout }
    /// The client follows redirects to the leader itself.
    var redirects: Bool { parameters.has(.redirect) }
    var elapsed: Duration { head.elapsed }
}

extension HTTPRequestHead {
    /// In memory, about.
    /// - Parameter size: of all fields, in bytes.
    func heldBytes(fields size: Int) -> Int {
        512 + uri.utf8.count + size + 64 * headers.count
    }
}

extension ByteBuffer {
    /// The same, without the buffer that one read has filled, where that is large and this little of it.
    func withoutIdleMemory(above most: Int) -> ByteBuffer {
        let isLoose = storageCapacity > 2 * most && readableBytes < storageCapacity / 4
        return isLoose ? ByteBuffer(bytes: readableBytesView) : self
    }
}
