import Foundation
import Synchronization

/// Asks a node whether it is ready, again and again over one connection, and notes how long each
/// answer takes.
final class NodeWatch: Sendable {
    struct Report: Sendable {
        var latencies: [Duration] = []
        var failures: [String] = []

        func percentile(_ share: Double) -> Duration {
            let sorted = latencies.sorted()
            return sorted.isEmpty ? .zero : sorted[Int(Double(sorted.count - 1) * share)]
        }
    }

    private let host: String
    private let port: Int
    private let report = Mutex(Report())
    private let pacer = Pacer()
    private let isRunning = Atomic(true)

    init(_ node: Daemon) {
        host = node.host
        port = node.httpPort
        Thread.detachNewThread { [self] in
            run()
            isRunning.store(false, ordering: .sequentiallyConsistent)
        }
    }

    func stop() async throws -> Report {
        pacer.stop()
        try await eventually("the watch ends", within: .seconds(40)) {
            self.isRunning.load(ordering: .sequentiallyConsistent) ? nil : true
        }
        return report.withLock { $0 }
    }

    private func run() {
        do {
            let wire = try HTTPWire(host: host, port: port, timeout: 30)
            while pacer.wait(until: Date(timeIntervalSinceNow: 0.01)) {
                let start = ContinuousClock.now
                let answer = try wire.get("/readyz")
                let elapsed = ContinuousClock.now - start
                report.withLock { report in
                    report.latencies.append(elapsed)
                    if answer.status != 200 { report.failures.append(answer.text) }
                }
            }
        } catch {
            report.withLock { $0.failures.append("\(error)") }
        }
    }
}

/// Gives a thread its pace until it is stopped.
final class Pacer: @unchecked Sendable {
    // `@unchecked`: the flag is touched only while the condition's lock is held.
    private let condition = NSCondition()
    private var isStopped = false

    /// - Returns: false when it was stopped.
    func wait(until due: Date) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while !isStopped, condition.wait(until: due) {}
        return !isStopped
    }

    func stop() {
        condition.lock()
        isStopped = true
        condition.unlock()
        condition.broadcast()
    }
}

/// How late a thread of the test itself gets a processor: what nobody can be faster than.
final class MachineWatch: Sendable {
    private let pacer = Pacer()
    private let worst = Mutex(Duration.zero)

    init() {
        Thread.detachNewThread { [self] in
            var due = Date(timeIntervalSinceNow: 0.01)
            while pacer.wait(until: due) {
                let late = Duration.seconds(-due.timeIntervalSinceNow)
                worst.withLock { $0 = max($0, late) }
                due = Date(timeIntervalSinceNow: 0.01)
            }
        }
    }

    /// - Returns: the longest delay.
    func stop() -> Duration {
        pacer.stop()
        return worst.withLock { $0 }
    }
}
