import Foundation
import Testing
import Threads
import Time

/// The fuzzer of statements without a fuzzer: its seeds, and inputs that once did harm.
@Suite struct StatementSeedTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Seeds")
    private static let names =
        (try? FileManager.default.contentsOfDirectory(atPath: folder.path))?.sorted() ?? []

    @Test func `There are seeds`() {
        #expect(Self.names.count >= 20)
    }

    @Test(arguments: names)
    func `A seed ends no process, is no failure of the machine, and leaves a database that opens`(
        name: String
    ) throws {
        let bytes = try Data(contentsOf: Self.folder.appending(path: name))
        let text = String(decoding: bytes, as: UTF8.self)
        let failures = Mailbox<String>()
        try NamedThread("seed", stack: NamedThread.deepStack) {
            do throws(TrialFailure) {
                try Trial.carryOut(text)
            } catch {
                failures.post("\(error)")
            }
        }.join()
        #expect(failures.take(until: .now) == [])
    }
}
