/// What the row of an operation tells those who write clients. The document of the API is made of these
/// notes, and the parameters named here are those that the operation is given.
struct OperationNote: Sendable {
    /// A header field of requests that changes what an operation does.
    enum RequestField: String, CaseIterable, Sendable {
        case idempotencyKey = "Idempotency-Key"
        case ifNoneMatch = "If-None-Match"
        case ifMatch = "If-Match"
        case ifRange = "If-Range"
        case range = "Range"

        var meaning: String {
            switch self {
            case .idempotencyKey: "The write takes effect once, however often it is sent."
            case .ifNoneMatch: "304 where nothing was written since the answer with this ETag."
            case .ifMatch: "412 where the copy with this ETag is not kept any more."
            case .ifRange: "With Range: the rest of the copy with this ETag."
            case .range: "Bytes of a copy; with If-Range or If-Match only."
            }
        }
    }

    /// A header field of answers that clients look at.
    enum AnswerField: String, CaseIterable, Sendable {
        case servedBy = "X-Rqlite-Served-By"
        case logIndex = "X-Rqlite-Raft-Index"
        case commit = "X-Rqlited-Commit"
        case entityTag = "ETag"
        case replayed = "Idempotency-Replayed"

        var meaning: String {
            switch self {
            case .servedBy: "Which node did the work."
            case .logIndex: "The index of the log that the copy stands at."
            case .commit: "What the answer has seen, for min_index."
            case .entityTag: "By what one asks whether the answer still holds."
            case .replayed: "True: the answer to an earlier request under the same key."
            }
        }
    }

    let summary: String
    let parameters: [OperationParameter]
    let requestFields: [RequestField]
    /// The forms that the body may have; of a GET none is looked at.
    let bodies: [APIBody]
    /// Those that are no failures of the node; these follow from `ErrorTable`.
    let answers: [APIAnswer]
    /// Of answers that are no failures.
    let answerFields: [AnswerField]

    init(
        _ summary: String, _ parameters: [OperationParameter],
        requestFields: [RequestField] = [], bodies: [APIBody] = [], _ answers: [APIAnswer],
        answerFields: [AnswerField] = []
    ) {
        self.summary = summary
        self.parameters = parameters
        self.requestFields = requestFields
        self.bodies = bodies
        self.answers = answers
        self.answerFields = answerFields
    }

    /// The note of an operation that carries statements.
    static func statements(
        _ summary: String, _ parameters: [OperationParameter], isText: Bool, isWrite: Bool
    ) -> OperationNote {
        OperationNote(
            summary,
            OperationParameter.forms + [.transaction, .timeout, .redirect] + parameters
                + OperationParameter.idle,
            requestFields: [isWrite ? .idempotencyKey : .ifNoneMatch],
            bodies: [.json(.statements)] + (isText ? [.sql] : []),
            [
                .json(200, .results, "The results, statement by statement."),
                .stream(200, .lines, "The same as lines, where Accept asks for them."),
            ] + (isWrite ? [] : [.empty(304, "Nothing was written since.")]),
            answerFields: [.servedBy, .commit, isWrite ? .replayed : .entityTag])
    }
}

/// A form of a request's body.
struct APIBody: Sendable {
    let mediaType: String
    let schema: APISchema
    /// The operation goes on without it.
    var isOptional = false

    static func json(_ schema: APISchema, isOptional: Bool = false) -> APIBody {
        APIBody(mediaType: "application/json", schema: schema, isOptional: isOptional)
    }

    static let sql = APIBody(mediaType: "text/plain", schema: .text)
    static let bytes = APIBody(mediaType: "application/octet-stream", schema: .bytes)
}

/// A status that an operation answers with, and what stands in the body.
struct APIAnswer: Sendable {
    let status: Int
    let content: Response.Content
    let schema: APISchema?
    let meaning: String

    static func json(_ status: Int, _ schema: APISchema, _ meaning: String) -> APIAnswer {
        APIAnswer(status: status, content: .json, schema: schema, meaning: meaning)
    }

    static func empty(_ status: Int, _ meaning: String) -> APIAnswer {
        APIAnswer(status: status, content: .none, schema: nil, meaning: meaning)
    }

    static func text(_ status: Int, _ meaning: String) -> APIAnswer {
        APIAnswer(status: status, content: .text, schema: .text, meaning: meaning)
    }

    /// A body that is not one JSON document.
    static func stream(
        _ status: Int, _ content: Response.Content, _ meaning: String
    ) -> APIAnswer {
        APIAnswer(status: status, content: content, schema: nil, meaning: meaning)
    }
}
