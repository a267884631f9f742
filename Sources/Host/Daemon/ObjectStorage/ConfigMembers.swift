internal import JSON
internal import Settings

/// One object of a configuration file, member by member: names in any letter case, of several with one
/// name the last, null as if it were not there. At the end, what nobody asked for is refused.
struct ConfigMembers {
    /// For texts: `sub.` or nothing.
    private let prefix: String
    private let members: [JSONValue.Member]
    private var known: [String] = []

    init(_ value: JSONValue, prefix: String = "") throws(StorageFault) {
        guard let members = value.members else {
            throw StorageFault(
                prefix.isEmpty
                    ? "the configuration must be one JSON object"
                    : "\(prefix.dropLast()) must be an object")
        }
        self.members = members
        self.prefix = prefix
    }

    mutating func value(_ name: String) -> JSONValue? {
        known.append(name)
        let found = members.last { $0.name.lowercased() == name }?.value
        return found == .null ? nil : found
    }

    /// Empty counts as absent.
    mutating func text(_ name: String) throws(StorageFault) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.string else { throw wrong(name, "a text") }
        guard !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw wrong(name, "a text without control characters")
        }
        return text.isEmpty ? nil : text
    }

    mutating func requiredText(_ name: String) throws(StorageFault) -> String {
        guard let text = try text(name) else {
            throw StorageFault("\(prefix)\(name) is missing: is a variable not set?")
        }
        return text
    }

    mutating func boolean(_ name: String) throws(StorageFault) -> Bool {
        guard let value = value(name) else { return false }
        guard let bool = value.bool else { throw wrong(name, "true or false") }
        return bool
    }

    mutating func integer(_ name: String) throws(StorageFault) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let integer = value.integer else { throw wrong(name, "a whole number") }
        return integer
    }

    /// Go's words, `1h30m`, or nanoseconds. A millisecond at least.
    mutating func duration(_ name: String) throws(StorageFault) -> Duration? {
        guard let value = value(name) else { return nil }
        var duration: Duration?
        if let text = value.string {
            do throws(GoLiteral.Failure) {
                duration = try GoLiteral.duration(text)
            } catch {
                duration = nil
            }
        } else {
            duration = value.integer.map { .nanoseconds($0) }
        }
        guard let duration else { throw wrong(name, "a duration, as \"5m\", or nanoseconds") }
        // Who means seconds would have the storage asked without a pause.
        guard duration >= .milliseconds(1) else {
            throw wrong(name, "a millisecond at least, and a number is nanoseconds")
        }
        return duration
    }

    /// - Throws: where a member is there that nobody asked for.
    func end() throws(StorageFault) {
        let unknown = members.first { !known.contains($0.name.lowercased()) }
        guard let unknown else { return }
        throw StorageFault(
            "\(prefix)\(unknown.name) is unknown; known are \(known.joined(separator: ", "))")
    }

    func wrong(_ name: String, _ what: String) -> StorageFault {
        StorageFault("\(prefix)\(name) must be \(what)")
    }
}
