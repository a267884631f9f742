import JSON
import PluginABI

/// The configuration of a stock plugin: one JSON object, after variables are replaced.
///
/// As in rqlite, names match in any letter case, of several members with one name the last counts,
/// `null` stands for "not given", and so do the empty string and 0. Not as in rqlite, a member that
/// nobody asked for is an error, because it is a misspelling.
package struct Configuration {
    /// Whether there was any text: to some plugins `{}` is another thing than nothing.
    package let isGiven: Bool
    /// What the operator should know although it is no error; for the log, once.
    package private(set) var notices: [String] = []

    private let members: [JSONValue.Member]
    /// "tls." inside the member of that name.
    private let path: String
    private var known: [String] = []
    /// Variables in the text that the environment has not, which may be why a member is wrong.
    private let unset: [String]

    package init(
        _ bytes: [UInt8], environment: (String) -> String?
    ) throws(CallFailure) {
        path = ""
        isGiven = bytes.contains { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        guard isGiven else {
            members = []
            unset = []
            return
        }
        let value: JSONValue
        let expanded = Expansion.expand(bytes, environment: environment)
        unset = expanded.unset
        do {
            value = try JSONValue(parsing: expanded.text)
        } catch {
            throw CallFailure(
                RQD_CONFIG,
                "the discovery configuration, with variables replaced: \(error)"
                    + Self.hint(unset))
        }
        switch value {
        case .null: members = []
        case .object(let found): members = found
        default:
            throw CallFailure(RQD_CONFIG, "the discovery configuration must be one JSON object")
        }
    }

    private init(members: [JSONValue.Member], path: String, unset: [String]) {
        isGiven = true
        self.unset = unset
        self.members = members
        self.path = path
    }

    package mutating func string(
        _ name: String, default: String = ""
    ) throws(CallFailure) -> String {
        switch value(name) {
        case .null, .string(""): return `default`
        case .string(let text): return text
        default: throw wrong(name, "a string")
        }
    }

    package mutating func integer(
        _ name: String, in range: ClosedRange<Int64>
    ) throws(CallFailure) -> Int64 {
        let value = value(name)
        if value == .null { return 0 }
        guard let integer = value.integer, integer == 0 || range.contains(integer) else {
            throw wrong(name, "an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    package mutating func bool(_ name: String) throws(CallFailure) -> Bool {
        let value = value(name)
        if value == .null { return false }
        guard let bool = value.bool else { throw wrong(name, "true or false") }
        return bool
    }

    package mutating func strings(_ name: String) throws(CallFailure) -> [String] {
        let value = value(name)
        if value == .null { return [] }
        guard let elements = value.array else { throw wrong(name, "a list of strings") }
        let texts = elements.compactMap(\.string)
        guard texts.count == elements.count else { throw wrong(name, "a list of strings") }
        return texts
    }

    /// A member that is an object of texts, by names of the operator's own choice, in their order.
    package mutating func texts(
        _ name: String
    ) throws(CallFailure) -> [(name: String, value: String)] {
        let value = value(name)
        if value == .null { return [] }
        guard let members = value.members else { throw wrong(name, "an object of texts") }
        var texts: [(name: String, value: String)] = []
        for member in members {
            guard let text = member.value.string else { throw wrong(name, "an object of texts") }
            texts.append((member.name, text))
        }
        return texts
    }

    /// A length of time in nanoseconds; 0 if it is not given. Written as a number of nanoseconds, or
    /// as text: "5s", "250ms", "1m30s". One below 100 ms is raised to it, with a notice: it was meant
    /// as milliseconds.
    package mutating func nanoseconds(_ name: String) throws(CallFailure) -> UInt64 {
        let written = value(name)
        let value: UInt64?
        switch written {
        case .null, .string(""): return 0
        case .string(let text): value = DurationText.nanoseconds(text)
        default: value = written.integer.flatMap { UInt64(exactly: $0) }
        }
        guard let value else {
            throw wrong(name, "a number of nanoseconds, or a text like \"5s\" or \"250ms\"")
        }
        guard value > 0, value < DurationText.shortest else { return value }
        notices.append(
            "the discovery configuration's member \"\(path)\(name)\" is \(value) ns and is taken as "
                + "100 ms: numbers are nanoseconds, write \"5s\" or \"250ms\" for other units")
        return DurationText.shortest
    }

    /// A member that is an object; nil if it is not given. The body asks for all of its members.
    package mutating func object<Result>(
        _ name: String, _ body: (inout Configuration) throws(CallFailure) -> Result
    ) throws(CallFailure) -> Result? {
        let value = value(name)
        if value == .null { return nil }
        guard let found = value.members else { throw wrong(name, "an object") }
        var inner = Configuration(members: found, path: "\(path)\(name).", unset: unset)
        let result = try body(&inner)
        try inner.finish()
        notices += inner.notices
        return result
    }

    /// Members that rqlite accepts and that have no meaning here; one notice names those that are
    /// given.
    package mutating func ignore(_ names: [String], because reason: String) {
        let given = names.filter { value($0) != .null }
        guard !given.isEmpty else { return }
        let list = given.map { "\"\(path)\($0)\"" }.joined(separator: ", ")
        notices.append("the discovery configuration's \(list) changes nothing: \(reason)")
    }

    /// Comes last, when all known members have been asked for.
    package func finish() throws(CallFailure) {
        let names = Set(known.map { $0.lowercased() })
        guard let first = members.map(\.name).first(where: { !names.contains($0.lowercased()) })
        else { return }
        throw CallFailure(
            RQD_CONFIG,
            "the discovery configuration has the unknown member \"\(path)\(first)\"; known are "
                + known.joined(separator: ", "))
    }

    /// For a plugin's own rules: the error that names the member.
    package func wrong(_ name: String, _ expected: String) -> CallFailure {
        CallFailure(
            RQD_CONFIG,
            "the discovery configuration's member \"\(path)\(name)\" must be \(expected)"
                + Self.hint(unset))
    }

    private static func hint(_ unset: [String]) -> String {
        switch unset.count {
        case 0: ""
        case 1: " (the variable $\(unset[0]) is not set)"
        default: " (the variables \(unset.map { "$\($0)" }.joined(separator: ", ")) are not set)"
        }
    }

    private mutating func value(_ name: String) -> JSONValue {
        known.append(name)
        let lowercased = name.lowercased()
        return members.last { $0.name.lowercased() == lowercased && $0.value != .null }?.value
            ?? .null
    }
}
