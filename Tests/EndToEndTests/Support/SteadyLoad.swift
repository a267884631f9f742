import Foundation
import Synchronization

/// Writes rows at a steady rate over a few kept connections, as clients behind a list of nodes do:
/// each request is sent once; a node that says `Connection: close` or refuses a connection is left
/// for the next one of the list.
final class SteadyLoad: Sendable {
    static let table = "CREATE TABLE load(worker INTEGER, seq INTEGER)"

    struct Report: Sendable {
        /// From the moment a request was due to its answer.
        var latencies: [Duration] = []
        /// The times of the answers, since the start.
        var answeredAt: [Duration] = []
        var failures: [String] = []

        var slowest: Duration { latencies.max() ?? .zero }

        func percentile(_ share: Double) -> Duration {
            let sorted = latencies.sorted()
            return sorted.isEmpty ? .zero : sorted[Int(Double(sorted.count - 1) * share)]
        }
    }

    /// Where a worker can send to. Only an end-to-end test knows its nodes' ports.
    struct Target: Sendable {
        var host: String
        var port: Int
    }

    private let targets: [Target]
    private let workers: Int
    private let interval: Duration
    private let start = ContinuousClock.now
    private let report = Mutex(Report())
    private let isStopping = Atomic(false)
    private let running: Atomic<Int>
    /// The header field `Authorization`; nil: without.
    private let authorization: Mutex<String?>

    /// - Parameters:
    ///   - rate: requests per second, of all workers together.
    ///   - client: whose credential goes with them, see `HTTPClient.speaking`.
    init(_ nodes: [Daemon], rate: Int, workers: Int = 8, as client: HTTPClient? = nil) {
        targets = nodes.map { Target(host: $0.host, port: $0.httpPort) }
        self.workers = workers
        interval = .seconds(1) * workers / rate
        running = Atomic(workers)
        authorization = Mutex(client?.authorization)
        for worker in 0..<workers {
            Thread.detachNewThread { [self] in
                work(worker)
                running.subtract(1, ordering: .sequentiallyConsistent)
            }
        }
    }

    /// What is sent from now on goes with another client's credential.
    func speak(as client: HTTPClient) {
        authorization.withLock { $0 = client.authorization }
    }

    /// Lets the requests under way end.
    func stop() async throws -> Report {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        try await eventually("the load ends", within: .seconds(40)) {
            self.running.load(ordering: .sequentiallyConsistent) == 0 ? true : nil
        }
        return report.withLock { $0 }
    }

    /// Waits until so many more requests were answered.
    func answer(_ count: Int) async throws {
        let goal = answered + count
        try await eventually("\(count) more writes are answered", within: .seconds(30)) {
            self.answered >= goal ? true : nil
        }
    }

    private var answered: Int { report.withLock { $0.latencies.count } }

    private func work(_ worker: Int) {
        var wire: HTTPWire?
        var target = worker % targets.count
        var due = start + interval * worker / workers
        var sequence = 0
        while !isStopping.load(ordering: .relaxed) {
            pause(until: due)
            let body = Data("[[\"INSERT INTO load VALUES(?,?)\",\(worker),\(sequence)]]".utf8)
            sequence += 1
            do {
                let answer = try send(body, &wire, &target)
                note(answer, due: due)
            } catch {
                note("\(error) from port \(targets[target].port)")
                wire = nil
            }
            due = max(due + interval, due)
        }
    }

    /// Goes round the nodes until one takes the connection: nothing was sent until then.
    private func send(
        _ body: Data, _ wire: inout HTTPWire?, _ target: inout Int
    ) throws -> HTTPAnswer {
        if wire?.isOver ?? false {
            wire = nil
            target = (target + 1) % targets.count
        }
        let limit = ContinuousClock.now + .seconds(5)
        while wire == nil {
            do {
                wire = try HTTPWire(
                    host: targets[target].host, port: targets[target].port, timeout: 30)
            } catch  where ContinuousClock.now < limit {
                target = (target + 1) % targets.count
            }
        }
        guard let wire else { throw HTTPWire.Failure.notSent }
        let who = authorization.withLock { $0 }.map { ["Authorization: \($0)"] } ?? []
        return try wire.post("/db/execute", headers: who, body, keepAlive: true)
    }

    private func note(_ answer: HTTPAnswer, due: ContinuousClock.Instant) {
        let now = ContinuousClock.now
        guard answer.status == 200, answer.text.contains(#""rows_affected":1"#) else {
            return note("HTTP \(answer.status): \(answer.text.prefix(200))")
        }
        report.withLock {
            $0.latencies.append(now - due)
            $0.answeredAt.append(now - start)
        }
    }

    private func note(_ failure: String) {
        report.withLock { $0.failures.append("\(ContinuousClock.now - start): \(failure)") }
    }
}
