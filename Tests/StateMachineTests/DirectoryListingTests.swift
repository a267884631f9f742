import Glibc
import Testing

@testable import StateMachine

@Suite struct DirectoryListingTests {
    /// A file server may fail in the middle: what is behind it would count as missing.
    @Test func `A directory that can't be listed to its end counts as one that can't be listed`()
        throws
    {
        #expect(try DatabaseDirectory.names(in: "/dev").contains("null"))
        for code in [EIO, ESTALE] {
            let error = #expect(throws: DirectoryError.self) {
                try DatabaseDirectory.names(in: "/") { _ in
                    errno = code
                    return nil
                }
            }
            #expect(error == .system(operation: "listing", path: "/", code: code))
        }
    }
}
