import Synchronization

/// Each reader has the schema in memory.
extension ReaderPool.Limits {
    /// What the schemas of all readers that serve may have together, in bytes; and those of all answers in parts.
    private static var allSchemas: Int { 2 << 30 }

    /// How many threads there may be where each has so many bytes of a schema.
    func threads(schemaBytes: Int) -> Int {
        min(threads, max(idleThreads, Self.allSchemas / max(1, schemaBytes)))
    }

    /// How many answers may go out in parts then, each with a thread of its own beside these.
    func streams(schemaBytes: Int) -> Int {
        min(streams, max(1, Self.allSchemas / max(1, schemaBytes)))
    }
}

extension ReaderPool {
    /// By the schema, as far as a reader has looked at it.
    var mostThreads: Int { limits.threads(schemaBytes: schemaBytes.load(ordering: .relaxed)) }
    var mostStreams: Int { limits.streams(schemaBytes: schemaBytes.load(ordering: .relaxed)) }

    /// Fewer than so many must serve for another one. A check of the node has one beside all others, also where
    /// there are more than the schema allows since it has grown; then one at a time.
    func growthLimit(beside serving: Int, starting: Int, hasUrgent: Bool) -> Int {
        guard hasUrgent else { return mostThreads }
        let most = mostThreads + 1
        guard serving > most else { return most }
        return starting == 0 ? min(serving, limits.threads) + 1 : most
    }
}
