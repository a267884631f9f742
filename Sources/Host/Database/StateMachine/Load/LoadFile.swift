internal import Glibc
internal import Gzip
internal import SQLite

/// A file that a load is written to, before SQLite opens it. Belongs to one thread.
final class LoadFile {
    let path: String
    private(set) var byteCount = 0
    private let descriptor: Int32
    /// At how many bytes the disk is looked at again; nil: it never is.
    private var nextLook: Int?

    /// What a file leaves free, beside room for a copy of itself, in bytes.
    private static let spareBytes: UInt64 = 64 << 20
    private static let bytesPerLook = 8 << 20

    /// Empty, whatever stood there.
    /// - Parameter keepsRoom: it fails while the disk still has room for a copy of it and for the
    ///   node's own work: what a client sends shall not fill the disk.
    init(_ path: String, keepsRoom: Bool = false) throws(LoadFault) {
        self.path = path
        nextLook = keepsRoom ? 0 : nil
        let directory = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) }
        if let directory, mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw .system("making \(directory)", errno)
        }
        DatabaseDirectory.drop(path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("making \(path)", errno) }
    }

    deinit { close(descriptor) }

    /// Reads a file from its start, a MiB at a time, until its end or until `body` says that it is
    /// enough.
    static func read(
        _ path: String, _ body: ([UInt8]) throws(LoadFault) -> Bool
    ) throws(LoadFault) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("opening \(path)", errno) }
        defer { close(descriptor) }
        while true {
            var count = 0
            let part = [UInt8](unsafeUninitializedCapacity: 1 << 20) {
                count = Glibc.read(descriptor, $0.baseAddress, $0.count)
                $1 = max(0, count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system("reading \(path)", errno) }
            guard count > 0, try body(part) else { return }
        }
    }

    /// - Returns: fewer bytes at the end of the file; nil: the disk fails.
    static func bytes(of path: String, at offset: Int, _ count: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return bytes(of: descriptor, at: offset, count)
    }

    /// As above, of a file that is open.
    static func bytes(of descriptor: Int32, at offset: Int, _ count: Int) -> [UInt8]? {
        var done = 0
        var hasFailed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let all = UnsafeMutableRawBufferPointer(buffer)
            while done < count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: all[done...])
                let read = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
                if read < 0, errno == EINTR { continue }
                hasFailed = read < 0
                guard read > 0 else { break }
                done += read
            }
            filled = done
        }
        return hasFailed ? nil : bytes
    }

    private func look() throws(LoadFault) {
        guard let next = nextLook, byteCount >= next else { return }
        nextLook = byteCount + Self.bytesPerLook
        guard let free = DiskRoom.bytes(of: descriptor) else { return }
        guard free >= UInt64(byteCount) + Self.spareBytes else {
            throw .noRoom(path: path, bytes: byteCount)
        }
    }

    func write(_ bytes: [UInt8]) throws(LoadFault) {
        var fault: LoadFault?
        bytes.withUnsafeBytes { buffer in
            do throws(LoadFault) { try write(buffer) } catch { fault = error }
        }
        if let fault { throw fault }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(LoadFault) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            let count = Glibc.write(descriptor, part.baseAddress, part.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system("writing \(path)", count < 0 ? errno : ENOSPC) }
            rest = rest.dropFirst(count)
            byteCount += count
            try look()
        }
    }
}

/// Why a file was not written.
enum LoadFault: Error {
    case system(String, Int32)
    case gzip(GzipError)
    /// The disk has no room for as many bytes, a copy of them, and what else there is to do.
    case noRoom(path: String, bytes: Int)
    /// Reading what is to be written.
    case database(SQLiteError)
    /// Nobody waits for it any more.
    case unwanted

    var text: String {
        switch self {
        case .system(let operation, let code):
            "\(operation) failed: \(String(cString: strerror(code)))"
        case .gzip(let error): "\(error)"
        case .noRoom(let path, let bytes):
            "the disk of \(path) has no room for more than \(bytes) bytes and a copy of them: free "
                + "some, or load through another node"
        case .database(let error): error.message
        case .unwanted: "nobody waits for it any more"
        }
    }
}

extension GzipReader {
    /// All of a stream that is in memory, piece by piece.
    mutating func unpack(_ packed: [UInt8], into file: LoadFile) throws(LoadFault) {
        try add(packed, into: file)
        do throws(GzipError) { try end() } catch { throw .gzip(error) }
    }

    /// The next bytes of a stream.
    mutating func add(_ packed: [UInt8], into file: LoadFile) throws(LoadFault) {
        var fault: LoadFault?
        do throws(GzipError) {
            var rest = packed[...]
            while !rest.isEmpty, fault == nil {
                try add(Array(rest.prefix(1 << 20))) { bytes in
                    guard fault == nil else { return }
                    do throws(LoadFault) { try file.write(bytes) } catch { fault = error }
                }
                rest = rest.dropFirst(1 << 20)
            }
        } catch {
            throw .gzip(error)
        }
        if let fault { throw fault }
    }
}

extension DatabaseDirectory {
    /// The directory in which a database file lies.
    init(beside file: String) {
        let end = file.utf8.lastIndex(of: UInt8(ascii: "/"))
        self.init(path: end.map { String(file[..<$0]) } ?? ".")
    }

    /// A temporary database file with all that SQLite keeps beside it.
    static func drop(_ path: String) {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
    }
}
