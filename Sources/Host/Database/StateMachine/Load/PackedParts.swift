internal import Glibc
internal import Wire

/// A packed file on its way into parts: it stands on the disk until nobody holds the parcel of it any
/// more. Filled by one thread, read by any.
final class PackedParts: Sendable {
    private let file: PackedFile
    private let partBytes: Int

    /// What is written, and what is read. `@unchecked Sendable`: written before anybody else has it.
    private final class PackedFile: @unchecked Sendable {
        let file: LoadFile
        init(_ file: LoadFile) { self.file = file }
        deinit { DatabaseDirectory.drop(file.path) }
    }

    /// Empty, among SQLite's temporary files, which a start removes.
    init(in directory: DatabaseDirectory, partBytes: Int) throws(LoadFault) {
        let folder = directory.temporaryFiles
        guard let path = DatabaseDirectory.makeTemporaryFile("loading_packed", in: folder) else {
            throw .system("making a file in \(folder)", errno)
        }
        file = PackedFile(try LoadFile(path, keepsRoom: true))
        self.partBytes = partBytes
    }

    /// The next bytes.
    func add(_ bytes: [UInt8]) throws(LoadFault) { try file.file.write(bytes) }

    /// All of it is there.
    func parcel(_ id: LoadID, of byteCount: UInt64, onlyEmpty: Bool) -> LoadParcel {
        let (size, partBytes) = (file.file.byteCount, partBytes)
        let parts = UInt32(clamping: (size + partBytes - 1) / partBytes)
        return LoadParcel(id: id, byteCount: byteCount, parts: parts, onlyEmpty: onlyEmpty) {
            [file] in
            let offset = Int($0) * partBytes
            return Self.read(file.file.path, offset, min(partBytes, size - offset))
        }
    }

    /// - Returns: nil: not all of it could be read.
    private static func read(_ path: String, _ offset: Int, _ count: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let bytes = read(descriptor, offset, count), bytes.count == count else { return nil }
        return bytes
    }

    /// - Returns: fewer bytes at the end of the file; nil: the disk fails.
    static func read(_ descriptor: Int32, _ offset: Int, _ count: Int) -> [UInt8]? {
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
}
