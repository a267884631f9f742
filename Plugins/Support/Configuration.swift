import JSON
import PluginABI

/// The configuration of a stock plugin: one JSON object, after variables are replaced.
///
/// As in rqlite, names match in any letter case, of several members with one name the last counts,
/// `null` stands for "not given", and so do the empty string and 0. Not as in rqlite, a member that
/// nobody asked for is an error, because it is a misspelling.
package struct Configuration {
    private let members: [JSONValue.Member]
    private var known: [String] = []

    package init(
        _ bytes: [UInt8], environment: (String) -> String?
    ) throws(CallFailure) {
        guard bytes.contains(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else {
            members = []
            return
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: Expansion.expand(bytes, environment: environment))
        } catch {
            throw CallFailure(
                RQD_CONFIG, "the discovery configuration, with variables replaced: \(error)")
        }
        switch value {
        case .null: members = []
        case .object(let found): members = found
        default:
            throw CallFailure(RQD_CONFIG, "the discovery configuration must be one JSON object")
        }
    }

    package mutating func string(_ name: String, default: String) throws(CallFailure) -> String {
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

    package mutating func strings(_ name: String) throws(CallFailure) -> [String] {
        let value = value(name)
        if value == .null { return [] }
        guard let elements = value.array else { throw wrong(name, "a list of strings") }
        let texts = elements.compactMap(\.string)
        guard texts.count == elements.count else { throw wrong(name, "a list of strings") }
        return texts
    }

    /// Comes last, when all known members have been asked for.
    package func finish() throws(CallFailure) {
        let strangers = members.map(\.name).filter { !known.contains($0.lowercased()) }
        guard let first = strangers.first else { return }
        throw CallFailure(
            RQD_CONFIG,
            "the discovery configuration has the unknown member \"\(first)\"; known are "
                + known.joined(separator: ", "))
    }

    private mutating func value(_ name: String) -> JSONValue {
        known.append(name)
        return members.last { $0.name.lowercased() == name && $0.value != .null }?.value ?? .null
    }

    private func wrong(_ name: String, _ expected: String) -> CallFailure {
        CallFailure(
            RQD_CONFIG, "the discovery configuration's member \"\(name)\" must be \(expected)")
    }
}
