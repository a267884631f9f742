import Foundation
import PeerProtocol
import Raft
import Testing

@testable import Transport

/// Unix sockets that a node takes, leaves, and finds.
@Suite struct SocketFileTests {
    private let folder: String

    init() throws {
        folder = "/tmp/rqsock-\(getpid())-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
    }

    private var path: String { folder + "/s" }

    private func mode(of path: String) -> UInt32? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : nil
    }

    @Test(arguments: [UInt16(0o600), 0o660, 0o666])
    func `The file is a socket with its mode while it is held, and goes with it`(mode: UInt16)
        throws
    {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var reserved: ReservedPort? = try ReservedPort(socket: path, mode: mode)
        #expect(self.mode(of: path) == S_IFSOCK | UInt32(mode))
        #expect(reserved?.boundPort == nil)
        #expect(reserved?.address.rawValue == "unix:\(path)")
        reserved = nil
        #expect(self.mode(of: path) == nil)
    }

    @Test func `What a process left is taken over; what somebody listens on is not`() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let first = try ReservedPort(socket: path, mode: 0o600)
        let error = #expect(throws: TransportError.self) {
            try ReservedPort(socket: path, mode: 0o600)
        }
        #expect(error?.description.contains("in use") == true)
        // As after kill -9: the socket is gone, the file is not.
        close(try #require(first.take()))
        #expect(mode(of: path) != nil)
        let second = try ReservedPort(socket: path, mode: 0o660)
        #expect(mode(of: path) == S_IFSOCK | 0o660)
        // The first one's end takes nothing away that is not its own.
        first.file?.remove()
        #expect(mode(of: path) != nil)
        withExtendedLifetime(second) {}
    }

    /// Without waiting for a place in the line.
    /// - Returns: nil: there is none.
    private func connection(to path: String) -> Int32? {
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        let result = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result == 0 { return descriptor }
        close(descriptor)
        return nil
    }

    @Test(.timeLimit(.minutes(15)))
    func `A socket whose line is full is somebody's, and nobody waits there`() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (listening, file) = try SocketFile.open(path, mode: 0o600, backlog: 0)
        var clients: [Int32] = []
        while let client = connection(to: path) { clients.append(client) }
        #expect(!clients.isEmpty)
        let error = #expect(throws: TransportError.self) {
            try SocketFile.open(path, mode: 0o600, backlog: 0)
        }
        #expect(error?.description.contains("in use") == true)
        for descriptor in clients + [listening] { close(descriptor) }
        file.remove()
    }

    @Test func `A file that is no socket stays, and so does what a link leads to`() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("x".utf8).write(to: URL(filePath: path))
        #expect(throws: TransportError.self) { try ReservedPort(socket: path, mode: 0o600) }
        #expect(FileManager.default.contents(atPath: path) == Data("x".utf8))
        let link = folder + "/l"
        #expect(symlink(path, link) == 0)
        #expect(throws: TransportError.self) { try ReservedPort(socket: link, mode: 0o600) }
        #expect(FileManager.default.contents(atPath: link) == Data("x".utf8))
    }

    @Test func `A path that can't be had is named`() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for path in [folder + "/none/s", folder + "/" + String(repeating: "s", count: 120), ""] {
            let error = #expect(throws: TransportError.self) {
                try ReservedPort(socket: path, mode: 0o600)
            }
            #expect(error?.description.contains("unix:\(path)") == true)
        }
    }
}
