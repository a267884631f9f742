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

    @Test func `Who can't wait is told of a shortage at once`() {
        var attempts = 0
        #expect(throws: ThreadShortage(name: "x", code: EAGAIN)) {
            try NamedThread(
                "x", waits: false,
                create: { _, _ in
                    attempts += 1
                    return EAGAIN
                }, {})
        }
        #expect(attempts == 1)
    }

    @Test func `A thread that takes no signals blocks them all, and its maker's stay as they were`()
        throws
    {
        @Sendable func blocked() -> [Bool] {
            var mask = sigset_t()
            pthread_sigmask(SIG_SETMASK, nil, &mask)
            return [SIGHUP, SIGTERM, SIGUSR1, SIGCHLD].map { sigismember(&mask, $0) == 1 }
        }
        let before = blocked()
        let found = Mailbox<[Bool]>()
        try NamedThread("quiet", takesSignals: false) { found.post(blocked()) }.join()
        #expect(found.take() == [[true, true, true, true]])
        #expect(blocked() == before)
    }

    @Test func `A thread has the stack that was asked for, also a small one`() throws {
        let sizes = Mailbox<Int?>()
        for size in [256 << 10, 64 << 20] {
            try NamedThread("stack", stack: size) { sizes.post(Self.stackBytes()) }.join()
        }
        let found = sizes.take().compactMap { $0 }
        try #require(found.count == 2)
        // Never less. More by a few pages of the system's own, or as the stack of a thread that
        // ended is used again: the C library does so up to four times the size asked for.
        for (size, asked) in zip(found, [256 << 10, 64 << 20]) {
            #expect(size > asked - 64 << 10, "\(found)")
            #expect(size <= 4 * asked + 64 << 10, "\(found)")
        }
    }

    /// The size of the mapping that this thread's stack is.
    private static func stackBytes() -> Int? {
        var local = 0
        let place = withUnsafePointer(to: &local) { UInt(bitPattern: $0) }
        guard let file = fopen("/proc/self/maps", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 1024)
        while fgets(&line, 1024, file) != nil {
            let text = String(decoding: line.prefix { $0 != 32 }.map { UInt8($0) }, as: UTF8.self)
            let ends = text.split(separator: "-").compactMap { UInt($0, radix: 16) }
            if ends.count == 2, ends[0] <= place, place < ends[1] { return Int(ends[1] - ends[0]) }
        }
        return nil
    }
}
