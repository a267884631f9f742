internal import CSQLite
internal import Glibc
internal import Gzip
internal import Raft
internal import SQLite
package import Wire

/// Looks at what a client wants to load, and makes of it what goes into the log: SQL as it is, a
/// database file checked and in the form that every node takes over. Either may come packed by gzip.
///
/// A file is refused where it is damaged, where the daemon's rules refuse what its schema holds, and
/// where it is too large. It calls SQLite and takes its time: never on an event loop. Thread-safe.
package struct LoadReader: Sendable {
    private let directory: DatabaseDirectory
    /// Bytes that an entry has for a packed file, or for SQL.
    private let packedBytes: Int
    private let partBytes: Int
    private let newID: @Sendable () -> LoadID

    /// - Parameters:
    ///   - path: the data directory.
    ///   - packedBytes: what a packed file, or SQL, may have to go into the log as one entry, in
    ///     bytes.
    ///   - partBytes: what each part has of a file that is larger, in bytes.
    ///   - newID: draws the name of a load that goes in parts.
    package init(
        directory path: String, packedBytes: Int, partBytes: Int = LoadPart.size,
        newID: @escaping @Sendable () -> LoadID
    ) {
        directory = DatabaseDirectory(path: path)
        self.packedBytes = packedBytes
        self.partBytes = partBytes
        self.newID = newID
    }

    /// For a body that comes in parts.
    package func begin() -> LoadUpload { LoadUpload(self) }

    private static func isDatabase(_ bytes: some Collection<UInt8>) -> Bool {
        bytes.count >= 14 && bytes.starts(with: "SQLite format".utf8)
    }

    /// - Parameters:
    ///   - file: the whole body, unpacked.
    ///   - flag: ends it.
    func content(of file: LoadFile, unless flag: LoadFlag) throws(LoadRefusal) -> LoadContent {
        if flag.isRaised { throw LoadRefusal(LoadFault.unwanted) }
        let start = try bytes(of: file, upTo: 16)
        if Self.isDatabase(start) { return try image(of: file.path, unless: flag) }
        guard file.byteCount <= packedBytes else {
            return try database(ofDump: file, unless: flag)
        }
        let text = try bytes(of: file, upTo: file.byteCount)
        return Self.sql(text)
    }

    /// A new one, for a body.
    func file() throws(LoadRefusal) -> LoadFile {
        let folder = directory.temporaryFiles
        mkdir(folder, 0o700)
        guard let path = DatabaseDirectory.makeTemporaryFile("loading", in: folder) else {
            throw LoadRefusal(
                unable: "no file can be made in \(folder): " + String(cString: strerror(errno)))
        }
        do throws(LoadFault) {
            return try LoadFile(path, keepsRoom: true)
        } catch {
            throw LoadRefusal(error)
        }
    }

    private func bytes(of file: LoadFile, upTo limit: Int) throws(LoadRefusal) -> [UInt8] {
        var bytes: [UInt8] = []
        do throws(LoadFault) {
            try LoadFile.read(file.path) { part in
                bytes += part.prefix(limit - bytes.count)
                return bytes.count < limit
            }
        } catch {
            throw LoadRefusal(error)
        }
        return bytes
    }

    // MARK: SQL

    /// A dump without words about transactions is run as one, so that it is loaded as a whole or
    /// not at all.
    static func sql(_ bytes: [UInt8]) -> LoadContent {
        guard let whole = String(validating: bytes, as: UTF8.self) else { return .unfit(notUTF8) }
        let text = withoutLastWord(whole)
        return .sql(text, isTransaction: RequestScan.fitsOneTransaction(text))
    }

    /// Replaced, bytes would be lost without a word.
    static let notUTF8 =
        "the SQL is not UTF-8: write such texts as CAST(X'…' AS TEXT), or load a database file"

    /// What rqlite's shell appends to what it restores would be refused: nothing follows for which
    /// it could count.
    static func withoutLastWord(_ text: String) -> String {
        let word = "PRAGMA foreign_keys=OFF;".utf8
        let trimmed = text.utf8.lastIndex { ![9, 10, 13, 32].contains($0) }
        guard let trimmed else { return text }
        let bytes = text.utf8[...trimmed]
        guard bytes.count > word.count, bytes.suffix(word.count).elementsEqual(word) else {
            return text
        }
        return String(decoding: bytes.dropLast(word.count), as: UTF8.self)
    }

    /// Too much for an entry: a database is made of it here, and loaded in place of an empty one.
    private func database(
        ofDump file: LoadFile, unless flag: LoadFlag
    ) throws(LoadRefusal) -> LoadContent {
        let made = try LoadedDump(of: file, unless: flag).build()
        defer { DatabaseDirectory.drop(made) }
        return try image(of: made, onlyEmpty: true, unless: flag)
    }

    // MARK: Files

    /// - Parameter onlyEmpty: it may only take the place of an empty database.
    private func image(
        of path: String, onlyEmpty: Bool = false, unless flag: LoadFlag
    ) throws(LoadRefusal) -> LoadContent {
        do throws(DirectoryError) {
            try directory.checkHeader(path)
            try LoadedSchema(of: path, directory).check(unless: flag)
            try prepare(path, unless: flag)
        } catch {
            throw LoadRefusal(error)
        }
        return try pack(path, onlyEmpty: onlyEmpty, unless: flag)
    }

    /// The form in which nodes take it over: their size of pages, and the daemon's table.
    private func prepare(_ path: String, unless flag: LoadFlag) throws(DirectoryError) {
        do throws(SQLiteError) {
            let connection = try LoadedSchema.connect(path, unless: flag)
            // Room for a copy of the file was kept, not for two.
            try SessionSetup.leaveJournal(of: connection)
            try connection.execute("PRAGMA page_size=4096")
            try MetadataTable.replace(on: connection, with: AppliedState())
        } catch {
            throw .judging(error, of: path)
        }
    }

    /// In one piece where an entry has room for it, else in parts.
    private func pack(
        _ path: String, onlyEmpty: Bool, unless flag: LoadFlag
    ) throws(LoadRefusal) -> LoadContent {
        let writer = GzipWriter()
        var image = DatabaseImage(byteCount: 0, packed: [])
        var parts: PackedParts?
        do throws(LoadFault) {
            func add(_ bytes: [UInt8]) throws(LoadFault) {
                if let parts { return try parts.add(bytes) }
                image.packed += bytes
                let isLarge = image.packed.count > packedBytes || onlyEmpty
                guard isLarge || image.byteCount > DatabaseImage.mostBytes else { return }
                parts = try PackedParts(in: directory, partBytes: partBytes)
                try parts?.add(image.packed)
                image.packed = []
            }
            try LoadFile.read(path) { part throws(LoadFault) in
                if flag.isRaised { throw LoadFault.unwanted }
                image.byteCount += part.count
                try add(try Self.packed(part, by: writer))
                return true
            }
            try add(try Self.packed([], by: writer, isLast: true))
        } catch {
            throw LoadRefusal(error)
        }
        guard let parts else { return .image(image) }
        return .parcel(parts.parcel(newID(), of: UInt64(image.byteCount), onlyEmpty: onlyEmpty))
    }

    private static func packed(
        _ bytes: [UInt8], by writer: borrowing GzipWriter, isLast: Bool = false
    ) throws(LoadFault) -> [UInt8] {
        do throws(GzipError) {
            return try writer.add(bytes, isLast: isLast)
        } catch {
            throw .gzip(error)
        }
    }
}

