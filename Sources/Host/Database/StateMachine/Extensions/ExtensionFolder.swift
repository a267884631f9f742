internal import CSQLite
internal import Glibc

/// The folder `extensions` in the data directory, into which all extensions are copied at each start,
/// from wherever the operator keeps them: what is loaded later is what was looked at.
struct ExtensionFolder {
    /// Of one file, and of all together: bytes.
    static let bytesLimit = 1 << 30
    /// Files in all sources together.
    static let countLimit = 256

    /// A file of a source.
    struct Item: Equatable {
        var name: String
        var bytes: [UInt8]
    }

    let path: String

    init(_ dataDirectory: String) { path = "\(dataDirectory)/extensions" }

    /// Empties the folder, and fills it.
    /// - Parameter sources: as `-extensions-path` names them; none: there is no folder afterwards.
    /// - Returns: the files, in the order of their names.
    func gather(_ sources: [String]) throws(ExtensionFault) -> [SQLExtensions.File] {
        try empty()
        guard !sources.isEmpty else {
            _ = rmdir(path)
            return []
        }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failed("making", path) }
        var names: [String: String] = [:]
        var left = Self.bytesLimit
        var files: [SQLExtensions.File] = []
        for source in sources {
            for item in try items(of: source, atMost: left) {
                if let other = names.updateValue(source, forKey: item.name) {
                    throw ExtensionFault(
                        "two SQLite extensions are called \(item.name): one in \(other), one in "
                            + source)
                }
                left -= item.bytes.count
                guard left >= 0, names.count <= Self.countLimit else { throw Self.tooMuch(source) }
                files.append(try keep(item))
            }
        }
        return files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    static func tooMuch(_ source: String) -> ExtensionFault {
        ExtensionFault(
            "the SQLite extensions up to \(source) are more than \(countLimit) files or "
                + "\(bytesLimit) bytes")
    }

    // MARK: Sources

    private func items(of source: String, atMost limit: Int) throws(ExtensionFault) -> [Item] {
        if Self.isFolder(source) {
            var items: [Item] = []
            var left = limit
            for name in try Self.names(in: source) {
                let file = "\(source)/\(name)"
                // Hidden files are the system's and the editors'.
                if name.hasPrefix(".") || Self.isFolder(file) { continue }
                items.append(Item(name: name, bytes: try Self.bytes(of: file, atMost: left)))
                left -= items[items.count - 1].bytes.count
            }
            return items
        }
        let bytes = try Self.bytes(of: source, atMost: limit)
        do throws(ArchiveFault) {
            if ZipArchive.recognises(bytes) {
                return try ZipArchive(bytes).files(atMost: limit, Self.countLimit)
            }
            if TarArchive.isPacked(bytes) {
                return try TarArchive(unpacking: bytes, atMost: limit).files(Self.countLimit)
            }
        } catch {
            throw ExtensionFault(
                "the archive of SQLite extensions \(source) is unfit: \(error.text)")
        }
        let name = source.utf8.split(separator: UInt8(ascii: "/")).last.flatMap { String($0) }
        return [Item(name: name ?? "extension", bytes: bytes)]
    }

    private static func isFolder(_ path: String) -> Bool {
        var about = stat()
        return stat(path, &about) == 0 && about.st_mode & S_IFMT == S_IFDIR
    }

    private static func names(in folder: String) throws(ExtensionFault) -> [String] {
        do throws(DirectoryError) {
            return try DatabaseDirectory.names(in: folder)
        } catch {
            throw failed("listing", folder)
        }
    }

    private static func bytes(of file: String, atMost limit: Int) throws(ExtensionFault) -> [UInt8]
    {
        // A pipe without a writer must not hold the start.
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failed("opening", file) }
        defer { close(descriptor) }
        var about = stat()
        guard fstat(descriptor, &about) == 0 else { throw failed("reading", file) }
        guard about.st_mode & S_IFMT == S_IFREG else {
            throw ExtensionFault("the SQLite extension \(file) is no file")
        }
        guard about.st_size <= limit else { throw tooMuch(file) }
        guard let bytes = LoadFile.bytes(of: descriptor, at: 0, Int(about.st_size)),
            bytes.count == Int(about.st_size)
        else { throw failed("reading", file) }
        return bytes
    }

    // MARK: The folder

    private func empty() throws(ExtensionFault) {
        guard access(path, F_OK) == 0 else { return }
        for name in try Self.names(in: path) {
            guard unlink("\(path)/\(name)") == 0 || errno == ENOENT else {
                throw failed("deleting", "\(path)/\(name)")
            }
        }
    }

    private func keep(_ item: Item) throws(ExtensionFault) -> SQLExtensions.File {
        let file = "\(path)/\(item.name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o700)
        guard descriptor >= 0 else { throw failed("making", file) }
        defer { close(descriptor) }
        var done = 0
        while done < item.bytes.count {
            let count = item.bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            guard count > 0 else { throw failed("writing", file) }
            done += count
        }
        return SQLExtensions.File(
            path: file, name: item.name, hash: Self.hash([Array(item.name.utf8), item.bytes]))
    }

    /// 16 digits over parts and their lengths: nobody forges extensions.
    static func hash(_ parts: [[UInt8]]) -> String {
        var digest = csqlite_digest()
        for part in parts {
            part.withUnsafeBytes {
                csqlite_digest_bytes(&digest, $0.baseAddress, UInt64($0.count))
            }
        }
        let digits = String(digest.low ^ digest.high, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func failed(_ operation: String, _ path: String) -> ExtensionFault {
        Self.failed(operation, path)
    }

    private static func failed(_ operation: String, _ path: String) -> ExtensionFault {
        ExtensionFault("\(operation) \(path) failed: \(String(cString: strerror(errno)))")
    }
}

/// Why an archive can't be used, as a continuation.
struct ArchiveFault: Error, Equatable {
    let text: String

    init(_ text: String) { self.text = text }

    /// What a file of an archive is called here: folders are left out.
    /// - Returns: nil for what is no name of a file.
    static func name(of path: [UInt8]) throws(ArchiveFault) -> String? {
        guard let last = path.split(separator: UInt8(ascii: "/")).last,
            path.last != UInt8(ascii: "/")
        else { return nil }
        let name = String(decoding: last, as: UTF8.self)
        guard name.utf8.elementsEqual(last), !last.contains(0), last.count <= 255 else {
            throw ArchiveFault("a name in it is no name of a file")
        }
        // Hidden files are the system's: also those in which macOS keeps what tar can't.
        return name.hasPrefix(".") ? nil : name
    }
}
