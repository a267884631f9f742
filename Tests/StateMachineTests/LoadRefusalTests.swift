import CSQLite
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

    @Test func `What a node lacks while it looks at a body is no fault of the body`() {
        func found(_ code: Int32) -> LoadRefusal {
            LoadRefusal(
                DirectoryError.judging("a", SQLiteError(extendedCode: code, message: "m")))
        }
        for refusal in [
            LoadRefusal(LoadFault.system("opening a", EMFILE)),
            LoadRefusal(DirectoryError.system(operation: "opening", path: "a", code: EMFILE)),
            LoadRefusal(DirectoryError.system(operation: "checking", path: "a", code: ENOSPC)),
            found(SQLITE_CANTOPEN), found(SQLITE_FULL),
        ] {
            guard case .unable = refusal.content else {
                Issue.record("\(refusal.content)")
                continue
            }
            #expect(KeptUploadFault(refusal).isOfNode)
        }
        #expect(found(SQLITE_CORRUPT).content == .unfit("m"))
    }
}
