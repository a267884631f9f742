import Glibc
import Raft
import Scratch
import Testing
import Wire

@testable import StateMachine

/// A load that finds no descriptor, for the file or for what SQLite opens with it.
@Suite struct LoadDescriptorTests {
    @Test func `A load waits for descriptors as for room`() async {
        await #expect(processExitsWith: .success) {
            let shell = try ShellDumpTests.Shell()
            _ = try shell.run("CREATE TABLE t(a); INSERT INTO t VALUES(1);", on: "source")
            var bytes: [UInt8] = []
            try LoadFile.read(shell.path("source")) {
                bytes += $0
                return true
            }
            let database = try Database()
            let reader = LoadReader(
                directory: database.directory.path, packedBytes: 60 << 20,
                newID: { LoadID(high: 1, low: 2) })
            let upload = reader.begin()
            _ = upload.add(bytes)
            guard case .image(let image) = upload.finish() else { exit(3) }
            let entry = Entry(
                index: database.applier.applied.position.index.next, term: Term(1),
                payload: .command(LogCommand.load(image).encoded()))
            var results: [AppliedEntry] = []
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let free = open("/dev/null", O_RDONLY)
            close(free)
            // With one the file is made, but not opened together with its journal.
            for left in 0...1 as ClosedRange<Int32> {
                var few = limit
                few.rlim_cur = rlim_t(free + left)
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &few)
                do throws(ApplyFault) {
                    try database.applier.apply([entry], reporting: { _ in true }, into: &results)
                    exit(4)
                } catch {
                    guard error == .diskFull else { exit(5) }
                }
            }
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            try database.applier.apply([entry], reporting: { _ in true }, into: &results)
            guard results.first?.result?.error == nil else { exit(6) }
            guard try database.rows("SELECT a FROM t") == ["1"] else { exit(7) }
        }
    }
}
