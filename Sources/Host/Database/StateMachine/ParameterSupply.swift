internal import SQLite
internal import Wire

/// Why a statement could not be given its parameters.
struct ParameterFailure: Error, Equatable {
    var message: String
    /// What SQLite said, which may be about the machine.
    var cause: SQLiteError?
}

/// The parameters of one SQL text, taken by its statements from left to right.
///
/// A parameter with a name of its own (`:a`, `@a`, `$a`) takes the value of that name, or else the
/// next positional one; `?` and `?5` take positional ones. All must be used up in the end.
struct ParameterSupply {
    private let positional: [Value]
    let named: [Statement.Named]
    private(set) var positionalUsed: Int
    /// Where in `named` the value of a name stands: the last one counts. Names differ where their
    /// bytes differ.
    private let places: [ByteText: Int]
    /// Why the names can't be used, whichever statement asks.
    private let fault: ParameterFailure?
    /// By place in `named`: some statement asked for the name.
    private var isUsed: [Bool]

    /// - Parameters:
    ///   - positionalUsed: by the statements in front of `offset`.
    ///   - offset: where the text goes on, in bytes: those in front of it were carried out before a restart, or before there was
    ///     no room.
    init(_ statement: Statement, positionalUsed: Int = 0, from offset: Int = 0) {
        positional = statement.positional
        named = statement.named
        self.positionalUsed = positionalUsed
        guard !named.isEmpty else {
            isUsed = []
            places = [:]
            fault = nil
            return
        }
        isUsed = Array(repeating: false, count: named.count)
        var places: [ByteText: Int] = [:]
        places.reserveCapacity(named.count)
        for (place, value) in named.enumerated() { places[ByteText(value.name.utf8)] = place }
        self.places = places
        fault = named.first { !$0.name.startsWithLetter }.map {
            ParameterFailure(message: "name \"\($0.name)\" does not begin with a letter")
        }
        if offset > 0 { noteNames(of: statement.sql, before: offset) }
    }

    /// What these statements asked for is no unknown name.
    private mutating func noteNames(of sql: String, before offset: Int) {
        var copy = sql
        let asked = copy.withUTF8 {
            SQLParameter.names(
                in: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0).prefix(offset)))
        }
        for name in asked {
            if let place = places[name] { isUsed[place] = true }
        }
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
            try set(positional[positionalUsed + index], at: index + 1, of: compiled)
        }
        positionalUsed += wanted
    }

    private mutating func bindNamed(to compiled: CompiledStatement, isLast: Bool)
        throws(ParameterFailure)
    {
        if let fault { throw fault }
        let wanted = compiled.parameterCount
        var sources: [Value] = []
        sources.reserveCapacity(wanted)
        var used = positionalUsed
        for name in compiled.parameterNames {
            if let name, let place = places[name] {
                isUsed[place] = true
                sources.append(named[place].value)
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
            if let unknown = firstUnused {
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
            try set(value, at: index + 1, of: compiled)
        }
        positionalUsed = used
    }

    /// A name given more than once is used when its last value is.
    private var firstUnused: Statement.Named? {
        named.first { value in places[ByteText(value.name.utf8)].map { !isUsed[$0] } ?? true }
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

    private func set(_ value: Value, at index: Int, of compiled: CompiledStatement)
        throws(ParameterFailure)
    {
        if compiled.facts.usesHitCounts, compiled.facts.formatParameters.contains(index),
            FormatRule.isTooLong(value)
        {
            throw ParameterFailure(message: FormatRule.text)
        }
        do throws(SQLiteError) {
            switch value {
            case .null: try compiled.statement.bindNull(at: index)
            case .integer(let integer): try compiled.statement.bind(integer, at: index)
            case .real(let real): try compiled.statement.bind(real, at: index)
            case .text(let text): try compiled.statement.bind(text, at: index)
            case .blob(let bytes): try compiled.statement.bind(bytes, at: index)
            }
        } catch {
            throw ParameterFailure(message: error.message, cause: error)
        }
    }
}

/// A text that is compared by its bytes, as SQLite does: Swift's own takes texts for equal that are
/// the same only to a reader's eye.
struct ByteText: Hashable, Sendable {
    let bytes: [UInt8]

    init(_ utf8: some Sequence<UInt8>) {
        bytes = Array(utf8)
    }
}

extension String {
    fileprivate var startsWithLetter: Bool {
        first.map { $0.isLetter } ?? false
    }
}
