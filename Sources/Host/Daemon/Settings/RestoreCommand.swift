/// `rqlited restore --from URL|FILE [--at INDEX|TIME] [--cluster ID] (--to FILE | --rehearse)
/// [--extensions-path LIST] [--json]`:
/// what an operator asks of an archive of the log.
package struct RestoreCommand: Equatable, Sendable {
    static let verb = "restore"

    /// An address, or the path of a configuration file.
    package let source: String
    /// An index of the log, or a moment; not looked at here. Nil: as far as the archive goes.
    package let place: String?
    /// 32 hexadecimal digits; nil: the only one that is there.
    package let cluster: String?
    /// Absolute; nil: all is done but for the file.
    package let target: String?
    /// Folders, archives and files with the SQLite extensions that the cluster has, as absolute paths.
    package let extensionPaths: [String]
    /// Results are printed as JSON.
    package let printsJSON: Bool

    struct Invalid: Error, Equatable {
        let text: String

        init(_ text: String) { self.text = "rqlited restore: \(text); see rqlited restore -help" }
    }

    init(
        parsing arguments: some Sequence<String>, workingDirectory: String
    ) throws(Invalid) {
        let (values, words) = try Self.split(arguments)
        guard let source = values["from"], !source.isEmpty else {
            throw Invalid("--from is missing: an address, or the file of -auto-backup")
        }
        guard (values["to"] == nil) == words.contains("rehearse") else {
            throw Invalid("give --to FILE, or --rehearse")
        }
        if let cluster = values["cluster"] {
            guard cluster.utf8.count == 32, cluster.allSatisfy(\.isHexDigit) else {
                throw Invalid("--cluster takes 32 hexadecimal digits, not \(cluster)")
            }
        }
        let paths = values["extensions-path"].map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        guard paths?.contains("") != true else {
            throw Invalid("--extensions-path names an empty path")
        }
        extensionPaths = (paths ?? []).map { NodeSettings.absolute($0, in: workingDirectory) }
        place = values["at"]
        self.source =
            source.contains("://") ? source : NodeSettings.absolute(source, in: workingDirectory)
        cluster = values["cluster"]?.lowercased()
        target = values["to"].map { NodeSettings.absolute($0, in: workingDirectory) }
        printsJSON = words.contains("json")
    }

    /// - Returns: what the options that take a value have, and the others that were given.
    private static func split(
        _ arguments: some Sequence<String>
    ) throws(Invalid) -> (values: [String: String], words: Set<String>) {
        var values: [String: String] = [:]
        var words: Set<String> = []
        var waiting: String?
        for argument in arguments {
            if let name = waiting {
                values[name] = argument
                waiting = nil
                continue
            }
            guard argument.hasPrefix("-") else { throw Invalid("\(argument) is not expected") }
            let word = argument.drop { $0 == "-" }
            let name = String(word.prefix { $0 != "=" })
            switch name {
            case "rehearse" where name.count == word.count, "json" where name.count == word.count:
                words.insert(name)
            case "from", "at", "to", "cluster", "extensions-path":
                guard values[name] == nil else { throw Invalid("--\(name) stands there twice") }
                if name.count == word.count {
                    waiting = name
                } else {
                    values[name] = String(word.dropFirst(name.count + 1))
                }
            default: throw Invalid("\(argument) is not known")
            }
        }
        if let waiting { throw Invalid("--\(waiting) needs a value") }
        return (values, words)
    }

    static let usage = """
        usage: rqlited restore --from URL|FILE [--at INDEX|TIME] [--cluster ID] --to FILE
                  [--extensions-path LIST] [--json]
               rqlited restore --from URL|FILE [--at INDEX|TIME] [--cluster ID] --rehearse
                  [--extensions-path LIST] [--json]

        Makes the database of an archive as it was at an entry of the log, or at a moment, and checks
        every byte that it takes. URL is file:///directory/name, s3://bucket/path?region=... or
        gs://bucket/name; FILE is that of -auto-backup. TIME is UTC, as 2026-01-31T12:00:00Z. LIST are the SQLite
        extensions of the cluster, as its nodes are told by -extensions-path.
        """
}
