import Glibc
import SQLCheck

/// `rqlite-sqlcheck`: applies histories of random SQL in all the ways in which nodes of a cluster can
/// differ, and prints those that show it.
///
///     rqlite-sqlcheck FIRST [LAST] [--entries N] [--restart-every N]
///
/// One seed is one history. Of every N-th the node also restarts after each entry.
let invocation = Invocation(Array(CommandLine.arguments.dropFirst()))
guard let invocation else {
    write("usage: rqlite-sqlcheck FIRST [LAST] [--entries N] [--restart-every N]\n", STDERR_FILENO)
    exit(2)
}
var counts = HistoryCheck.Counts()
var failed = 0
for seed in invocation.seeds {
    let report = SeedReport(
        seed: seed, entries: invocation.entries,
        restarts: seed % UInt64(invocation.restartEvery) == 0)
    counts += report.counts
    if let failure = report.failure {
        failed += 1
        write("\(failure)\n\n", STDOUT_FILENO)
    }
}
write(
    "\(invocation.seeds.count) histories, \(failed) failed; \(counts.entries) entries, "
        + "\(counts.failures) with an error, \(counts.restarts) with a restart, "
        + "\(counts.judged) judged by SQLite, \(counts.readings) answered by a reader, too\n",
    STDOUT_FILENO)
exit(failed == 0 ? 0 : 1)

func write(_ text: String, _ descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
