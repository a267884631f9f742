import Discovery
import JSON
import Settings

/// What `rqlited disco list` prints: every mode that a plugin offers, in order of precedence, and
/// what is not taken, from the files' notes alone.
struct PluginListing {
    private struct Row {
        var mode: PluginMode
        var path: String
        /// The file that is taken instead; nil if it is this one.
        var shadowedBy: String?
        /// Of the note: what the plugin was built against.
        var abi: String
        var identity: Result<PluginIdentity, PluginError>?
    }

    private var rows: [Row] = []
    private let refused: [PluginCatalog.Refused]
    private let directories: [String]

    /// - Parameter loads: whether each plugin is asked what it is, in a process of its own.
    init(_ catalog: PluginCatalog, loads: Bool, timeout: Duration) {
        let listing = catalog.scan()
        refused = listing.refused
        directories = catalog.directories
        for file in listing.plugins {
            for mode in file.note.modes {
                let location = PluginLocation(path: file.path, mode: mode)
                var row = Row(
                    mode: mode, path: file.path,
                    shadowedBy: rows.first { $0.mode.name == mode.name }?.path,
                    abi: "\(file.note.version.major).\(file.note.version.minor)")
                if loads { row.identity = Self.identity(of: location, timeout) }
                rows.append(row)
            }
        }
    }

    private static func identity(
        of location: PluginLocation, _ timeout: Duration
    ) -> Result<PluginIdentity, PluginError> {
        Result { () throws(PluginError) in
            let process = PluginProcess(
                arguments: Invocation.pluginServerArguments, variables: PluginVariables())
            return try PluginProbe.identity(of: location, in: process, timeout: timeout)
        }
    }

    var text: [String] {
        let width = rows.map(\.mode.name.utf8.count).max() ?? 0
        var lines = rows.map { row in
            let name =
                row.mode.name + String(repeating: " ", count: width - row.mode.name.utf8.count)
            var line = "\(name)  \(row.mode.role)  \(row.path)"
            switch row.identity {
            case nil: line += "  ABI \(row.abi)"
            case .success(let plugin): line += "  \(plugin.id) \(plugin.version)"
            case .failure(let error): line += "  does not load: \(error)"
            }
            if let other = row.shadowedBy { line += "  (shadowed by \(other))" }
            return line
        }
        lines += refused.map { "refused: \($0.path): \($0.why)" }
        lines.append("searched: \(directories.joined(separator: ", "))")
        return lines
    }

    var document: JSONValue {
        .object([
            .init("modes", .array(rows.map(Self.document))),
            .init(
                "refused",
                .array(
                    refused.map {
                        .object([
                            .init("path", .string($0.path)), .init("why", .string("\($0.why)")),
                        ])
                    })),
            .init("directories", .array(directories.map { .string($0) })),
        ])
    }

    private static func document(_ row: Row) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("mode", .string(row.mode.name)), .init("role", .string("\(row.mode.role)")),
            .init("path", .string(row.path)), .init("abi", .string(row.abi)),
            .init("shadowed_by", row.shadowedBy.map { .string($0) } ?? .null),
        ]
        switch row.identity {
        case nil: break
        case .failure(let error): members.append(.init("error", .string("\(error)")))
        case .success(let plugin):
            members += [
                .init("id", .string(plugin.id)), .init("version", .string(plugin.version)),
                .init("vendor", .string(plugin.vendor)),
                .init("license", .string(plugin.license)),
            ]
        }
        return .object(members)
    }
}
