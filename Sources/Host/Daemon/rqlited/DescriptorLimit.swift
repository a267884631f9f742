import Glibc
import JSON
import Settings
import Telemetry

/// The process's limit of open descriptors: raised at start as far as the system permits, and shown
/// in `/status`.
struct DescriptorLimit: Sendable {
    let budget: DescriptorBudget
    /// What only root may raise.
    private let hard: UInt64
    /// What the process was started with.
    private let before: UInt64

    /// Raises the soft limit. One that can't be raised is lived with.
    /// - Parameter readConnections: SQLite's read-only connections at most.
    init(raisingFor readConnections: Int, logger: Logger) {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else {
            budget = DescriptorBudget(limit: 1024, readConnections: readConnections)
            (hard, before) = (1024, 1024)
            logger.warning("the limit of descriptors is unknown", ["errno": errno])
            return
        }
        before = UInt64(limits.rlim_cur)
        hard = UInt64(limits.rlim_max)
        let raised = DescriptorBudget.raised(soft: before, hard: hard)
        var soft = before
        if raised > soft {
            limits.rlim_cur = rlim_t(raised)
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 {
                soft = raised
            } else {
                logger.warning(
                    "the limit of descriptors can't be raised",
                    ["limit": soft, "cause": String(cString: strerror(errno))])
            }
        }
        budget = DescriptorBudget(limit: Int(clamping: soft), readConnections: readConnections)
        if budget.reserve < Limits.ownDescriptors || budget.readers < readConnections {
            logger.warning(
                "few descriptors: raise ulimit -n, or LimitNOFILE of systemd",
                [
                    "limit": budget.limit, "connections": budget.connections,
                    "readers": budget.readers,
                ])
        }
    }

    /// `/status`, member `descriptors` of `os`.
    func document() -> JSONValue {
        .object([
            .init("connections_max", .integer(budget.connections)),
            .init("hard_limit", hard > UInt64(Int64.max) ? .null : .integer(Int64(hard))),
            .init("limit", .integer(budget.limit)),
            .init("limit_at_start", .integer(Int64(clamping: before))),
            .init("open", Self.open.map { .integer($0) } ?? .null),
            .init("reserve", .integer(budget.reserve)),
        ])
    }

    /// How many are open now.
    static var open: Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Not `.`, `..` and the directory itself.
        return max(0, count - 3)
    }
}
