import Glibc
import PeerProtocol
import Raft

/// The file of a Unix socket that this process listens on. One that a process left behind which has
/// ended is taken over; one that somebody listens on is not, and neither is any other file.
struct SocketFile: Sendable {
    let path: String
    /// Tells this file from one that somebody else put in its place.
    private let mark: Mark

    /// File systems give the number of a file that went to the next one; when it was made they don't.
    private struct Mark: Equatable {
        let device: UInt
        let inode: UInt
        let seconds: Int
        let nanoseconds: Int

        init(_ status: stat) {
            device = UInt(status.st_dev)
            inode = UInt(status.st_ino)
            // Neither a change of its rights nor who connects moves it.
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    /// - Parameter mode: the permission bits of the file; they hold before anybody can connect.
    /// - Returns: the listening socket, and its file.
    static func open(
        _ path: String, mode: UInt16, backlog: Int32
    ) throws(TransportError) -> (descriptor: Int32, file: SocketFile) {
        let name = "unix:\(path)"
        var target = try address(path, name)
        var mayTakeOver = true
        while true {
            let descriptor = socket(
                AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw TransportError(errno: errno, address: name) }
            var status = stat()
            if call(bind, descriptor, &target) == 0 {
                if chmod(path, mode_t(mode)) == 0, listen(descriptor, backlog) == 0,
                    lstat(path, &status) == 0
                {
                    return (descriptor, SocketFile(path: path, mark: Mark(status)))
                }
                let code = errno
                close(descriptor)
                unlink(path)
                throw TransportError(errno: code, address: name)
            }
            let code = errno
            close(descriptor)
            guard code == EADDRINUSE, mayTakeOver, isLeftBehind(path, &target),
                unlink(path) == 0
            else { throw TransportError(errno: code, address: name) }
            mayTakeOver = false
        }
    }

    /// The file goes, if it is still this one.
    func remove() {
        var status = stat()
        if lstat(path, &status) == 0, Mark(status) == mark { unlink(path) }
    }

    /// It is a socket, and nobody listens.
    private static func isLeftBehind(_ path: String, _ target: inout sockaddr_un) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        // Who stands still, or is still starting, may have a line that is full: it would be waited for a place in it.
        let descriptor = socket(
            AF_UNIX,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
                | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return call(connect, descriptor, &target) != 0 && errno == ECONNREFUSED
    }

    private static func address(_ path: String, _ name: String) throws(TransportError)
        -> sockaddr_un
    {
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: target.sun_path)
        guard !bytes.isEmpty, bytes.count < room else {
            throw TransportError(
                .invalidAddress, address: name,
                cause: "the path has \(bytes.count) bytes, and 1 to \(room - 1) are possible")
        }
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: bytes) }
        return target
    }

    private static func call(
        _ function: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32, _ descriptor: Int32,
        _ target: inout sockaddr_un
    ) -> Int32 {
        withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
