import Glibc
import NodeLogic
import Scratch
import Testing

@testable import Replica

/// Who may use a data directory.
@Suite struct DirectoryLockTests {
    @Test func `Only a lock that another has is told as a directory in use`() throws {
        #expect(DirectoryLock.refusal(of: "/d", 0) == nil)
        #expect(DirectoryLock.refusal(of: "/d", EAGAIN) == .directoryInUse("/d"))
        for code in [ENOLCK, ENOSYS, EOPNOTSUPP, EIO] {
            let refusal = try #require(DirectoryLock.refusal(of: "/d", code))
            let text = "\(refusal)"
            #expect(text.contains("/d/lock") && !text.contains("another process"), "\(text)")
        }
    }

    @Test func `A directory is one process's, and free again when that lets it go`() throws {
        let directory = try TemporaryDirectory("lock")
        try withExtendedLifetime(directory) {
            try hold(directory.path) {
                #expect(throws: StartError.directoryInUse(directory.path)) {
                    try hold(directory.path) {}
                }
            }
            try hold(directory.path) {}
        }
    }

    private func hold(_ path: String, _ body: () throws -> Void) throws {
        let lock = try DirectoryLock(path)
        defer { _ = lock }
        try body()
    }
}
