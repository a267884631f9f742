/// What the log needs of a file system. All calls block; they come from one thread. The production
/// conformer is `PosixDisk`; the simulator has one that loses what was not synced.
package protocol Disk {
    associatedtype File: DiskFile

    /// Makes the directory, durably, unless it exists.
    func createDirectory(_ path: String) throws(DiskError)
    /// Opens an existing file for reading and writing.
    func openFile(_ path: String) throws(DiskError) -> File
    /// Makes an empty file, in place of one that may stand there.
    func createFile(_ path: String) throws(DiskError) -> File
    func rename(_ path: String, to newPath: String) throws(DiskError)
    /// Renames within the directory and makes that durable. After an error that may pass nothing
    /// has changed; after any other the new name may stand there, durably or not.
    func rename(
        _ path: String, to newPath: String, durablyIn directory: String
    ) throws(DiskError)
    func remove(_ path: String) throws(DiskError)
    /// The names in a directory, sorted, without `.` and `..`.
    func list(_ directory: String) throws(DiskError) -> [String]
    /// Makes creations, renames and removals in the directory durable.
    func syncDirectory(_ path: String) throws(DiskError)
}

extension Disk {
    package func rename(
        _ path: String, to newPath: String, durablyIn directory: String
    ) throws(DiskError) {
        try rename(path, to: newPath)
        try syncDirectory(directory)
    }
}

/// An open file; it is closed with its last reference.
package protocol DiskFile {
    func size() throws(DiskError) -> Int
    /// Extends the file to `count` zero bytes and claims the room for them, so that writing there
    /// can't run out of space later.
    func preallocate(_ count: Int) throws(DiskError)
    /// Writes all bytes, or throws when some may have been written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError)
    /// - Returns: how many bytes were read: less than asked only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int
    /// Makes the content durable (`fdatasync`).
    func syncData() throws(DiskError)
    /// Makes content and metadata durable (`fsync`).
    func sync() throws(DiskError)
}

extension DiskFile {
    /// Up to `count` bytes from `offset`; fewer at the end of the file.
    func read(_ count: Int, at offset: Int) throws(DiskError) -> [UInt8] {
        var failure: DiskError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(DiskError) {
                initialized = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
                initialized = 0
            }
        }
        if let failure { throw failure }
        return bytes
    }
}

/// A call to the file system that failed.
package struct DiskError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was asked of the file system; the raw value is for people.
    package enum Operation: String, Sendable {
        case createDirectory = "create directory"
        case open, create, rename, remove, list, stat, preallocate, write, read, sync
        case syncDirectory = "sync directory"
    }

    /// The call that failed.
    package let operation: Operation
    /// What it was about.
    package let path: String
    /// The system's `errno`.
    package let code: Int32
    /// There is no room, or the quota is used up: it may pass.
    package let isNoSpace: Bool
    /// The process, or the machine, has no file descriptor left: it may pass.
    package let isOutOfDescriptors: Bool
    /// The system's text for `code`.
    package let reason: String

    package init(
        _ operation: Operation, _ path: String, code: Int32, isNoSpace: Bool,
        isOutOfDescriptors: Bool = false, reason: String
    ) {
        self.operation = operation
        self.path = path
        self.code = code
        self.isNoSpace = isNoSpace
        self.isOutOfDescriptors = isOutOfDescriptors
        self.reason = reason
    }

    /// What lacks may be there later; the call has changed nothing and can be made again.
    package var mayPass: Bool { isNoSpace || isOutOfDescriptors }

    package var description: String { "\(operation.rawValue) \(path): \(reason) (\(code))" }
}
