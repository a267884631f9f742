internal import Glibc
internal import Wire

/// A file without a name that a copy is gathered in before it is sent: its size and hash must be known
/// first. Gone with the object, whatever happens. Belongs to one thread.
package final class UploadFile {
    let descriptor: Int32
    /// Bytes written so far.
    package private(set) var byteCount: Int64 = 0
    /// What it leaves free of the disk, on which log and database are, too, in bytes.
    var spareBytes: UInt64 = 64 << 20
    /// At how many bytes the disk is looked at again.
    private var nextLook: Int64 = 0
    private static let bytesPerLook: Int64 = 8 << 20
    private let digest: ContentDigest

    /// - Parameter directory: where there is room; it is made if it is missing.
    package init(in directory: String) throws(StorageFault) {
        digest = try ContentDigest()
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw StorageFault("making \(directory)", code: errno)
        }
        var template = Array("\(directory)/etilqs_upload_XXXXXX".utf8CString)
        descriptor = FileBytes.makeFile(&template)
        guard descriptor >= 0 else {
            throw StorageFault("making a file in \(directory)", code: errno)
        }
        unlink(template)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// - Throws: also before the disk is full.
    package func add(_ bytes: [UInt8]) throws(StorageFault) {
        try look()
        var code: Int32?
        bytes.withUnsafeBytes { bytes in
            digest.add(bytes)
            code = FileBytes.write(bytes, to: descriptor)
        }
        if let code { throw StorageFault("writing a copy of the database", code: code) }
        byteCount += Int64(bytes.count)
    }

    /// A backup is no reason for the node's log to have no room.
    private func look() throws(StorageFault) {
        guard byteCount >= nextLook else { return }
        var facts = statvfs()
        guard fstatvfs(descriptor, &facts) == 0, facts.f_blocks > 0 else { return }
        // Some file systems tell numbers beyond any.
        let (free, isMore) = UInt64(facts.f_bavail).multipliedReportingOverflow(
            by: UInt64(facts.f_frsize))
        guard isMore || free >= spareBytes else {
            throw StorageFault(
                "the disk has no room for what is to be uploaded, beside the copy of the database that "
                    + "it is made of: free some", isTransient: true)
        }
        nextLook = byteCount + Self.bytesPerLook
    }

    /// All is there: its SHA-256. Once.
    package func finish() throws(StorageFault) -> String {
        hash = try digest.finish()
        return hash
    }

    /// After `finish`.
    private(set) var hash = ""

    /// SHA-256 of some of its bytes, which are read for that.
    func hash(of range: Range<Int64>) throws(StorageFault) -> String {
        let digest = try ContentDigest()
        try FileBytes.read(descriptor, "the copy", in: range) { part in
            part.withUnsafeBytes { digest.add($0) }
        }
        return try digest.finish()
    }

    /// CRC-32C of all its bytes, which are read for that.
    func checksum() throws(StorageFault) -> UInt32 {
        var sum = CRC32C()
        try FileBytes.read(descriptor, "the copy", in: 0..<byteCount) { sum.update($0) }
        return sum.value
    }
}

/// Bytes to and from descriptors.
package enum FileBytes {
    /// - Parameter template: a path that ends in `XXXXXX`; the path that is there now.
    /// - Returns: its descriptor, or -1, and `errno` says why.
    static func makeFile(_ template: inout [CChar]) -> Int32 {
        let descriptor = mkstemp(&template)
        // Until then a plugin's process that is started at this moment would get it, too.
        if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return descriptor
    }

    /// - Returns: an error number, or nil when all is written.
    package static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            let count = Glibc.write(descriptor, part.baseAddress, part.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : ENOSPC }
            rest = rest.dropFirst(count)
        }
        return nil
    }

    /// A MiB at a time.
    /// - Parameter range: all of it, unless given; ends with the file.
    package static func read(
        _ descriptor: Int32, _ name: String, in range: Range<Int64> = 0..<Int64.max,
        _ body: ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        var offset = range.lowerBound
        while offset < range.upperBound {
            var count = 0
            let room = Int(min(1 << 20, range.upperBound - offset))
            let part = [UInt8](unsafeUninitializedCapacity: room) {
                count = pread(descriptor, $0.baseAddress, room, off_t(offset))
                $1 = max(0, count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StorageFault("reading \(name)", code: errno) }
            guard count > 0 else { return }
            offset += Int64(count)
            try body(part)
        }
    }
}
