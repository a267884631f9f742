import Glibc
import ObjectStorage
import Scratch
import Testing

@testable import Archive

/// The file that comes of a restore.
@Suite struct OutputFileTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory("rqd-output") }

    private func file() throws -> OutputFile {
        let file = try OutputFile("\(directory.path)/made")
        try file.add([1, 2, 3])
        return file
    }

    private var name: String { "\(directory.path)/wanted" }

    @Test(arguments: [true, false])
    func `It gets its name, also where there are no links`(hasLinks: Bool) throws {
        let file = try file()
        try file.publish(as: name, unless: RestoreInterruption()) {
            guard !hasLinks else { return link($0, $1) }
            errno = EPERM
            return -1
        }
        #expect(try OutputFile.read(name) == [1, 2, 3])
        #expect(access(file.path, F_OK) != 0)
    }

    @Test(arguments: [true, false])
    func `It takes nobody's place`(hasLinks: Bool) throws {
        try TemporaryDirectory.write([9], to: name)
        let file = try file()
        #expect(throws: StorageFault.self) {
            try file.publish(as: name, unless: RestoreInterruption()) {
                guard !hasLinks else { return link($0, $1) }
                errno = EPERM
                return -1
            }
        }
        #expect(try OutputFile.read(name) == [9])
    }
}
