internal import SQLite
internal import Wire

/// Why a statement could not be given its parameters.
struct ParameterFailure: Error, Equatable {
    var message: String
}

/// The parameters of one SQL text, taken by its statements from left to right.
///
/// A parameter with a name of its own (`:a`, `@a`, `$a`) takes the value of that name, or else the
/// next positional one; `?` and `?5` take positional ones. All must be used up in the end.
struct ParameterSupply {
    private let positional: [Value]
    private let named: [Statement.Named]
    private(set) var positionalUsed: Int
    /// Names that some statement asked for.
    private var usedNames: Set<String> = []

    init(_ statement: Statement, positionalUsed: Int = 0) {
        positional = statement.positional
        named = statement.named
        self.positionalUsed = positionalUsed
    }

    /// `isLast`: no statement follows in the text.
    mutating func bind(to compiled: CompiledStatement, isLast: Bool) throws(ParameterFailure) {
        // By far the most common cases need no names.
        if named.isEmpty {
            try bindPositional(to: compiled, isLast: isLast)
        } else {
            try bindNamed(to: compiled, isLast: isLast)
        }
    }

    private mutating func bindPositional(to compiled: CompiledStatement, isLast: Bool)
        throws(ParameterFailure)
    {
        let wanted = compiled.parameterCount
        let left = positional.count - positionalUsed
        try check(wanted: wanted, got: left, isLast: isLast)
        for index in 0..<wanted {
            try set(positional[positionalUsed + index], at: index + 1, of: compiled.statement)
        }
        positionalUsed += wanted
    }

    private mutating func bindNamed(to compiled: CompiledStatement, isLast: Bool)
        throws(ParameterFailure)
    {
        for value in named where !value.name.startsWithLetter {
            throw ParameterFailure(
                message: "name \"\(value.name)\" does not begin with a letter")
        }
        let wanted = compiled.parameterCount
        var sources: [Value] = []
        var used = positionalUsed
        for index in 0..<wanted {
            let name = compiled.statement.parameterName(at: index + 1).map { $0.dropFirst() }
            if let name, let value = named.last(where: { $0.name == name }) {
                usedNames.insert(value.name)
                sources.append(value.value)
            } else if used < positional.count {
                sources.append(positional[used])
                used += 1
            } else {
                throw ParameterFailure(
                    message: Self.text(
                        "not enough", wanted, positional.count - positionalUsed + named.count))
            }
        }
        if isLast {
            if let unknown = named.first(where: { !usedNames.contains($0.name) }) {
                throw ParameterFailure(
                    message: "unknown parameter name \"\(unknown.name)\"")
            }
            guard used == positional.count else {
                throw ParameterFailure(
                    message: Self.text(
                        "too many", wanted, positional.count - positionalUsed + named.count))
            }
        }
        for (index, value) in sources.enumerated() {
            try set(value, at: index + 1, of: compiled.statement)
        }
        positionalUsed = used
    }

    private func check(wanted: Int, got: Int, isLast: Bool) throws(ParameterFailure) {
        if got < wanted {
            throw ParameterFailure(message: Self.text("not enough", wanted, got))
        }
        if isLast, got > wanted {
            throw ParameterFailure(message: Self.text("too many", wanted, got))
        }
    }

    private static func text(_ amount: String, _ wanted: Int, _ got: Int) -> String {
        "\(amount) args to execute query: want \(wanted) got \(got)"
    }

    private func set(_ value: Value, at index: Int, of statement: borrowing PreparedStatement)
        throws(ParameterFailure)
    {
        do throws(SQLiteError) {
            switch value {
            case .null: try statement.bindNull(at: index)
            case .integer(let integer): try statement.bind(integer, at: index)
            case .real(let real): try statement.bind(real, at: index)
            case .text(let text): try statement.bind(text, at: index)
            case .blob(let bytes): try statement.bind(bytes, at: index)
            }
        } catch {
            throw ParameterFailure(message: error.message)
        }
    }
}

extension String {
    fileprivate var startsWithLetter: Bool {
        first.map { $0.isLetter } ?? false
    }
}
