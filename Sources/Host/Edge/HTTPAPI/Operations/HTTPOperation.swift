import NIOHTTP1
import Rights
import Service
import Telemetry
import Wire

/// One operation of the HTTP API: all that the edge knows of it, in one place. The routes, what
/// `OPTIONS` and 405 tell, the table in docs/http-api.md and the tests derive from these rows.
///
/// To add an operation: write its row in a file of its own here, name it in `OperationTable.all`,
/// and, if the node must do something for it, give it a `ClientRequest.Operation` and its code.
final class HTTPOperation: Sendable {
    enum Path: Equatable, Sendable {
        case exact(String)
        /// `/db/queryfoo` is `/db/query`, as clients of rqlite know it.
        case prefix(String)

        func matches(_ path: String) -> Bool {
            switch self {
            case .exact(let text): path == text
            case .prefix(let text): path.hasPrefix(text)
            }
        }
    }

    /// What the body is; it decides how large it may be.
    enum Body: String, Sendable {
        /// None is looked at.
        case none
        /// A small JSON document.
        case document
        /// SQL as JSON, or as text.
        case statements
        /// The same, of which nothing is executed.
        case shownStatements = "statements to show"
        /// A database, or its dump.
        case database

        func limit(_ limits: HTTPLimits) -> Int {
            switch self {
            case .none, .document: limits.smallBodyBytes
            case .shownStatements: limits.shownBodyBytes
            case .statements: limits.bodyBytes
            case .database: limits.loadBytes
            }
        }

        /// Of a body that is taken in parts while it comes: how many bytes may wait for that. Nil: it
        /// is taken whole.
        func window(_ limits: HTTPLimits) -> Int? {
            switch self {
            case .none, .document, .shownStatements, .statements: nil
            case .database: limits.uploadWindow
            }
        }
    }

    /// Who can serve it.
    enum Need: String, Sendable {
        /// The edge of any node, without the node behind it.
        case edge
        /// Any node, for itself.
        case node
        /// A node that the consistency level allows, through a reader.
        case level
        /// The leader, through an entry in the log.
        case log
        /// `level` where all statements only read, else `log`.
        case levelOrLog = "level or log"
        /// The leader.
        case leader
    }

    typealias Permission = Rights.Permission
    typealias Context = AnswerDesk

    let name: String
    let paths: [Path]
    /// Nil: any.
    let methods: [HTTPMethod]?
    /// A client must have all of them.
    let permissions: [Permission]
    let body: Body
    let need: Need
    /// As what it travels to another node; nil: never.
    let code: ClientRequest.Code?
    /// What those who write clients are told; nil: it is no part of the API's document.
    let note: OperationNote?
    /// Of `note`, to be looked through for each request.
    private let parameterNames: [QueryParameters.Name]
    /// What a refusal without words is labelled as.
    let content: Response.Content
    /// Counts requests for the path, whatever the method.
    let counter: (@Sendable (HTTPCounters) -> Counter)?
    /// It looks at the node and is answered when all else is refused because there is too much.
    let isObservation: Bool
    /// Its work takes its time, however small the body is: never on an event loop.
    let isSlow: Bool
    /// The answer, where the head tells it; then no body is kept.
    let answerToHead: @Sendable (Context, HTTPRequest) -> Response?
    /// May be called on any thread.
    let work: @Sendable (Context, HTTPRequest) -> Action
    /// The answer to an outcome that is no failure; nil: the outcome is none of this operation's.
    let answer: @Sendable (Context, Reply, PendingReply) -> Response?
    /// What a failure becomes that has no answer of its own in `ErrorTable`.
    let failure: @Sendable (ServiceError) -> ErrorTable.Answer

    /// An operation that the node behind the edge carries out.
    init(
        _ name: String, _ paths: [Path], _ methods: [HTTPMethod]?, _ permissions: [Permission],
        body: Body = .none, need: Need, code: ClientRequest.Code, note: OperationNote,
        content: Response.Content = .json,
        counting counter: (@Sendable (HTTPCounters) -> Counter)? = nil,
        isObservation: Bool = false, isSlow: Bool = false,
        answerToHead: @escaping @Sendable (Context, HTTPRequest) -> Response? = { _, _ in nil },
        work: @escaping @Sendable (Context, HTTPRequest) -> Action,
        answer: @escaping @Sendable (Context, Reply, PendingReply) -> Response?,
        failure: @escaping @Sendable (ServiceError) -> ErrorTable.Answer
    ) {
        self.name = name
        self.paths = paths
        self.methods = methods
        self.permissions = permissions
        self.body = body
        self.need = need
        self.code = code
        self.note = note
        parameterNames = note.parameters.map(\.name)
        self.content = content
        self.counter = counter
        self.isObservation = isObservation
        self.isSlow = isSlow
        self.answerToHead = answerToHead
        self.work = work
        self.answer = answer
        self.failure = failure
    }

    /// An operation that the edge answers by itself.
    init(
        answeredHere name: String, _ paths: [Path], _ methods: [HTTPMethod]?,
        _ permissions: [Permission], body: Body = .none, note: OperationNote? = nil,
        content: Response.Content = .json,
        counting counter: (@Sendable (HTTPCounters) -> Counter)? = nil,
        isObservation: Bool = false, isSlow: Bool = false,
        answerToHead: @escaping @Sendable (Context, HTTPRequest) -> Response? = { _, _ in nil },
        work: @escaping @Sendable (Context, HTTPRequest) -> Response
    ) {
        self.name = name
        self.paths = paths
        self.methods = methods
        self.permissions = permissions
        self.body = body
        need = .edge
        code = nil
        self.note = note
        parameterNames = note?.parameters.map(\.name) ?? []
        self.content = content
        self.counter = counter
        self.isObservation = isObservation
        self.isSlow = isSlow
        self.answerToHead = answerToHead
        self.work = { .respond(work($0, $1)) }
        answer = { _, _, _ in nil }
        failure = { .plain(.internalServerError, ErrorTable.text($0)) }
    }
}

extension HTTPOperation {
    /// Whether a parameter of the query string has a meaning here; all others are ignored.
    func reads(_ name: QueryParameters.Name) -> Bool { parameterNames.contains(name) }

    /// What a client must be granted.
    var rightsNeed: RightsNeed { RightsNeed(permissions, isReading: isReading) }

    /// When its answer is there, something may have been done.
    var mayHaveEffect: Bool { need != .edge && !isReading }

    /// It changes nothing, also by what it carries.
    var isReading: Bool {
        if permissions == [.query] { return true }
        return methods?.allSatisfy { $0 == .GET || $0 == .HEAD } ?? (need == .edge)
    }
}
