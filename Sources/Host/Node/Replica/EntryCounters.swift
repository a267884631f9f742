import Raft
import Telemetry

/// Entries with commands that this node handed to its log, its own and those of its leader, under rqlite's names for
/// `/debug/vars`. None is packed.
struct EntryCounters: Sendable {
    private let requests: Counter
    private let plainRequests: Counter
    private let plainBytes: Counter
    private let bytesBefore: Counter
    private let commands: Counter

    init(_ metrics: MetricRegistry) {
        func proto(_ name: String) -> Counter { metrics.counter("proto", name) }
        requests = proto("num_requests")
        plainRequests = proto("num_uncompressed_requests")
        plainBytes = proto("num_uncompressed_bytes")
        bytesBefore = proto("num_precompressed_bytes")
        commands = metrics.counter("store", "num_uncompressed_commands")
    }

    func add(_ entries: [Entry]) {
        var (count, size) = (0, 0)
        for entry in entries {
            guard case .command = entry.payload else { continue }
            count += 1
            size += entry.payload.size
        }
        guard count > 0 else { return }
        requests.add(count)
        plainRequests.add(count)
        commands.add(count)
        plainBytes.add(size)
        bytesBefore.add(size)
    }
}
