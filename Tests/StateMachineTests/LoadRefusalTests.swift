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
}
