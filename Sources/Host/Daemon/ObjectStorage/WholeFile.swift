internal import Glibc

/// Files that are there under their names when all of them is on the disk, or not at all.
enum WholeFile {
    /// - Parameters:
    ///   - path: replaced, where there is a file.
    ///   - template: of the name until then, on the same file system; ends in `XXXXXX`.
    ///   - body: writes to the descriptor.
    static func write(
        to path: String, by template: String, _ body: (Int32) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        var template = Array(template.utf8CString)
        let descriptor = FileBytes.makeFile(&template)
        guard descriptor >= 0 else { throw StorageFault("making a file for \(path)", code: errno) }
        do throws(StorageFault) {
            do throws(StorageFault) {
                try body(descriptor)
                guard fsync(descriptor) == 0 else {
                    throw StorageFault("syncing \(path)", code: errno)
                }
            } catch {
                close(descriptor)
                throw error
            }
            guard close(descriptor) == 0, rename(template, path) == 0 else {
                throw StorageFault("writing \(path)", code: errno)
            }
        } catch {
            unlink(template)
            throw error
        }
        let end = path.lastIndex(of: "/") ?? path.startIndex
        try sync(String(path[..<end]))
    }

    static func add(
        _ bytes: [UInt8], to descriptor: Int32, _ path: String
    ) throws(StorageFault) {
        let code = bytes.withUnsafeBytes { FileBytes.write($0, to: descriptor) }
        if let code { throw StorageFault("writing \(path)", code: code) }
    }

    /// Makes the names in a directory durable.
    static func sync(_ directory: String) throws(StorageFault) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageFault("opening \(directory)", code: errno) }
        defer { close(descriptor) }
        // Some file systems of networks don't sync directories.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw StorageFault("syncing \(directory)", code: errno)
        }
    }
}
