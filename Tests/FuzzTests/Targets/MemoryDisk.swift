import WriteAheadLog

/// Files in memory, for the log. A value of one thread.
final class MemoryDisk: Disk {
    final class File: DiskFile {
        let path: String
        var bytes: [UInt8] = []

        init(_ path: String) { self.path = path }

        func size() -> Int { bytes.count }

        func preallocate(_ count: Int) throws(DiskError) {
            guard count <= 1 << 20 else { throw failure(.preallocate, code: 28, isNoSpace: true) }
            bytes += [UInt8](repeating: 0, count: max(0, count - bytes.count))
        }

        func write(_ new: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
            guard offset >= 0, offset + new.count <= bytes.count else {
                throw failure(.write, code: 22)
            }
            bytes.replaceSubrange(offset..<offset + new.count, with: new)
        }

        func read(
            into buffer: UnsafeMutableRawBufferPointer, at offset: Int
        ) throws(DiskError) -> Int {
            guard offset >= 0 else { throw failure(.read, code: 22) }
            let found = bytes.dropFirst(offset).prefix(buffer.count)
            buffer.copyBytes(from: found)
            return found.count
        }

        func syncData() {}
        func sync() {}

        private func failure(
            _ operation: DiskError.Operation, code: Int32, isNoSpace: Bool = false
        ) -> DiskError {
            DiskError(operation, path, code: code, isNoSpace: isNoSpace, reason: "refused")
        }
    }

    private(set) var files: [String: File] = [:]

    func createDirectory(_ path: String) {}

    func openFile(_ path: String) throws(DiskError) -> File {
        guard let file = files[path] else {
            throw DiskError(.open, path, code: 2, isNoSpace: false, reason: "no such file")
        }
        return file
    }

    func createFile(_ path: String) -> File {
        let file = File(path)
        files[path] = file
        return file
    }

    func rename(_ path: String, to newPath: String) throws(DiskError) {
        files[newPath] = try openFile(path)
        files[path] = nil
    }

    func remove(_ path: String) { files[path] = nil }

    func list(_ directory: String) -> [String] {
        files.keys.filter { $0.hasPrefix(directory + "/") }
            .map { String($0.dropFirst(directory.count + 1)) }.sorted()
    }

    func syncDirectory(_ path: String) {}
}
