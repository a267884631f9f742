import Glibc
import SQLite
import Testing
import Wire

@testable import StateMachine

/// What a client hears of a body that comes to nothing.
@Suite struct LoadRefusalTests {
    @Test func `A node that can make no file says that of itself, and not of the body`() {
        let reader = LoadReader(
            directory: "/dev/null/none", packedBytes: 1000, newID: { LoadID(high: 1, low: 2) })
        let upload = reader.begin()
        for content in [upload.add(Array("SELECT 1".utf8)), upload.finish()] {
            guard case .unable(let text)? = content else {
                Issue.record("\(String(describing: content))")
                continue
            }
            #expect(text.hasPrefix("no file can be made in "), "\(text)")
        }
        let kept = reader.begin()
        _ = kept.add(Array("a,b".utf8))
        let fault = #expect(throws: KeptUploadFault.self) { _ = try kept.keep() }
        #expect(fault?.isOfNode == true)
    }

    /// As a disk, a quota or a lack of descriptors makes it.
    @Test func `What the node lacks later is no fault of the body either`() {
        func content(_ code: Int32) -> LoadContent {
            LoadRefusal(LoadFault.system("writing f", code)).content
        }
        #expect(content(EMFILE) == .unable("writing f failed: Too many open files"))
        #expect(content(EIO) == .unable("writing f failed: Input/output error"))
        for code in [ENOSPC, EDQUOT, EFBIG] {
            guard case .tooLarge = content(code) else {
                Issue.record("\(content(code))")
                continue
            }
            let fault = KeptUploadFault(LoadRefusal(LoadFault.system("writing f", code)))
            #expect(fault.isTooLarge && !fault.isOfNode)
        }
        func checked(_ code: Int32) -> LoadContent {
            let error = SQLiteError(extendedCode: code, message: "m")
            return LoadRefusal(DirectoryError.judging(error, of: "f")).content
        }
        // SQLITE_IOERR_READ, SQLITE_CANTOPEN, SQLITE_FULL and SQLITE_CORRUPT.
        #expect(checked(266) == .unable("checking f failed: m"))
        #expect(checked(14) == .unable("checking f failed: m"))
        #expect(checked(13) == .tooLarge("no room is left to check it"))
        #expect(checked(11) == .unfit("m"))
    }
}
