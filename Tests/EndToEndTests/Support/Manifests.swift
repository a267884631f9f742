import Foundation

/// The YAML below `packaging/kubernetes`, read by a YAML parser that nobody here wrote.
enum Manifests {
    static let folder = "\(ExamplePlugins.root.path)/packaging/kubernetes"

    /// The documents of a file.
    static func read(_ path: String) throws -> [JSON] {
        let program = """
            import json, sys, yaml
            print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))
            """
        // Debian's own, for which scripts/test installs the parser; another may come first on PATH.
        let text = try run("/usr/bin/python3", "-c", program, "\(folder)/\(path)")
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return JSON(value).array ?? []
    }

    /// The only document of a file.
    static func document(_ path: String) throws -> JSON {
        let documents = try read(path)
        guard documents.count == 1 else { throw CocoaError(.fileReadCorruptFile) }
        return documents[0]
    }

    /// What an overlay adds: the arguments of the container.
    static func arguments(overlay: String) throws -> [String] {
        let operation = try document("overlays/\(overlay)/arguments.yaml")[0]
        return (operation["value"].array ?? []).compactMap(\.string)
    }
}
