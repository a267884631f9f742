import HarnessBackends
import Threads
import Time

/// Finds what grows with every round of something.
enum LeakMeter {
    /// For what is made once and kept: tables, caches, pools.
    private static let warmUp = 20
    private static let rounds = 100
    /// Bytes of each round that may stay: an allocator's own accounts.
    private static let toleratedBytes = 16
    /// Milliseconds that what is on its way out gets to be gone.
    private static let settling = 1000

    /// What stays behind, in words; nil if nothing does. A leak shows every time that one looks;
    /// what was made once and late does not.
    static func measure(
        rounds: Int = rounds, _ round: () throws(Finding) -> Void
    ) throws(Finding) -> String? {
        for _ in 0..<warmUp { try round() }
        var leak: String?
        for _ in 0..<3 {
            leak = try measureOnce(rounds, round)
            if leak == nil { break }
        }
        return leak
    }

    private static func measureOnce(
        _ rounds: Int, _ round: () throws(Finding) -> Void
    ) throws(Finding) -> String? {
        let descriptors = ProcessFacts.descriptors()
        let threads = ProcessFacts.threads()
        let bytes = ProcessFacts.allocatedBytes()
        for _ in 0..<rounds { try round() }
        let growth = ProcessFacts.allocatedBytes() - bytes
        let end = MonotonicTime.now.nanoseconds + UInt64(settling) * 1_000_000
        while true {
            let opened = ProcessFacts.descriptors().subtracting(descriptors)
            let started = ProcessFacts.threads().subtracting(threads)
            if opened.isEmpty, started.isEmpty { break }
            guard MonotonicTime.now.nanoseconds < end else {
                return "\(opened.count) descriptors and \(started.count) threads after "
                    + "\(rounds) rounds"
                    + (opened.first.map { ", one is \(ProcessFacts.target(of: $0))" } ?? "")
            }
            CurrentThread.pause(milliseconds: 5)
        }
        return growth > rounds * toleratedBytes
            ? "\(growth) bytes of memory after \(rounds) rounds" : nil
    }
}