/// Why something is not loaded, in words for the client.
struct LoadRefusal: Error {
    let content: LoadContent

    init(_ text: String) { content = .unfit(text) }
    init(unable text: String) { content = .unable(text) }
    init(tooLarge text: String) { content = .tooLarge(text) }

    /// What the node lacks says nothing of the body.
    init(_ fault: LoadFault) {
        switch fault {
        case .gzip(.tooLarge), .noRoom: self.init(tooLarge: fault.text)
        case .system(_, let code) where DiskRoom.isLacking(code): self.init(tooLarge: fault.text)
        case .system, .gzip(.memory): self.init(unable: fault.text)
        default: self.init(fault.text)
        }
    }

    /// As above.
    init(_ error: DirectoryError) {
        switch error {
        case .unfit(_, let reason): self.init(reason)
        case _ where error.isDiskFull: self.init(tooLarge: "no room is left to check it")
        default: self.init(unable: "\(error)")
        }
    }
}

extension RequestScan {
    /// Nothing in the text begins or ends a transaction, or can't run in one.
    static func fitsOneTransaction(_ sql: String) -> Bool {
        var scan = RequestScan()
        scan.add(sql)
        guard scan.controls.isEmpty else { return false }
        var text = sql
        return text.withUTF8 { utf8 in
            let bytes = UnsafeRawBufferPointer(utf8)
            var tokens = SQLTokenizer(bytes)
            while let token = tokens.next() {
                guard case .word(let range) = token else { continue }
                if tokens.isKeyword(range, "VACUUM") || tokens.isKeyword(range, "PRAGMA") {
                    return false
                }
            }
            return true
        }
    }
}
