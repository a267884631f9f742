import Foundation
import ServerTesting
import Testing

/// The double of Consul, `Tests/Doubles`, judged by a client that nobody here wrote: no Consul can be
/// installed where these tests run, so what the double does is what stands in Consul's pages.
@Suite struct ConsulDoubleTests {
    @Test func `py-consul finds in the double what Consul's pages promise`() throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let python = tests.deletingLastPathComponent().appending(path: ".build/python/bin/python3")
        try #require(
            FileManager.default.isExecutableFile(atPath: python.path),
            "\(python.path) is missing: scripts/test makes it, with py-consul in it")
        // Without files of bytecode among the sources.
        let script = tests.appending(path: "Doubles/drive_consul_double.py").path
        let output = try Program.run([python.path, "-B", script])
        let passed = output.split(separator: "\n").filter { $0.hasSuffix("... ok") }
        #expect(passed.count >= 18, "\(output)")
    }
}
