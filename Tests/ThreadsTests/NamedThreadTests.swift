import Glibc
import Synchronization
import Testing
import Time

@testable import Threads

/// Threads that can be had, and those that can't.
@Suite struct NamedThreadTests {
    @Test func `A thread runs its body under its name`() throws {
        let names = Mailbox<String>()
        let thread = try NamedThread("a-name-that-is-cut") {
            var text = [CChar](repeating: 0, count: 64)
            let file = fopen("/proc/thread-self/comm", "re")
            if let file {
                fgets(&text, 64, file)
                fclose(file)
            }
            names.post(String(decoding: text.prefix { $0 > 32 }.map { UInt8($0) }, as: UTF8.self))
        }
        thread.join()
        #expect(names.take() == ["a-name-that-is-"])
    }

    @Test func `A system without threads is an error of the caller, not the end of the process`() {
        var attempts = 0
        let error = #expect(throws: ThreadShortage.self) {
            try NamedThread(
                "reader-9",
                create: { _, _ in
                    attempts += 1
                    return EAGAIN
                }, { Issue.record("it ran") })
        }
        #expect(attempts > 1)
        #expect(error?.description.contains("no thread for reader-9") == true)
        #expect(error?.description.contains("ulimit -u") == true)
    }

    @Test func `What will not pass is not tried again`() {
        var attempts = 0
        #expect(throws: ThreadShortage(name: "x", code: EPERM)) {
            try NamedThread(
                "x",
                create: { _, _ in
                    attempts += 1
                    return EPERM
                }, {})
        }
        #expect(attempts == 1)
    }
}
