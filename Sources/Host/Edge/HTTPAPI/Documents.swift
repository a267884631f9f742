package import JSON
package import Telemetry

/// The documents of `/status`, `/debug/vars` and `/metrics`, put together from what the parts of the daemon
/// tell about themselves.
package struct Documents: Sendable {
    /// A top-level member. `value` is called where work is done that may block. Nil leaves the
    /// member out.
    package struct Section: Sendable {
        package let name: String
        package let value: @Sendable () -> JSONValue?

        package init(_ name: String, _ value: @escaping @Sendable () -> JSONValue?) {
            self.name = name
            self.value = value
        }
    }

    private let statusSections: [Section]
    private let variables: @Sendable () -> [JSONValue.Member]
    private let families: @Sendable () -> [MetricFamily]

    /// - Parameters:
    ///   - variables: called on an event loop: it must not block.
    ///   - metrics: likewise.
    package init(
        status: [Section] = [], variables: @escaping @Sendable () -> [JSONValue.Member] = { [] },
        metrics: @escaping @Sendable () -> [MetricFamily] = { [] }
    ) {
        statusSections = status
        self.variables = variables
        families = metrics
    }

    /// `/status`. A key walks down the names between its dots; it ends at the first value that is
    /// not an object, and a name that is missing gives `{}`.
    func status(key: String, pretty: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        guard !key.isEmpty else {
            Self.members(of: statusSections).sortedByName.write(to: &bytes, pretty: pretty)
            return bytes
        }
        let names = key.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let first = String(Substring(names[0]))
        // Only the sections that are asked for are gathered.
        var value = Self.members(of: statusSections.filter { $0.name == first })
        for name in names {
            guard case .object = value else { break }
            value = value[String(Substring(name))] ?? .object([])
        }
        value.sortedByName.write(to: &bytes)
        return bytes
    }

    /// `/debug/vars`: a top-level name per line, blanks after colons and commas inside.
    func variables(key: String?) -> [UInt8] {
        var members = JSONValue.object(variables()).sortedByName.members ?? []
        if let key, !key.isEmpty { members.removeAll { $0.name != key } }
        var bytes = Array("{\n".utf8)
        for (index, member) in members.enumerated() {
            if index > 0 { bytes.append(contentsOf: ",\n".utf8) }
            JSONText.append(member.name, to: &bytes)
            bytes.append(contentsOf: ": ".utf8)
            member.value.writeSpaced(to: &bytes)
        }
        bytes.append(contentsOf: "\n}\n".utf8)
        return bytes
    }

    /// `/metrics`.
    func metrics(_ format: MetricsText.Format) -> [UInt8] {
        MetricsText.render(families(), as: format)
    }

    private static func members(of sections: [Section]) -> JSONValue {
        .object(sections.compactMap { section in section.value().map { .init(section.name, $0) } })
    }
}

extension JSONValue {
    /// Objects with their members in the order of their names' bytes, at every depth.
    fileprivate var sortedByName: JSONValue {
        switch self {
        case .object(let members):
            let sorted = members.map { Member($0.name, $0.value.sortedByName) }
                .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            return .object(sorted)
        case .array(let elements): return .array(elements.map(\.sortedByName))
        default: return self
        }
    }

    fileprivate func writeSpaced(to output: inout [UInt8]) {
        guard case .object(let members) = self else {
            write(to: &output)
            return
        }
        output.append(UInt8(ascii: "{"))
        for (index, member) in members.enumerated() {
            if index > 0 { output.append(contentsOf: ", ".utf8) }
            JSONText.append(member.name, to: &output)
            output.append(contentsOf: ": ".utf8)
            member.value.writeSpaced(to: &output)
        }
        output.append(UInt8(ascii: "}"))
    }
}
