package import ObjectStorage
package import Raft

/// What carried out what follows a base, beside the pieces: nothing else in the archive tells that a restore does it with other
/// programs. Objects of plain text, called by a word and the SHA-256 of all their bytes.
///
/// - `extensions-`: which SQLite extensions the cluster had, a line for each, `HASH NAME`: without them what calls their functions
///   fails in a restore, and did not on the nodes. Nobody looks for one behind a base whose nodes had none.
/// - `engine-`: what nodes tell each other of their SQLite and of this program's own rules for statements, in one line.
extension ArchiveAccess {
    private static let extensionsPrefix = "extensions-"
    private static let enginePrefix = "engine-"
    private static let mostBytes = 1 << 20

    /// Says it of what follows a base from now on. The same once more is not written: there are keys, and storages, that
    /// let nobody write over what is there.
    /// - Parameters:
    ///   - extensions: by their names in the data directory.
    ///   - engine: as nodes tell each other; nil: it is not said.
    ///   - directory: of temporary files.
    package func note(
        extensions: [(name: String, hash: String)], engine: String? = nil, behind base: BaseName,
        of cluster: ClusterID, in directory: String
    ) throws(StorageFault) {
        var texts: [(prefix: String, text: String)] = []
        if !extensions.isEmpty {
            let lines = extensions.map { "\($0.hash) \($0.name)\n" }.sorted()
            texts.append((Self.extensionsPrefix, lines.joined()))
        }
        if let engine { texts.append((Self.enginePrefix, engine)) }
        guard !texts.isEmpty else { return }
        let folder = "\(cluster)/\(base.text)/"
        let there = try place.list(archive: folder, stop)
        for (prefix, text) in texts {
            let file = try UploadFile(in: directory)
            try file.add(Array(text.utf8))
            let name = prefix + (try file.finish())
            if there.contains(name) { continue }
            try place.store(file, inArchive: folder + name, stop)
        }
    }

    /// The names of all that were there behind a base at one time or another, each once.
    func extensions(
        behind base: BaseName, of cluster: ClusterID
    ) throws(StorageFault) -> [String] {
        var names: Set<String> = []
        for text in try notes(Self.extensionsPrefix, behind: base, of: cluster) {
            for line in text.split(separator: "\n") {
                names.insert(String(line.drop { $0 != " " }.dropFirst()))
            }
        }
        return names.sorted()
    }

    /// What leaders said of themselves behind a base, each once; nothing: they were of a version that says nothing.
    func engines(
        behind base: BaseName, of cluster: ClusterID
    ) throws(StorageFault) -> [String] {
        try notes(Self.enginePrefix, behind: base, of: cluster).map { text in
            // It is shown, and whoever may write there wrote it.
            String(
                decoding: text.utf8.prefix(16 << 10).map { (0x20...0x7E).contains($0) ? $0 : 0x20 },
                as: UTF8.self)
        }.sorted()
    }

    /// The texts of all objects whose names begin so.
    private func notes(
        _ prefix: String, behind base: BaseName, of cluster: ClusterID
    ) throws(StorageFault) -> [String] {
        let folder = "\(cluster)/\(base.text)/"
        var texts: [String] = []
        for name in try place.list(archive: folder, stop) where name.hasPrefix(prefix) {
            let taken = Taken()
            try place.fetch(fromArchive: folder + name, stop) { bytes throws(StorageFault) in
                guard taken.bytes.count + bytes.count <= Self.mostBytes else {
                    throw StorageFault("\(folder)\(name) is larger than any that nodes make")
                }
                taken.bytes += bytes
            }
            let digest = try ContentDigest()
            taken.bytes.withUnsafeBytes { digest.add($0) }
            guard try prefix + digest.finish() == name else {
                throw StorageFault(
                    "\(folder)\(name) of \(place.name) is spoilt: its bytes have another hash than its "
                        + "name says")
            }
            texts.append(String(decoding: taken.bytes, as: UTF8.self))
        }
        return texts
    }

    /// A class, for closures can't hold what changes.
    private final class Taken {
        var bytes: [UInt8] = []
    }
}
