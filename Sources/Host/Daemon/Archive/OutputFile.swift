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
    func publish(
        as name: String, unless interruption: RestoreInterruption
    ) throws(StorageFault) {
        try sync()
        try interruption.publish { () throws(StorageFault) in
            guard link(path, name) == 0 else { throw Self.fault("naming the file \(name)") }
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
