import Glibc
import Raft
import SQLite
import StateMachine
import Synchronization
import Testing
import Threads
import Wire

/// SQLite's log: what a checkpoint covers, and that the log starts over.
@Suite struct CheckpointTests {
    @Test func `A checkpoint covers a position only when it is complete`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
        var outcome = try database.applier.checkpoint()
        #expect(outcome.extent == .complete)
        #expect(outcome.covered == database.applier.applied.position)
        let covered = outcome.covered

        try database.execute("INSERT INTO t VALUES(2)")
        let reader = try Connection(path: database.applier.path, access: .readOnly)
        try reader.execute("BEGIN")
        #expect(try reader.integer("SELECT count(*) FROM t") == 2)
        try database.execute("INSERT INTO t VALUES(3)")
        outcome = try database.applier.checkpoint()
        #expect(outcome.extent == .partial)
        #expect(outcome.covered == covered)
        try reader.execute("COMMIT")
        outcome = try database.applier.checkpoint()
        #expect(outcome.extent == .complete)
        #expect(outcome.covered == database.applier.applied.position)
    }

    /// As a quota has it, and `ulimit -f`.
    @Test func `Files that may grow no further are a full disk for checkpoints and writes`() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            let database = try Database()
            try database.execute("CREATE TABLE t(a)")
            _ = try database.applier.checkpoint()
            try database.execute("INSERT INTO t VALUES(zeroblob(400000))")
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            var small = limit
            small.rlim_cur = 200_000
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &small)
            do throws(ApplyFault) {
                _ = try database.applier.checkpoint()
                exit(3)
            } catch {
                guard error == .diskFull else { exit(4) }
            }
            do {
                try database.execute("INSERT INTO t VALUES(zeroblob(400000))")
                exit(5)
            } catch ApplyFault.diskFull {
                // It is applied when there is room.
            }
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            guard try database.applier.checkpoint().extent == .complete else { exit(6) }
            try database.execute("INSERT INTO t VALUES(zeroblob(400000))")
            guard try database.rows("SELECT count(*) FROM t") == ["2"] else { exit(7) }
        }
    }

    /// What is sorted here does not fit in memory.
    @Test
    func `A write that finds no descriptor waits for one as for room, and a snapshot ends nothing`()
        async
    {
        await #expect(processExitsWith: .success) {
            let database = try Database()
            try database.execute("CREATE TABLE t(a)", "CREATE TABLE u(a)")
            try database.execute(
                """
                WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 20000)
                INSERT INTO t SELECT randomblob(400) FROM c
                """)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let free = open("/dev/null", O_RDONLY)
            close(free)
            var none = limit
            none.rlim_cur = rlim_t(free)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
            do {
                try database.execute("INSERT INTO u SELECT a FROM t ORDER BY a")
                exit(3)
            } catch ApplyFault.diskFull {
                // It is applied when there is one.
            }
            do throws(ApplyFault) {
                _ = try database.applier.beginSnapshot()
                exit(4)
            } catch {
                guard error.passingCause != nil else { exit(5) }
            }
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            try database.execute("INSERT INTO u SELECT a FROM t ORDER BY a")
            guard try database.rows("SELECT count(*) FROM u") == ["20000"] else { exit(6) }
            guard try database.applier.beginSnapshot() != nil else { exit(7) }
        }
    }

    /// And not for what came before it.
    @Test func `A reader is ended for what was written since it began`() throws {
        var limits = ApplierLimits()
        limits.walEvictionBytes = 1 << 20
        let database = try Database(limits: limits)
        try database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(4000000))")
        let reader = try Connection(path: database.applier.path, access: .readOnly)
        try reader.execute("BEGIN")
        #expect(try reader.integer("SELECT count(*) FROM t") == 1)
        // Something is written behind it, as it always is.
        try database.execute("INSERT INTO t VALUES(1)")
        let outcome = try database.applier.checkpoint()
        #expect(outcome.extent == .partial)
        #expect(database.applier.walBytes > limits.walEvictionBytes)
        #expect(!database.applier.isHeldBack(outcome))
        try database.execute("INSERT INTO t VALUES(zeroblob(2000000))")
        #expect(try database.applier.isHeldBack(database.applier.checkpoint()))
        try reader.execute("ROLLBACK")
        #expect(try !database.applier.isHeldBack(database.applier.checkpoint()))
    }

    /// As a backup does that copies it.
    @Test func `Of a large database readers may hold back a sixteenth`() throws {
        var limits = ApplierLimits()
        limits.walEvictionBytes = 64 << 10
        let database = try Database(limits: limits)
        try database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(8000000))")
        #expect(try database.applier.checkpoint().extent == .complete)
        // SQLite's log starts over.
        try database.execute("INSERT INTO t VALUES(1)")
        let reader = try Connection(path: database.applier.path, access: .readOnly)
        try reader.execute("BEGIN")
        #expect(try reader.integer("SELECT count(*) FROM t") == 2)
        try database.execute("INSERT INTO t VALUES(zeroblob(300000))")
        let outcome = try database.applier.checkpoint()
        #expect(outcome.extent == .partial)
        #expect(!database.applier.isHeldBack(outcome))
        // On a disk that is full it may be the log that fills it.
        #expect(database.applier.isHeldBack(outcome, lacksRoom: true))
        // Nor may it come to that.
        database.applier.room = { _ in 1_000_000 }
        #expect(database.applier.isHeldBack(outcome))
        database.applier.room = { _ in 4_000_000 }
        #expect(!database.applier.isHeldBack(outcome))
        try database.execute("INSERT INTO t VALUES(zeroblob(400000))")
        #expect(try database.applier.isHeldBack(database.applier.checkpoint()))
        try reader.execute("ROLLBACK")
        #expect(try !database.applier.isHeldBack(database.applier.checkpoint()))
    }

    @Test func `The write-ahead log starts over after a complete checkpoint`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        for _ in 0..<20 { try database.execute("INSERT INTO t VALUES(zeroblob(20000))") }
        let grown = database.applier.walBytes
        #expect(grown > 400_000)
        #expect(try database.applier.checkpoint().extent == .complete)
        try database.execute("INSERT INTO t VALUES(1)")
        #expect(database.applier.walBytes < grown / 4)
    }

    /// Where some are in flight at all times none of its moments is without one.
    @Test func `A patient checkpoint waits for reads, and the write-ahead log starts over`() throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let isOver = Mutex(false)
        let (ready, written) = (Mailbox<Bool>(), Mailbox<Bool>())
        let path = database.applier.path
        let thread = try NamedThread("reads") {
            do {
                let old = try Connection(path: path, access: .readOnly)
                try old.execute("BEGIN")
                _ = try old.integer("SELECT count(*) FROM t")
                ready.post(true)
                _ = written.take()
                let new = try Connection(path: path, access: .readOnly)
                try new.execute("BEGIN")
                _ = try new.integer("SELECT count(*) FROM t")
                ready.post(true)
                let writer = try Connection(path: path, access: .readWrite)
                // Who waits for reads keeps others from writing.
                while !isOver.withLock({ $0 }), (try? writer.execute("BEGIN IMMEDIATE")) != nil {
                    try writer.execute("ROLLBACK")
                }
                try old.execute("COMMIT")
                try new.execute("COMMIT")
            } catch {
                Issue.record(error)
                ready.post([false, false])
            }
        }
        defer {
            written.post(true)
            isOver.withLock { $0 = true }
            thread.join()
        }
        _ = ready.take(atMost: 1)
        for _ in 0..<20 { try database.execute("INSERT INTO t VALUES(zeroblob(20000))") }
        let grown = database.applier.walBytes
        written.post(true)
        _ = ready.take(atMost: 1)
        #expect(try database.applier.checkpoint().extent == .partial)
        let outcome = try database.applier.checkpoint(patience: .seconds(60))
        #expect(outcome.extent == .complete)
        #expect(outcome.covered == database.applier.applied.position)
        try database.execute("INSERT INTO t VALUES(1)")
        #expect(database.applier.walBytes < grown / 4)
    }

    @Test func `A patient checkpoint does what it can while somebody reads on`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let reader = try Connection(path: database.applier.path, access: .readOnly)
        try reader.execute("BEGIN")
        #expect(try reader.integer("SELECT count(*) FROM t") == 0)
        try database.execute("INSERT INTO t VALUES(1)")
        let outcome = try database.applier.checkpoint(patience: .milliseconds(5))
        #expect(outcome.extent == .partial)
        #expect(outcome.copiedPages > 0)
        #expect(outcome.copiedPages < outcome.walPages)
        if try database.applier.beginSnapshot(patience: .milliseconds(5)) != nil {
            Issue.record("a snapshot although somebody reads")
        }
        try database.execute("INSERT INTO t VALUES(2)")
        try reader.execute("COMMIT")
        #expect(
            try database.applier.checkpoint(patience: .milliseconds(5)).extent == .complete)
    }
}
