import JSON

/// The documents of the API by name, as JSON Schema says what they are.
enum APISchema: String, CaseIterable {
    case text, bytes
    case statements, statement, parameter
    case results, statementResult
    case analysis, nodes, node, limits, limitsChange
    case status, successor, member, addresses, entry, imported, reaped, problem

    /// What stands for it where it is used.
    var reference: JSONValue {
        switch self {
        case .text: ["type": "string"]
        case .bytes: ["type": "string", "contentMediaType": "application/octet-stream"]
        default: ["$ref": .string("#/components/schemas/\(rawValue)")]
        }
    }

    var definition: JSONValue {
        switch self {
        case .text, .bytes: reference
        case .statements: Self.array(of: .statement, least: 1)
        case .statement:
            [
                "description": "SQL, or a list of SQL and its parameters.",
                "anyOf": [
                    ["type": "string"],
                    [
                        "type": "array", "minItems": 1, "prefixItems": [["type": "string"]],
                        "items": Self.parameter.reference,
                    ],
                ],
                "examples": ["SELECT 1", ["SELECT ?", 7], ["SELECT :a", ["a": "x"]]],
            ]
        case .parameter: Self.values
        case .results:
            Self.object(
                [
                    ("results", Self.array(of: .statementResult)), ("error", Self.text.reference),
                    ("time", Self.number), ("raft_index", Self.index),
                    ("sequence_number", Self.index), ("done_at", Self.index),
                ], required: ["results"])
        case .statementResult: Self.result
        case .analysis:
            Self.object(
                [
                    (
                        "results",
                        [
                            "type": "array",
                            "items": Self.object(
                                [
                                    ("original", Self.text.reference),
                                    ("rewritten", Self.text.reference),
                                ], required: ["original"]),
                        ]
                    ),
                    ("time", Self.number),
                ], required: ["results"])
        case .nodes:
            [
                "description": "By ID, or with ver=2 as a list in the member nodes.",
                "anyOf": [
                    ["type": "object", "additionalProperties": Self.node.reference],
                    Self.object([("nodes", Self.array(of: .node))], required: ["nodes"]),
                ],
            ]
        case .node:
            Self.object(
                ["id", "api_addr", "addr", "version", "time_s", "error"].map {
                    ($0, Self.text.reference)
                } + ["voter", "reachable", "leader"].map { ($0, ["type": "boolean"]) }
                    + [("time", Self.number)],
                required: ["id", "addr", "version", "voter", "reachable", "leader"])
        case .limits: Self.object(Self.limitMembers, required: Self.limitMembers.map(\.0))
        case .limitsChange: Self.object(Self.limitMembers, required: [], leastMembers: 1)
        case .status: ["description": "What was asked for: an object, or one value of it."]
        case .successor:
            ["type": "object", "properties": ["id": Self.text.reference]]
        case .member: Self.object([("id", Self.text.reference)], required: ["id"])
        case .addresses:
            [
                "type": "array", "minItems": 1, "maxItems": 256,
                "items": ["type": "string", "minLength": 1],
            ]
        case .entry:
            Self.object(
                [("index", Self.index), ("hash", Self.whole(to: "4294967295"))],
                required: ["index", "hash"])
        case .imported:
            Self.object(
                ["rows", "batches", "raft_index", "line"].map { ($0, Self.index) }
                    + [("error", Self.text.reference)], required: ["rows", "batches"])
        case .reaped:
            Self.object(
                ["snapshots_reaped", "wals_checkpointed"].map { ($0, Self.index) },
                required: ["snapshots_reaped", "wals_checkpointed"])
        case .problem: Self.failure
        }
    }

    private static let number: JSONValue = ["type": "number"]
    private static let index: JSONValue = whole(to: "18446744073709551615")
    private static let limitMembers: [(String, JSONValue)] = LimitsDocument.all.map {
        ($0.name, ["type": "integer", "minimum": .integer($0.least), "maximum": mostLimit])
    }
    private static let mostLimit: JSONValue = .integer(UInt64.max)

    private static func whole(to most: String) -> JSONValue {
        ["type": "integer", "minimum": 0, "maximum": .number(most)]
    }

    private static func array(of element: APISchema, least: Int64? = nil) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("type", "array"), .init("items", element.reference),
        ]
        if let least { members.append(.init("minItems", .integer(least))) }
        return .object(members)
    }

    /// With these members and no others.
    private static func object(
        _ members: [(String, JSONValue)], required: [String], leastMembers: Int64? = nil
    ) -> JSONValue {
        var parts: [JSONValue.Member] = [
            .init("type", "object"), .init("additionalProperties", false),
            .init("properties", .object(members.map { .init($0.0, $0.1) })),
        ]
        if !required.isEmpty {
            parts.append(.init("required", .array(required.map { .string($0) })))
        }
        if let leastMembers { parts.append(.init("minProperties", .integer(leastMembers))) }
        return .object(parts)
    }

    private static let values: JSONValue = {
        let plain: [JSONValue] = [
            ["type": "null"], ["type": "boolean"],
            ["type": "integer", "minimum": .integer(Int64.min), "maximum": .integer(Int64.max)],
            ["type": "number"], ["type": "string"],
            [
                "description": "A BLOB, by its bytes.", "type": "array",
                "items": whole(to: "255"),
            ],
        ]
        let named: JSONValue = [
            "description": "Parameters with names.", "type": "object",
            "additionalProperties": ["anyOf": .array(plain)],
        ]
        return ["anyOf": .array(plain + [named])]
    }()

    private static let result: JSONValue = {
        let texts: JSONValue = ["type": "array", "items": ["type": "string"]]
        return object(
            [
                ("last_insert_id", ["type": "integer"]), ("rows_affected", ["type": "integer"]),
                ("columns", texts),
                (
                    "types",
                    [
                        "anyOf": [
                            texts,
                            ["type": "object", "additionalProperties": ["type": "string"]],
                        ]
                    ]
                ),
                ("values", ["type": "array", "items": ["type": "array"]]),
                ("rows", ["type": ["array", "null"], "items": ["type": "object"]]),
                ("error", text.reference), ("time", number),
            ], required: [])
    }()

    private static let failure: JSONValue = [
        "description": "A failure (RFC 9457); what else it has depends on its code.",
        "type": "object",
        "properties": [
            "type": ["type": "string"], "title": ["type": "string"],
            "status": ["type": "integer"], "detail": ["type": "string"],
            "code": ["type": "string"], "may_have_taken_effect": ["type": "boolean"],
        ],
        "required": ["type", "title", "status", "detail", "code", "may_have_taken_effect"],
    ]
}
