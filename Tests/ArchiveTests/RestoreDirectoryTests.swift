import Foundation
import Scratch
import Testing

@testable import Archive

/// What is left of restores.
@Suite struct RestoreDirectoryTests {
    private let parent: TemporaryDirectory

    init() throws { parent = try TemporaryDirectory("rqd-restore") }

    private func fill(_ path: String) throws {
        for folder in ["tmp", "extensions"] {
            try FileManager.default.createDirectory(
                atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
            try Data("x".utf8).write(to: URL(filePath: "\(path)/\(folder)/sums.so"))
        }
    }

    private var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: parent.path) }
    }

    @Test func `Who can't wait for a restore leaves none of its directories`() throws {
        let interruption = RestoreInterruption()
        let directories = try (0..<2).map { _ in try RestoreDirectory(in: parent.path) }
        for directory in directories {
            try fill(directory.path)
            interruption.work(in: directory)
        }
        #expect(try names.count == 2)
        #expect(interruption.abandon())
        #expect(try names.isEmpty)
        interruption.leave()
        withExtendedLifetime(directories) {}
    }

    @Test func `The copies of extensions that a killed restore left go with its directory`() throws
    {
        try fill("\(parent.path)/.rqlited-restore-abcdef")
        RestoreDirectory.removeAbandoned(in: parent.path)
        #expect(try names.isEmpty)
    }

    @Test func `A place for temporary files that is named by nothing is the usual one`() {
        #expect(RestoreDirectory.usualParent { _ in "" } == "/tmp")
        #expect(RestoreDirectory.usualParent { _ in nil } == "/tmp")
        #expect(RestoreDirectory.usualParent { $0 == "TMPDIR" ? "/var/tmp" : nil } == "/var/tmp")
    }
}
