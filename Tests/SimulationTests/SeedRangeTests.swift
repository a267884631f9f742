import Foundation
import Testing

/// `scripts/simulate` plays ranges of seeds in many processes, and says what became of each.
@Suite struct SeedRangeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// What the script prints and how it ends, when this stands in the simulator's place.
    private func simulate(by program: String) throws -> (status: Int32, text: String) {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "seeds-\(UUID().uuidString)").path
        try "#!/bin/sh\n\(program)\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        let process = Process()
        let pipe = Pipe()
        process.executableURL = Self.root.appending(path: "scripts/simulate")
        process.arguments = ["1", "30"]
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["PROGRAM": path, "JOBS": "2"]
        ) { $1 }
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    @Test func `Seeds that held are said to have held, and what was never reached is named`() throws
    {
        let run = try simulate(by: "echo 'power cuts: 3'; echo 'torn sectors: 0'")
        #expect(run.status == 0)
        #expect(run.text.contains("6  power cuts"))
        #expect(run.text.contains("never reached: torn sectors"))
        #expect(run.text.contains("30 seeds, none failed"))
    }

    @Test func `Seeds whose process was killed are not said to have held`() throws {
        let run = try simulate(by: #"[ "$1" = 1 ] || kill -9 $$"#)
        #expect(run.status == 1)
        #expect(run.text.contains("unknown what became of seeds 21 to 30"))
        #expect(!run.text.contains("none failed"))
    }

    @Test func `Options that the simulator refuses end the script`() throws {
        let run = try simulate(by: "exit 2")
        #expect(run.status != 0)
        #expect(!run.text.contains("none failed"))
    }
}
