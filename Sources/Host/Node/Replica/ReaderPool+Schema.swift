/// Each reader has the schema in memory.
extension ReaderPool.Limits {
    /// What the schemas of all readers may have together, in bytes.
    private static var allSchemas: Int { 2 << 30 }

    /// How many threads there may be where each has so many bytes of a schema.
    func threads(schemaBytes: Int) -> Int {
        min(threads, max(idleThreads, Self.allSchemas / max(1, schemaBytes)))
    }
}
