import JSON
import NIOHTTP1
import Rights
import Synchronization

/// The document of the API in the form of OpenAPI 3.1, made of the rows of the operations: what has no
/// row is not in it, and what a row does not say the server does not do.
package enum APIDocument {
    /// With line breaks, for people and for files.
    /// - Parameter version: of the program.
    package static func text(version: String) -> String {
        var bytes: [UInt8] = []
        document(version).write(to: &bytes, pretty: true)
        return String(decoding: bytes, as: UTF8.self) + "\n"
    }

    /// Without line breaks, made when somebody first asks: few servers are ever asked.
    final class Kept: Sendable {
        private let version: String
        private let made = Mutex<[UInt8]?>(nil)

        init(version: String) { self.version = version }

        var bytes: [UInt8] {
            made.withLock { made in
                if let made { return made }
                var bytes: [UInt8] = []
                document(version).write(to: &bytes)
                made = bytes
                return bytes
            }
        }
    }

    private static func document(_ version: String) -> JSONValue {
        [
            "openapi": "3.1.0",
            "info": [
                "title": "rqlited", "version": .string(version),
                "description": .string(introduction),
            ],
            "servers": [["url": "/"]],
            "paths": .object(paths),
            "components": [
                "securitySchemes": [
                    "basic": ["type": "http", "scheme": "basic"],
                    "bearer": ["type": "http", "scheme": "bearer"],
                ],
                "schemas": .object(
                    APISchema.allCases.map { .init($0.rawValue, $0.definition) }),
            ],
        ]
    }

    private static let introduction = """
        SQLite, replicated by Raft, over HTTP. Parameters that an operation does not name are \
        ignored; a flag is on when its name is there, whatever its value. Failures of statements \
        are answers with status 200 and a member error. Credentials are asked for only where the \
        node has users.
        """

    private static var paths: [JSONValue.Member] {
        var paths: [(path: String, methods: [JSONValue.Member])] = []
        for operation in OperationTable.all {
            guard let note = operation.note, let path = operation.paths.first?.text else {
                continue
            }
            let methods = (operation.methods ?? [.GET]).map { method in
                JSONValue.Member(
                    method.rawValue.lowercased(), self.operation(operation, note, method))
            }
            if let place = paths.firstIndex(where: { $0.path == path }) {
                paths[place].methods += methods
            } else {
                paths.append((path, methods))
            }
        }
        return paths.map { .init($0.path, .object($0.methods)) }
    }

    private static func operation(
        _ operation: HTTPOperation, _ note: OperationNote, _ method: HTTPMethod
    ) -> JSONValue {
        var name = operation.name.replacing(" ", with: "_")
        if (operation.methods?.count ?? 1) > 1 { name += "_\(method.rawValue.lowercased())" }
        var members: [JSONValue.Member] = [
            .init("operationId", .string(name)), .init("summary", .string(note.summary)),
            .init("x-served-by", .string(operation.need.rawValue)),
        ]
        if !operation.permissions.isEmpty {
            members += [
                .init("security", [[:], ["basic": []], ["bearer": []]]),
                .init(
                    "x-permissions", .array(operation.permissions.map { .string($0.rawValue) })),
            ]
        }
        let parameters = parameters(note, method)
        if !parameters.isEmpty { members.append(.init("parameters", .array(parameters))) }
        if method != .GET, !note.bodies.isEmpty {
            members.append(.init("requestBody", body(note.bodies)))
        }
        members.append(.init("responses", APIResponses(operation, note, method).json))
        return .object(members)
    }

    private static func parameters(_ note: OperationNote, _ method: HTTPMethod) -> [JSONValue] {
        let query = note.parameters.filter { $0.name != .q || method == .GET }.map(\.json)
        let fields = note.requestFields.filter {
            $0 != .ifNoneMatch || method == .GET
        }.map { field -> JSONValue in
            [
                "name": .string(field.rawValue), "in": "header",
                "description": .string(field.meaning), "schema": field.schema,
            ]
        }
        return query + fields
    }

    private static func body(_ bodies: [APIBody]) -> JSONValue {
        [
            "required": .bool(!bodies.contains(where: \.isOptional)),
            "content": .object(
                bodies.map { .init($0.mediaType, ["schema": $0.schema.reference]) }),
        ]
    }
}

extension OperationNote.RequestField {
    fileprivate var schema: JSONValue {
        switch self {
        case .idempotencyKey:
            [
                "type": "string", "minLength": 1,
                "maxLength": .integer(Int64(IdempotencyKey.longest)), "pattern": "^[ -~]+$",
            ]
        case .ifNoneMatch, .ifMatch, .ifRange, .range: APISchema.text.reference
        }
    }
}

extension HTTPOperation.Path {
    /// Without what may stand behind a prefix.
    fileprivate var text: String {
        switch self {
        case .exact(let text), .prefix(let text): text
        }
    }
}

extension OperationParameter {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("name", .string(name.rawValue)), .init("in", "query"),
            .init("description", .string(meaning)),
        ]
        if isRequired { members.append(.init("required", true)) }
        if case .flag = kind { members.append(.init("allowEmptyValue", true)) }
        members.append(.init("schema", schema))
        return .object(members)
    }

    private var schema: JSONValue {
        var members: [JSONValue.Member] = []
        func add(_ name: String, _ value: JSONValue?) {
            if let value { members.append(.init(name, value)) }
        }
        switch kind {
        case .flag: add("type", "string")
        case .names: add("type", "string")
        case .text:
            add("type", "string")
            if name == .q || isRequired { add("minLength", 1) }
            if name == .minIndex { add("pattern", .string(Self.seenPattern)) }
        case .duration(let usual):
            add("type", "string")
            add("pattern", .string(Self.durationPattern))
            add("default", usual.map { .string($0) })
        case .integer(let least, let most, let usual):
            add("type", "integer")
            add("minimum", .integer(least.map { Int64($0) } ?? .min))
            add("maximum", .integer(most.map { Int64($0) } ?? .max))
            add("default", usual.map { .integer(Int64($0)) })
        case .word(let words, let usual):
            add("type", "string")
            add("enum", .array(words.map { .string($0) }))
            add("default", usual.map { .string($0) })
        }
        return .object(members)
    }

    /// Fewer than there are: those whose sum always fits.
    private static let durationPattern =
        "^[+-]?(0|([0-9]{1,5}(\\.[0-9]{1,3})?(ns|us|ms|s|m|h)){1,2})$"
    /// An index, or a token of `CommitMark`.
    private static let seenPattern = "^[0-9]{1,18}$"
}
