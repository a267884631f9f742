import JSON
import NIOHTTP1

/// All answers of an operation: those of its row, those that every operation has, and failures.
struct APIResponses {
    /// One status, as its parts come together.
    fileprivate struct Entry {
        let status: Int
        var meanings: [String] = []
        var contents: [(type: String, schema: APISchema?)] = []
        var codes: [String] = []
    }

    private var entries: [Entry] = []
    private let fields: [OperationNote.AnswerField]

    init(_ operation: HTTPOperation, _ note: OperationNote, _ method: HTTPMethod) {
        fields = note.answerFields
        for answer in note.answers where answer.status != 304 || method == .GET { add(answer) }
        add(.text(400, "A parameter or the body can't be read; the text says why."))
        add(.text(431, "The head is larger than the server takes."))
        if !operation.permissions.isEmpty {
            add(.empty(401, "The client is not known, or has no right to it."))
        }
        if method != .GET, operation.body != .none {
            add(.text(408, "The body came too slowly."))
            add(.text(413, "The body is larger than the server takes."))
        }
        if !operation.isObservation {
            add(
                .text(
                    429,
                    "The client has its share of what the node can hold, while others are refused."
                ))
            add(.text(503, "The node has more to do than it can: try again, or ask another."))
        }
        for failure in APIFailures.answers(of: operation) {
            update(failure.status) { entry in
                entry.add(
                    failure.content.mediaType, failure.content.isProblem ? .problem : .text)
                if !entry.codes.contains(failure.code) { entry.codes.append(failure.code) }
            }
        }
        entries.sort { $0.status < $1.status }
    }

    private mutating func add(_ answer: APIAnswer) {
        update(answer.status) { entry in
            entry.meanings.append(answer.meaning)
            entry.add(answer.content.mediaType, answer.schema)
        }
    }

    private mutating func update(_ status: Int, _ change: (inout Entry) -> Void) {
        if let place = entries.firstIndex(where: { $0.status == status }) {
            change(&entries[place])
        } else {
            var entry = Entry(status: status)
            change(&entry)
            entries.append(entry)
        }
    }

    var json: JSONValue {
        .object(entries.map { .init("\($0.status)", json(of: $0)) })
    }

    private func json(of entry: Entry) -> JSONValue {
        var words = entry.meanings
        if !entry.codes.isEmpty {
            words.append("Failures: \(entry.codes.joined(separator: ", ")).")
        }
        var members: [JSONValue.Member] = [
            .init("description", .string(words.joined(separator: " ")))
        ]
        if (200..<300).contains(entry.status), !fields.isEmpty {
            let headers = fields.map { field in
                JSONValue.Member(
                    field.rawValue,
                    [
                        "description": .string(field.meaning),
                        "schema": APISchema.text.reference,
                    ])
            }
            members.append(.init("headers", .object(headers)))
        }
        if !entry.contents.isEmpty {
            let contents = entry.contents.map { content in
                JSONValue.Member(
                    content.type, content.schema.map { ["schema": $0.reference] } ?? [:])
            }
            members.append(.init("content", .object(contents)))
        }
        return .object(members)
    }
}

extension APIResponses.Entry {
    fileprivate mutating func add(_ type: String?, _ schema: APISchema?) {
        guard let type, !contents.contains(where: { $0.type == type }) else { return }
        contents.append((type, schema))
    }
}
