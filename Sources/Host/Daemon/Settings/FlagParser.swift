/// Reads a command line as Go's `flag` package does: `-name value`, `-name=value`, `--name`; only
/// the `=` form gives a Boolean a value; the last of repeated flags wins; what stands behind the
/// first argument without a dash is positional.
struct FlagParser {
    enum Failure: Error, Equatable {
        /// `-h` and its forms, which are not flags of the table.
        case helpRequested
        case invalid(String)
    }

    struct Result {
        /// What the operator typed, by flag.
        fileprivate(set) var given: [String: String] = [:]
        fileprivate(set) var positional: [String] = []
        fileprivate let defaults: [String: Flag]
    }

    static func parse(_ arguments: [String], flags: [Flag] = Flag.all) throws(Failure) -> Result {
        let table = Dictionary(flags.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var result = Result(defaults: table)
        var rest = arguments[...]
        while let argument = rest.first {
            if !argument.hasPrefix("-") || argument == "-" { break }
            rest = rest.dropFirst()
            if argument == "--" { break }
            let (name, attached) = try split(argument)
            guard let flag = table[name] else {
                if name == "help" || name == "h" { throw .helpRequested }
                throw .invalid(
                    "flag provided but not defined: -\(name)"
                        + (NearestName.of(name, among: flags.map(\.name))
                            .map { " (did you mean -\($0)?)" } ?? ""))
            }
            let value: String
            if let attached {
                value = attached
            } else if flag.kind == .boolean {
                value = "true"
            } else if let next = rest.popFirst() {
                value = next
            } else {
                throw .invalid("flag needs an argument: -\(name)")
            }
            try check(value, for: flag)
            result.given[name] = value
        }
        result.positional = Array(rest)
        return result
    }

    private static func split(_ argument: String) throws(Failure) -> (String, String?) {
        let body = argument.dropFirst(argument.hasPrefix("--") ? 2 : 1)
        guard let first = body.first, first != "-", first != "=" else {
            throw .invalid("bad flag syntax: \(argument)")
        }
        guard let equals = body.firstIndex(of: "=") else { return (String(body), nil) }
        return (String(body[..<equals]), String(body[body.index(after: equals)...]))
    }

    /// How a value is written.
    private static func hint(_ kind: Flag.Kind) -> String {
        switch kind {
        case .string: ""
        case .boolean: " (true or false)"
        case .integer, .unsigned: " (a whole number)"
        case .duration: " (a time with its unit: 500ms, 10s, 1h30m)"
        }
    }

    private static func check(_ value: String, for flag: Flag) throws(Failure) {
        do {
            switch flag.kind {
            case .string: break
            case .boolean: _ = try GoLiteral.boolean(value)
            case .integer: _ = try GoLiteral.integer(value)
            case .unsigned: _ = try GoLiteral.unsigned(value)
            case .duration: _ = try GoLiteral.duration(value)
            }
        } catch {
            let what = error == .range ? "value out of range" : "parse error\(hint(flag.kind))"
            throw .invalid(
                flag.kind == .boolean
                    ? "invalid boolean value \"\(value)\" for -\(flag.name): \(what)"
                    : "invalid value \"\(value)\" for flag -\(flag.name): \(what)")
        }
    }
}

/// Typed access; every value was checked while parsing, and every default by a test.
extension FlagParser.Result {
    func isGiven(_ name: String) -> Bool { given[name] != nil }

    /// As typed, else the default's text.
    func text(_ name: String) -> String {
        if let value = given[name] { return value }
        guard let flag = defaults[name] else { preconditionFailure("no flag -\(name)") }
        return flag.defaultText
    }

    /// Nil when empty, which means "not set".
    func optionalText(_ name: String) -> String? {
        let value = text(name)
        return value.isEmpty ? nil : value
    }

    func list(_ name: String, separator: Character = ",") -> [String] {
        guard let text = optionalText(name) else { return [] }
        return text.split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }

    func boolean(_ name: String) -> Bool {
        value(name, GoLiteral.boolean)
    }

    func integer(_ name: String) -> Int {
        Int(value(name, GoLiteral.integer))
    }

    /// Clamped to what an `Int` holds: no size or count comes near.
    func unsigned(_ name: String) -> Int {
        Int(clamping: value(name, GoLiteral.unsigned))
    }

    func duration(_ name: String) -> Duration {
        value(name, GoLiteral.duration)
    }

    private func value<Value>(
        _ name: String, _ read: (String) throws(GoLiteral.Failure) -> Value
    ) -> Value {
        let text = text(name)
        do {
            return try read(text)
        } catch {
            preconditionFailure("-\(name) was accepted with \"\(text)\"")
        }
    }
}
