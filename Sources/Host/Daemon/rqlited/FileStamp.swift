import Glibc

/// What tells one state of a file from another, without its content.
struct FileStamp: Equatable, Sendable {
    private var device: UInt64
    private var number: UInt64
    private var size: Int64
    private var modified: [Int64]
    /// It can be read as often as anybody likes.
    let isRegular: Bool
    /// What is in it is read once.
    let isPipe: Bool

    /// Nil when there is no such file.
    init?(_ path: String) {
        var information = stat()
        guard stat(path, &information) == 0 else { return nil }
        device = UInt64(information.st_dev)
        number = UInt64(information.st_ino)
        isRegular = information.st_mode & S_IFMT == S_IFREG
        isPipe = information.st_mode & S_IFMT == S_IFIFO
        // Its times are those of whoever writes what was read already.
        guard !isPipe else {
            (size, modified) = (0, [])
            return
        }
        size = Int64(information.st_size)
        modified = [
            Int64(information.st_mtim.tv_sec), Int64(information.st_mtim.tv_nsec),
            Int64(information.st_ctim.tv_sec), Int64(information.st_ctim.tv_nsec),
        ]
    }

    /// To be taken before the files are read: what changes after that is then noticed.
    static func of(_ paths: [String]) -> [FileStamp?] { paths.map(FileStamp.init) }
}
