/// Why the log could not be opened, written or read. Only `diskFull` and `outOfDescriptors` may
/// pass (`isFatal`); after any other error from a call that writes, every later call throws that
/// error again.
package enum LogError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Data that had been made durable can't be read back.
    case corrupt(file: String, offset: Int, reason: String)
    /// A newer program wrote the file.
    case unsupportedVersion(file: String, found: UInt32, supported: UInt32)
    /// There was no room; nothing of the call remains, it can be made again.
    case diskFull(DiskError)
    /// The process, or the machine, has no file descriptor left; as with a full disk the call can be
    /// made again.
    case outOfDescriptors(DiskError)
    /// An entry is larger than any batch may be: a bound further up was left out. Nothing was
    /// written.
    case tooLarge(bytes: Int, limit: Int)
    /// What the disk holds of the last writes is unknown, and a second sync would not tell.
    case syncFailed(DiskError)
    case failed(DiskError)

    /// The node must stop: it can't promise anything about its log any more.
    package var isFatal: Bool {
        switch self {
        case .diskFull, .outOfDescriptors: false
        case .corrupt, .unsupportedVersion, .tooLarge, .syncFailed, .failed: true
        }
    }

    init(_ error: DiskError) {
        self =
            switch error.operation {
            case .sync, .syncDirectory: .syncFailed(error)
            default:
                error.isNoSpace
                    ? .diskFull(error)
                    : error.isOutOfDescriptors ? .outOfDescriptors(error) : .failed(error)
            }
    }

    package var description: String {
        switch self {
        case .corrupt(let file, let offset, let reason):
            """
            the log file \(file) is damaged at byte \(offset) (\(reason)): data that had been \
            durable can't be read back, so this node must not vote or answer. To rejoin: stop \
            it, check the disk, move its whole data directory away, remove the node from the \
            cluster (DELETE /remove) and start it again with an empty directory and the \
            addresses of the other nodes; it copies the data from them. A node that was alone \
            is restored from a backup.
            """
        case .unsupportedVersion(let file, let found, let supported):
            """
            the log file \(file) has format version \(found), this program reads up to \
            \(supported): start the newer program again
            """
        case .diskFull(let error):
            "no room for the log: \(error). It goes on by itself when there is room"
        case .outOfDescriptors(let error):
            "no file descriptor for the log: \(error). It goes on by itself when one is free; raise "
                + "the limit of open files (ulimit -n, LimitNOFILE=)"
        case .tooLarge(let bytes, let limit):
            "a log entry of \(bytes) bytes can't be written, the limit is \(limit)"
        case .syncFailed(let error):
            """
            a sync of the log failed: \(error). What is on the disk is unknown; the node must \
            stop. Check the disk, then start it again
            """
        case .failed(let error):
            "the log can't be used: \(error). The node must stop; check the disk"
        }
    }
}
