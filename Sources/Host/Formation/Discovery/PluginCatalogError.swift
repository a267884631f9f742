/// Why no plugin serves a mode, with what the operator needs to set it right.
package enum PluginCatalogError: Error, Sendable, CustomStringConvertible {
    case unknownMode(String, listing: PluginCatalog.Listing, directories: [String])
    case ambiguous(mode: String, String, String)
    case refused(path: String, PluginRefusal)
    case severalModes(path: String, [String])
    case modeNotInFile(path: String, mode: String, has: [String])

    package var description: String {
        switch self {
        case .unknownMode(let mode, let listing, let directories):
            Self.describe(unknown: mode, listing, directories)
        case .ambiguous(let mode, let first, let second):
            "-disco-mode \(mode) is offered by two plugins in one directory: \(first) and "
                + "\(second); remove one, or name a path"
        case .refused(let path, let why): "plugin \(path) is refused: \(why)"
        case .severalModes(let path, let modes):
            "plugin \(path) has several modes: \(modes.joined(separator: ", ")); choose one as "
                + "\(path)#\(modes.first ?? "MODE")"
        case .modeNotInFile(let path, let mode, let modes):
            "plugin \(path) has no mode \(mode), only \(modes.joined(separator: ", "))"
        }
    }

    private static func describe(
        unknown mode: String, _ listing: PluginCatalog.Listing, _ directories: [String]
    ) -> String {
        let modes = listing.modes.isEmpty ? "none" : listing.modes.joined(separator: ", ")
        var text =
            "no plugin offers -disco-mode \(mode); modes found: \(modes); directories searched: "
            + directories.joined(separator: ", ")
        for refused in listing.refused {
            text += "; \(refused.path) was refused: \(refused.why)"
        }
        return text
    }
}
