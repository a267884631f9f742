import Chance
import Foundation

/// Does one fault after the other to a cluster, sometimes two at once, as a seed says.
final class Nemesis {
    /// What it did, and what it saw.
    struct Report: Sendable {
        /// By kind, in the order of `NemesisFault.kinds`.
        var counts = Array(repeating: 0, count: NemesisFault.kinds.count)
        /// What was done when, in seconds since the run began.
        var diary: [String] = []
        /// Processes that ended and were not killed.
        var ends: [String] = []

        /// How often each kind of fault came.
        var table: String {
            zip(NemesisFault.kinds, counts).map { "fault \($0): \($1)" }.joined(separator: "\n")
        }
    }

    /// Lets it do its work on a thread of its own.
    /// - Parameter sparing: nodes that are not killed.
    static func run(
        on site: NemesisSite, seed: UInt64, start: ContinuousClock.Instant, length: Duration,
        sparing: Set<Int> = []
    ) async throws -> Report {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                let nemesis = Nemesis(site, seed: seed, start: start, sparing: sparing)
                continuation.resume(with: Result { try nemesis.run(until: start + length) })
            }
        }
    }

    private let site: NemesisSite
    private let start: ContinuousClock.Instant
    private let spared: Set<Int>
    private var random: SplitMix64
    private var kinds: [Int] = []
    private var report = Report()
    /// What lasts, and until when.
    private var lasting: [(fault: NemesisFault, until: ContinuousClock.Instant)] = []

    init(
        _ site: NemesisSite, seed: UInt64, start: ContinuousClock.Instant, sparing: Set<Int>
    ) {
        self.site = site
        self.start = start
        spared = sparing
        random = SplitMix64(seed: seed)
    }

    private var nodes: [Daemon] { site.cluster.nodes }

    /// Blocks its thread until the time is up; then everything is healed and every process runs.
    private func run(until end: ContinuousClock.Instant) throws -> Report {
        while ContinuousClock.now < end {
            try begin()
            if random.chance(1, of: 3) { try begin() }
            while let next = lasting.map(\.until).min() {
                pause(until: min(next, end))
                try heal(at: max(next, .now))
            }
            try lookAfter()
            let quiet = ContinuousClock.now + .milliseconds(300 + random.below(1_500))
            pause(until: min(quiet, end))
        }
        try lookAfter()
        return report
    }

    /// Every kind comes once before one comes again.
    private func begin() throws {
        if kinds.isEmpty { kinds = Array(NemesisFault.kinds.indices) }
        let kind = kinds.remove(at: random.below(kinds.count))
        var fault = NemesisFault(
            kind: kind, nodes: nodes.count, leader: leader(), from: &random)
        if case .kill(let killed) = fault {
            let rest = killed.filter { !spared.contains($0) }
            guard !rest.isEmpty else { return }
            fault = .kill(rest)
        }
        guard lasting.allSatisfy({ fault.agrees(with: $0.fault) }) else {
            kinds.append(kind)
            return
        }
        note("begin", fault)
        report.counts[kind] += 1
        switch fault {
        case .losses(_, let losses): try site.network.lose(losses)
        case .pause(let paused): for node in paused { nodes[node].signal(SIGSTOP) }
        case .kill(let killed): for node in killed { nodes[node].kill() }
        case .fullDisk(let node, let spare): try site.fill(node, sparing: spare)
        case .hungWrites(let node): try site.shim.stall(node, true)
        }
        lasting.append((fault, .now + .milliseconds(500 + random.below(3_500))))
    }

    private func heal(at time: ContinuousClock.Instant) throws {
        for (fault, until) in lasting where until <= time {
            note("end", fault)
            switch fault {
            case .losses: try site.network.lose([])
            case .pause(let paused): for node in paused { nodes[node].signal(SIGCONT) }
            case .kill(let killed): for node in killed { try nodes[node].start() }
            case .fullDisk(let node, _): try site.makeRoom(node)
            case .hungWrites(let node): try site.shim.stall(node, false)
            }
        }
        lasting.removeAll { $0.until <= time }
    }

    /// Whoever runs no more ended by itself, for those that were killed run again.
    private func lookAfter() throws {
        for node in nodes where !node.isRunning {
            let words = node.log.split(separator: "\n").suffix(3).joined(separator: "\n")
            report.ends.append("\(seconds): node \(node.id) ended by itself: \(words)")
            try node.start()
        }
    }

    /// The position of the node that most recently said that it leads.
    private func leader() -> Int? {
        nodes.firstIndex { node in
            guard node.isRunning,
                let wire = try? HTTPWire(host: node.host, port: node.httpPort, timeout: 1),
                let status = try? wire.get("/status").json()
            else { return false }
            return status["store"]["raft"]["state"].string == "Leader"
        }
    }

    private var seconds: String {
        String(format: "%.1f", (ContinuousClock.now - start) / .seconds(1))
    }

    private func note(_ verb: String, _ fault: NemesisFault) {
        report.diary.append("\(seconds) \(verb): \(fault)")
    }
}
