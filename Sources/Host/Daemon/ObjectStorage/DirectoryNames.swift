internal import Glibc

/// What is in directories.
package enum DirectoryNames {
    /// Nothing where the directory can't be read.
    package static func of(_ path: String) -> [String] { of(opendir(path)) }

    /// - Parameter directory: closed then; nil: it could not be opened.
    package static func of(_ directory: OpaquePointer?) -> [String] {
        guard let directory else { return [] }
        return read(directory).names
    }

    /// Nothing where there is no such directory.
    /// - Throws: where it can't be read, or not to its end: of who must not take that for nothing.
    package static func all(of path: String) throws(StorageFault) -> [String] {
        guard let directory = opendir(path) else {
            let code = errno
            guard code != ENOENT else { return [] }
            throw StorageFault("listing \(path)", code: code)
        }
        return try all(of: path, directory)
    }

    /// Of who must not take a part for all of it.
    /// - Parameter directory: as `path` opened; closed then.
    /// - Throws: where it can't be read to its end.
    static func all(
        of path: String, _ directory: OpaquePointer
    ) throws(StorageFault) -> [String] {
        let (names, code) = read(directory)
        guard code == 0 else { throw StorageFault("listing \(path)", code: code) }
        return names
    }

    /// - Returns: an error number beside what came before; 0: that is all.
    private static func read(_ directory: OpaquePointer) -> (names: [String], code: Int32) {
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else { return (names, errno) }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }
}
