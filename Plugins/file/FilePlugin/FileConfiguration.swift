import PluginABI
package import PluginSupport

/// What the `file` mode is told.
///
///     path   absolute path of the file
///     port   port of the lines without one; default 0: the asking node's own Raft port
package struct FileConfiguration: Equatable, Sendable {
    package var path: String
    package var port: UInt16

    package static let schema = """
        {"type":"object","additionalProperties":false,"required":["path"],"properties":{\
        "path":{"type":"string"},\
        "port":{"type":"integer","minimum":0,"maximum":65535,"default":0}}}
        """

    package init(_ bytes: [UInt8], environment: (String) -> String?) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        path = try configuration.string("path")
        port = UInt16(try configuration.integer("port", in: 0...65535))
        try configuration.finish()
        // The working directory of a service is nobody's.
        guard path.hasPrefix("/"), !path.utf8.contains(0), path.utf8.count < 4096 else {
            throw configuration.wrong("path", "the absolute path of a file of addresses")
        }
    }

    /// The folder that the file is in.
    var folder: String {
        let end = path.lastIndex(of: "/") ?? path.startIndex
        return end == path.startIndex ? "/" : String(path[..<end])
    }
}
