internal import Glibc
internal import ObjectStorage

/// A file that is written once from its begin to its end. Belongs to one thread.
final class OutputFile {
    let path: String
    private(set) var byteCount: Int64 = 0
    private let descriptor: Int32

    /// - Throws: also where there is a file of that name.
    init(_ path: String) throws(StorageFault) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.fault("making \(path)") }
    }

    deinit { close(descriptor) }

    func add(_ bytes: [UInt8]) throws(StorageFault) {
        let code = bytes.withUnsafeBytes { FileBytes.write($0, to: descriptor) }
        if let code { throw Self.fault("writing \(path)", code: code) }
        byteCount += Int64(bytes.count)
    }

    func sync() throws(StorageFault) {
        guard fsync(descriptor) == 0 else { throw Self.fault("syncing \(path)") }
    }

    /// Gives the file another name, which nothing has until then, and makes that durable.
    /// - Parameter link: the system's; tests put another one in its place.
    func publish(
        as name: String, unless interruption: RestoreInterruption,
        by link: (String, String) -> Int32 = { Glibc.link($0, $1) }
    ) throws(StorageFault) {
        try sync()
        try interruption.publish { () throws(StorageFault) in
            let isNamed =
                link(path, name) == 0
                || [EPERM, EOPNOTSUPP, ENOSYS].contains(errno) && move(to: name)
            guard isNamed else { throw Self.fault("naming the file \(name)") }
        }
        unlink(path)
        let end = name.lastIndex(of: "/") ?? name.startIndex
        let parent = open(String(name[..<end]) + "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard parent >= 0 else { throw Self.fault("opening the directory of \(name)") }
        defer { close(parent) }
        guard fsync(parent) == 0 || errno == EINVAL else {
            throw Self.fault("syncing the directory of \(name)")
        }
    }

    /// Where a file system has no links, as those of other systems. The name is taken first, by an empty file, so nothing
    /// that anybody else made is replaced.
    private func move(to name: String) -> Bool {
        let place = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard place >= 0 else { return false }
        close(place)
        guard rename(path, name) != 0 else { return true }
        let code = errno
        unlink(name)
        errno = code
        return false
    }

    static func read(_ path: String) throws(StorageFault) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fault("opening \(path)") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        try FileBytes.read(descriptor, path) { bytes += $0 }
        return bytes
    }

    private static func fault(_ what: String, code: Int32 = errno) -> StorageFault {
        StorageFault("\(what): \(String(cString: strerror(code)))")
    }
}
