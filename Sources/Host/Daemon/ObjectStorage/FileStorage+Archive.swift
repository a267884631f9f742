internal import Glibc
internal import Telemetry

/// The archive in a directory: files in directories below it, beside the copy.
extension FileStorage {
    private var folder: String { "\(settings.directory)/\(ArchivePath.of(settings.name))" }

    func list(
        archive folder: String, _ stop: StopFlag
    ) throws(StorageFault) -> [String] {
        let path = self.folder + folder
        var names: [String] = []
        for name in try DirectoryNames.all(of: path) where !name.hasPrefix(".") {
            var about = stat()
            guard stat(path + name, &about) == 0 else {
                // Somebody took it away. What can't be looked at is there, and would be missed.
                if errno == ENOENT { continue }
                throw StorageFault("looking at \(path)\(name)", code: errno)
            }
            names.append(about.st_mode & S_IFMT == S_IFDIR ? name + "/" : name)
        }
        return names
    }

    func store(
        _ file: UploadFile, inArchive name: String, _ stop: StopFlag
    ) throws(StorageFault) {
        let path = folder + name
        let end = path.lastIndex(of: "/") ?? path.startIndex
        try makeDirectory(String(path[..<end]))
        // Also where no copy goes, as beside another cluster's. Before each piece it would be a listing of all copies.
        if name.hasSuffix("/base") { removeAbandoned(at: .now()) }
        try put(file, path, stop)
        // The folders' own entries, which may be new.
        var parent = path[..<end]
        while parent.utf8.count > settings.directory.utf8.count,
            let next = parent.lastIndex(of: "/")
        {
            parent = parent[..<next]
            try WholeFile.sync(String(parent))
        }
    }

    func fetch(
        fromArchive name: String, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        try get(folder + name) { bytes throws(StorageFault) in
            guard !stop.isRaised else { throw StorageFault("\(name): given up").unseen }
            try receive(bytes)
        }
    }
}
