import Foundation
import Histories
import Synchronization

/// Looks at nodes at equal distances and writes down what they take of the machine.
final class SoakSampler: Sendable {
    private static let header =
        "seconds,node,resident_mb,descriptors,threads,log_bytes,database_bytes,acknowledged\n"

    /// What is measured of each node, and by how much it may differ; the first three of processes that live on.
    private static let quantities: [(name: String, slack: Double)] = [
        ("resident MB", 16), ("descriptors", 8), ("threads", 4),
        // Two segments.
        ("bytes of the log", 33_554_432),
        // That much of the data itself: a row has its index, and SQLite's log may stand beside.
        ("bytes of database for each write", 60),
    ]

    private let nodes: [Daemon]
    private let path: String
    private let isStopping = Atomic(false)
    private let series = Mutex<[String: GrowthSeries]>([:])

    /// Begins at once, on a thread of its own.
    /// - Parameters:
    ///   - path: of the table, with commas.
    ///   - interval: from one sample to the next.
    ///   - judged: the IDs of the nodes whose processes live on, so that what they hold can be judged.
    ///   - acknowledged: how many writes there were so far.
    init(
        _ nodes: [Daemon], path: String, interval: Duration, judged: Set<String>,
        acknowledged: @escaping @Sendable () -> Int
    ) throws {
        self.nodes = nodes
        self.path = path
        try Self.header.write(toFile: path, atomically: true, encoding: .utf8)
        // What is never seen is a complaint, too.
        for node in nodes {
            for (place, quantity) in Self.quantities.enumerated()
            where place > 2 || judged.contains(node.id) {
                let name = Self.name(place, node)
                series.withLock { $0[name] = GrowthSeries(name, slack: quantity.slack) }
            }
        }
        let start = ContinuousClock.now
        Thread.detachNewThread { [self] in
            var due = start
            while !isStopping.load(ordering: .relaxed) {
                due += interval
                pause(until: due)
                let seconds = Int((ContinuousClock.now - start) / .seconds(1))
                for node in nodes { sample(node, at: seconds, acknowledged()) }
            }
        }
    }

    func stop() { isStopping.store(true, ordering: .relaxed) }

    /// What grows, or was seen too seldom.
    var complaints: [String] {
        series.withLock { series in
            series.keys.sorted().compactMap { series[$0]?.complaint }
        }
    }

    /// Levels of all that is judged, for a report.
    var summary: String {
        series.withLock { series in
            series.keys.sorted().compactMap { name -> String? in
                guard let one = series[name], !one.values.isEmpty else { return nil }
                let levels = one.levels
                return "\(name): settled at \(Int(levels.settled)), last \(Int(levels.last))"
            }.joined(separator: "\n")
        }
    }

    private static func name(_ place: Int, _ node: Daemon) -> String {
        "\(quantities[place].name) of node \(node.id)"
    }

    private func sample(_ node: Daemon, at seconds: Int, _ count: Int) {
        // A node that is being started again has nothing to show.
        guard node.isRunning, let taken = try? Footprint(node) else { return }
        let log = Self.size(of: node.dataDirectory + "/log") { _ in true }
        let database = Self.size(of: node.dataDirectory) { $0.hasPrefix("db-") }
        let line =
            "\(seconds),\(node.id),\(taken.residentMegabytes),\(taken.descriptors),"
            + "\(taken.threads),\(log),\(database),\(count)\n"
        if let file = FileHandle(forWritingAtPath: path) {
            _ = try? file.seekToEnd()
            try? file.write(contentsOf: Data(line.utf8))
            try? file.close()
        }
        let values = [
            taken.residentMegabytes, taken.descriptors, taken.threads, log,
            database / (count + 20_000),
        ]
        series.withLock { series in
            for (place, value) in values.enumerated() {
                series[Self.name(place, node)]?.values.append(Double(value))
            }
        }
    }

    private static func size(of directory: String, _ counts: (String) -> Bool) -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter(counts).reduce(0) { sum, name in
            var facts = stat()
            guard lstat("\(directory)/\(name)", &facts) == 0 else { return sum }
            return sum + Int(facts.st_blocks) * 512
        }
    }
}
