internal import Glibc

/// What is in directories.
package enum DirectoryNames {
    /// Nothing where the directory can't be read.
    package static func of(_ path: String) -> [String] { of(opendir(path)) }

    /// - Parameter directory: closed then; nil: it could not be opened.
    package static func of(_ directory: OpaquePointer?) -> [String] {
        guard let directory else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
