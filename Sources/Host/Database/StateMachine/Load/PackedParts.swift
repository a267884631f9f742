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
            let count = min(partBytes, size - offset)
            let bytes = LoadFile.bytes(of: file.file.path, at: offset, count)
            return bytes?.count == count ? bytes : nil
        }
    }
}
