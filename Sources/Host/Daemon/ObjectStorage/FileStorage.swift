internal import Glibc
internal import JSON
internal import Telemetry

/// Copies in a directory. Each takes its name when it is whole and on the disk; `METADATA.json` beside it
/// says of the last one what an object's metadata says elsewhere, as rqlite writes it.
struct FileStorage: StoragePlace {
    static let markerName = "METADATA.json"
    private static let unfinished = ".upload-"
    /// What is older was left by a process that ended.
    private static let abandonedAfter = 24 * 3600
    /// Why a file can't be opened now, nor in a second.
    private static let lasting = [EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR]

    let settings: FileSettings
    private let hasTimestamp: Bool

    init(_ settings: FileSettings, hasTimestamp: Bool) {
        self.settings = settings
        self.hasTimestamp = hasTimestamp
    }

    var name: String { "dir:\(settings.directory)" }
    private var markerPath: String { "\(settings.directory)/\(Self.markerName)" }

    func lookup(_ stop: StopFlag) throws(StorageFault) -> StoredCopy {
        let path = "\(settings.directory)/\(settings.name)"
        if !hasTimestamp, try !isThere(path) { return .nothing }
        guard let text = try markerText() else { return .unmarked }
        // What is no document of ours, or of a copy that is gone or has another name, says nothing.
        guard let value = try? JSONValue(parsing: text), let path = value["name"]?.string,
            isOurs(path), access(path, F_OK) == 0
        else { return .unmarked }
        return StoredCopy(BackupMarker(prefix: "") { value[$0]?.string })
    }

    /// - Throws: where it can't be looked at: it may be there, and somebody else's.
    private func isThere(_ path: String) throws(StorageFault) -> Bool {
        if access(path, F_OK) == 0 { return true }
        guard errno == ENOENT || errno == ENOTDIR else {
            throw StorageFault("looking at \(path)", code: errno)
        }
        return false
    }

    /// Nil: there is none.
    /// - Throws: where it can't be read. One that this node may not read for good, for another user wrote it, is no
    ///   passing fault: the next one takes its place all the same.
    private func markerText() throws(StorageFault) -> [UInt8]? {
        let descriptor = open(markerPath, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code = errno
            if code == ENOENT || code == ENOTDIR { return nil }
            throw Self.fault(opening: markerPath, code)
        }
        defer { close(descriptor) }
        return try SmallText.read(descriptor, markerPath)
    }

    /// The directory may hold copies of other names.
    private func isOurs(_ path: String) -> Bool {
        guard hasTimestamp else {
            return path.utf8.elementsEqual("\(settings.directory)/\(settings.name)".utf8)
        }
        let end = "_\(settings.name)"
        return path.utf8.suffix(end.utf8.count).elementsEqual(end.utf8)
    }

    func store(
        _ copy: UploadFile, _ marker: BackupMarker, at time: WallTime, _ stop: StopFlag
    ) throws(StorageFault) {
        try makeDirectory()
        removeAbandoned(at: time)
        let name = hasTimestamp ? TimestampedName.of(settings.name, time) : settings.name
        let path = "\(settings.directory)/\(name)"
        try put(copy, path, stop)
        var members = marker.members(prefix: "").map {
            JSONValue.Member($0.name, .string($0.value))
        }
        members.append(.init("timestamp", .integer(time.milliseconds)))
        members.append(.init("name", .string(path)))
        try write(to: markerPath) { descriptor throws(StorageFault) in
            try WholeFile.add(
                Array(JSONValue.object(members).text().utf8), to: descriptor, markerPath)
        }
    }

    /// - Parameter path: in the directory, or below it.
    func put(_ copy: UploadFile, _ path: String, _ stop: StopFlag) throws(StorageFault) {
        try write(to: path) { descriptor throws(StorageFault) in
            try FileBytes.read(copy.descriptor, "the copy") { part throws(StorageFault) in
                if stop.isRaised {
                    throw StorageFault("\(self.name): given up, for the node stops")
                }
                try WholeFile.add(part, to: descriptor, path)
            }
        }
    }

    func fetch(
        timeout: Duration, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        try get("\(settings.directory)/\(settings.name)", receive)
    }

    func get(
        _ path: String, _ receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.fault(opening: path, errno) }
        defer { close(descriptor) }
        try FileBytes.read(descriptor, path, receive)
    }

    /// What is not there now won't be in a second. A file server may be, or a descriptor.
    static func fault(opening path: String, _ code: Int32) -> StorageFault {
        lasting.contains(code)
            ? StorageFault("opening \(path): \(SystemText.of(code))")
            : StorageFault("opening \(path)", code: code)
    }

    /// - Parameter folder: below the directory; nil: the directory itself.
    func makeDirectory(_ folder: String? = nil) throws(StorageFault) {
        var path = ""
        for part in (folder ?? settings.directory).split(separator: "/") {
            path += "/\(part)"
            guard mkdir(path, 0o755) == 0 || errno == EEXIST || access(path, F_OK) == 0 else {
                throw StorageFault("making \(path)", code: errno)
            }
        }
    }

    private func write(
        to path: String, _ body: (Int32) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        try WholeFile.write(
            to: path, by: "\(settings.directory)/\(Self.unfinished)XXXXXX", body)
    }

    /// What processes left that ended while they wrote: a copy each, or a base.
    func removeAbandoned(at time: WallTime) {
        let youngest = time.seconds - Int64(Self.abandonedAfter)
        for name in DirectoryNames.of(settings.directory) where name.hasPrefix(Self.unfinished) {
            let path = "\(settings.directory)/\(name)"
            var about = stat()
            // A file server may tell any time.
            guard stat(path, &about) == 0, Int64(about.st_mtim.tv_sec) < youngest else { continue }
            unlink(path)
        }
    }
}
