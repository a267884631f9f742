import JSON

/// Members of rqlite's `/status` that describe parts which do not exist here: scripts read the names,
/// and find 0.
enum RqliteConstants {
    /// Of the store that holds rqlite's log.
    static var bolt: JSONValue {
        zeros(
            "FreeAlloc FreePageN FreelistInuse OpenTxN PendingPageN TxN",
            and: [
                .init(
                    "TxStats",
                    zeros(
                        "CursorCount NodeCount NodeDeref PageAlloc PageCount Rebalance "
                            + "RebalanceTime Spill SpillTime Split Write WriteTime"))
            ])
    }

    /// Of Go's pools of connections.
    static var pools: JSONValue {
        let pool = zeros(
            "idle in_use max_idle_closed max_idle_time_closed max_lifetime_closed "
                + "max_open_connections open_connections wait_count wait_duration")
        return .object([.init("ro", pool), .init("rw", pool)])
    }

    /// Entries are never compressed here.
    static var marshaler: JSONValue {
        zeros("compression_batch compression_size", and: [.init("force_compression", false)])
    }

    private static func zeros(_ names: String, and others: [JSONValue.Member] = []) -> JSONValue {
        .object(names.split(separator: " ").map { .init(String($0), 0) } + others)
    }
}
