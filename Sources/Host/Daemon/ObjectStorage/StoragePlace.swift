package import Telemetry
internal import Synchronization
internal import Threads
internal import Time

/// Where copies go to and come from. Calls block, for minutes where copies are large; any number of threads
/// may call.
package protocol StoragePlace: Sendable {
    /// For status and log, in rqlite's form.
    var name: String { get }

    /// What lies where a copy is put, under its very name if that has no time in it.
    func lookup(_ stop: StopFlag) throws(StorageFault) -> StoredCopy

    /// Puts a copy there; where it fails, what lay there before lies there still.
    /// - Parameter time: for the name, where it is to have one.
    func store(
        _ copy: UploadFile, _ marker: BackupMarker, at time: WallTime, _ stop: StopFlag
    ) throws(StorageFault)

    /// Brings a copy, part by part.
    /// - Parameter timeout: for all of it.
    func fetch(
        timeout: Duration, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault)

    /// What lies directly in a folder of the archive beside the copy: names of objects, and of folders
    /// with a slash at their ends, in no order; nothing where there is no such folder.
    /// - Parameter folder: empty, or with a slash at its end.
    func list(
        archive folder: String, _ stop: StopFlag
    ) throws(StorageFault) -> [String]

    /// Puts a file into the archive; it is there whole or not at all.
    /// - Parameter name: folders and the object's name, which no other content ever has: letters,
    ///   digits, hyphens and slashes.
    func store(
        _ file: UploadFile, inArchive name: String, _ stop: StopFlag
    ) throws(StorageFault)

    /// Takes back what a process that ended had begun to put there and not finished.
    /// - Returns: what could not be taken back, and why; it stays noted.
    func takeBackUnfinished(_ stop: StopFlag) -> [StorageFault]

    /// Brings an object of the archive, part by part, as long as something moves.
    func fetch(
        fromArchive name: String, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault)
}

extension StoragePlace {
    /// What the copy says of itself that lies there; nil if there is none, or none of ours.
    package func marker(_ stop: StopFlag) throws(StorageFault) -> BackupMarker? {
        try lookup(stop).marker
    }

    /// Where nothing is put in parts nothing is left.
    package func takeBackUnfinished(_ stop: StopFlag) -> [StorageFault] { [] }
}

/// Where the archive lies beside a copy.
enum ArchivePath {
    static func of(_ path: String) -> String { "\(path).archive/" }

    /// Bytes of all names that one listing may have: some hundred thousand.
    static let mostListedBytes = 64 << 20

    /// The last part of a path, and the slash behind it if it is a folder's.
    static func child(_ path: String) -> String {
        let isFolder = path.hasSuffix("/")
        let plain = isFolder ? path.dropLast() : path[...]
        let begin = plain.lastIndex(of: "/").map { plain.index(after: $0) } ?? plain.startIndex
        return plain[begin...] + (isFolder ? "/" : "")
    }
}

/// What is written beside a copy, so that the next leader knows whether something changed since. rqlite
/// writes the first of these, under the same name.
package struct BackupMarker: Equatable, Sendable {
    /// Where the log stood.
    package var index: UInt64
    /// Whose log; nil in what rqlite wrote.
    package var cluster: String?
    /// Of the content; nil in what rqlite wrote.
    package var digest: String?

    package init(index: UInt64, cluster: String? = nil, digest: String? = nil) {
        self.index = index
        self.cluster = cluster
        self.digest = digest
    }

    /// - Parameters:
    ///   - prefix: what the storage's names begin with.
    ///   - value: what stands there under a name.
    init?(prefix: String, value: (String) -> String?) {
        guard let index = value("\(prefix)id").flatMap({ UInt64($0) }) else { return nil }
        self.init(
            index: index, cluster: value("\(prefix)cluster"), digest: value("\(prefix)sha256"))
    }

    func members(prefix: String) -> [(name: String, value: String)] {
        var members = [("\(prefix)id", String(index))]
        if let cluster { members.append(("\(prefix)cluster", cluster)) }
        if let digest { members.append(("\(prefix)sha256", digest)) }
        return members
    }
}

/// What lies where a copy is put.
package enum StoredCopy: Equatable, Sendable {
    case nothing
    /// Something that says nothing of itself, or nothing of ours.
    case unmarked
    case marked(BackupMarker)

    init(_ marker: BackupMarker?) {
        if let marker { self = .marked(marker) } else { self = .unmarked }
    }

    package var marker: BackupMarker? {
        if case .marked(let marker) = self { marker } else { nil }
    }
}

/// Says from any thread that a transfer is to end.
package final class StopFlag: Sendable {
    private let value = Atomic<Bool>(false)

    package init() {}

    package func raise() { value.store(true, ordering: .relaxed) }
    package var isRaised: Bool { value.load(ordering: .relaxed) }

    /// Waits, no longer than until it is raised.
    func pause(_ duration: Duration) {
        let end = MonotonicTime.now + duration
        while !isRaised, MonotonicTime.now < end { CurrentThread.pause(milliseconds: 50) }
    }
}

extension StorageSettings {
    /// - Parameters:
    ///   - hasTimestamp: names of what is stored begin with the time.
    ///   - notes: of uploads in parts; needed by who stores.
    /// - Throws: where a file that the settings name can't be used.
    package func place(
        hasTimestamp: Bool = false, notes: UploadNotes? = nil,
        environment: @escaping @Sendable (String) -> String?
    ) throws(StorageFault) -> any StoragePlace {
        switch self {
        case .s3(let settings):
            S3Storage(
                settings, hasTimestamp: hasTimestamp, notes: notes, environment: environment)
        case .gcs(let settings): try GCSStorage(settings, hasTimestamp: hasTimestamp)
        case .file(let settings): FileStorage(settings, hasTimestamp: hasTimestamp)
        }
    }
}

/// `20240131120000_name`, in the folder of the name.
enum TimestampedName {
    static func of(_ path: String, _ time: WallTime) -> String {
        let end = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        let digits = time.wholeSeconds.rfc3339.filter(\.isNumber)
        return "\(path[..<end])\(digits)_\(path[end...])"
    }
}

extension WallTime {
    /// Without a fraction, as rqlite writes times.
    package var wholeSeconds: WallTime { WallTime(seconds: seconds) }

    /// ISO 8601 without marks: `20130524T000000Z`.
    var basicText: String { wholeSeconds.rfc3339.filter { $0 != "-" && $0 != ":" } }
}
