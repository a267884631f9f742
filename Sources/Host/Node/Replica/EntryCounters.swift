import Raft
import Telemetry

/// Entries with commands that this node handed to its log, its own and those of its leader, under rqlite's names for
/// `/debug/vars`. None is packed.
struct EntryCounters: Sendable {
    private let counts: [Counter]
    private let sizes: [Counter]

    init(_ metrics: MetricRegistry) {
        func proto(_ name: String) -> Counter { metrics.counter("proto", name) }
        counts = [
            proto("num_requests"), proto("num_uncompressed_requests"),
            metrics.counter("store", "num_uncompressed_commands"),
        ]
        sizes = [proto("num_uncompressed_bytes"), proto("num_precompressed_bytes")]
    }

    func add(_ entries: [Entry]) {
        var (count, size) = (0, 0)
        for entry in entries {
            guard case .command = entry.payload else { continue }
            count += 1
            size += entry.payload.size
        }
        guard count > 0 else { return }
        for counter in counts { counter.add(count) }
        for counter in sizes { counter.add(size) }
    }
}
