package import ObjectStorage
package import Raft

/// Which SQLite extensions the cluster had, beside the pieces: without them what calls their functions fails in a
/// restore, and nothing else in the archive tells that it did not on the nodes. An object is a line for each of them, `HASH NAME`,
/// and is called `extensions-` and the SHA-256 of all its bytes. Nobody looks for one behind a base whose nodes had none.
extension ArchiveAccess {
    private static let prefix = "extensions-"
    private static let mostBytes = 1 << 20

    /// Says it of what follows a base from now on. The same once more is not written: there are keys, and storages, that
    /// let nobody write over what is there.
    /// - Parameters:
    ///   - extensions: by their names in the data directory.
    ///   - directory: of temporary files.
    package func note(
        extensions: [(name: String, hash: String)], behind base: BaseName,
        of cluster: ClusterID, in directory: String
    ) throws(StorageFault) {
        guard !extensions.isEmpty else { return }
        let file = try UploadFile(in: directory)
        let lines = extensions.map { "\($0.hash) \($0.name)\n" }.sorted()
        try file.add(Array(lines.joined().utf8))
        let name = Self.prefix + (try file.finish())
        let folder = "\(cluster)/\(base.text)/"
        guard try !place.list(archive: folder, stop).contains(name) else { return }
        try place.store(file, inArchive: folder + name, stop)
    }

    /// The names of all that were there behind a base at one time or another, each once.
    func extensions(
        behind base: BaseName, of cluster: ClusterID
    ) throws(StorageFault) -> [String] {
        let folder = "\(cluster)/\(base.text)/"
        var names: Set<String> = []
        for name in try place.list(archive: folder, stop) where name.hasPrefix(Self.prefix) {
            let taken = Taken()
            try place.fetch(fromArchive: folder + name, stop) { bytes throws(StorageFault) in
                guard taken.bytes.count + bytes.count <= Self.mostBytes else {
                    throw StorageFault("\(folder)\(name) is larger than any list of extensions")
                }
                taken.bytes += bytes
            }
            let digest = try ContentDigest()
            taken.bytes.withUnsafeBytes { digest.add($0) }
            guard try Self.prefix + digest.finish() == name else {
                throw StorageFault(
                    "\(folder)\(name) of \(place.name) is spoilt: its bytes have another hash than its "
                        + "name says")
            }
            for line in String(decoding: taken.bytes, as: UTF8.self).split(separator: "\n") {
                names.insert(String(line.drop { $0 != " " }.dropFirst()))
            }
        }
        return names.sorted()
    }

    /// A class, for closures can't hold what changes.
    private final class Taken {
        var bytes: [UInt8] = []
    }
}
