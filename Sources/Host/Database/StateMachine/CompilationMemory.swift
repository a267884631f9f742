internal import CSQLite
internal import SQLite

/// Bounds what compiling one statement may take.
///
/// SQLite reports nothing while it compiles, and a short text can stand for endless work: each of
/// forty common table expressions that names the one before twice doubles it. All that work
/// allocates memory, in the same way on every node, so the allocations are counted. The bounds grow
/// with the text, so that a long list of values is no matter; and the memory that they allow is less
/// than what a stack of 1 GiB has room for by the recursion that goes with it.
struct CompilationMemory {
    /// Allocations without a text, and per byte of it: a list of values takes two per byte.
    private static let allocations: Int64 = 8_000_000
    private static let allocationsPerByte: Int64 = 3
    private static let bytes: Int64 = 512 << 20
    private static let bytesPerByte: Int64 = 160
    private static let mostBytes: Int64 = 2 << 30

    private let shortagesBefore = Shortages.met

    /// Counts from here on, on this thread.
    /// - Parameters:
    ///   - textBytes: what is left of the text: the statement is somewhere in it.
    ///   - isPoor: the request has nothing left of its steps, so only what costs none is compiled.
    ///   - isBrief: what takes longer is compiled anew, when it may.
    init(textBytes: Int, isPoor: Bool = false, isBrief: Bool = false) {
        let text = Int64(textBytes)
        let most =
            isPoor
            ? Self.free(textBytes: textBytes) : Self.allocations + text * Self.allocationsPerByte
        csqlite_limit_memory(
            min(Self.bytes + text * Self.bytesPerByte, Self.mostBytes), 0,
            isBrief ? min(most, Self.briefAllocations) : most)
    }

    /// Some milliseconds' work.
    private static let briefAllocations: Int64 = 30_000

    /// What a statement may take beside the cost of its text: a tenth of a millisecond's work.
    private static let freeAllocations: Int64 = 1000

    static func free(textBytes: Int) -> Int64 {
        freeAllocations + Int64(textBytes) * allocationsPerByte
    }

    /// What is compiled while a statement runs, by SQLite or its modules, may take so many: until
    /// SQLite reports steps again.
    static let nestedAllocations: Int64 = allocations
    /// What connecting a virtual table may take of such allocations: some twenty for each column, of which there are
    /// 2000 at most.
    static let connectingAllocations: Int64 = 100_000

    /// Ends the count. The error in place of SQLite's "out of memory" where the statement itself
    /// brought that about, and not a lack of memory: it is the same on every node, but for a reader's, which meets what
    /// all readers hold together.
    func end(_ code: Int32) -> SQLiteError? {
        csqlite_unlimit_memory()
        guard code & 0xFF == SQLITE_NOMEM, !shortagesBefore.hasLackedMemory
        else { return nil }
        if csqlite_memory_exceeded() == 2 {
            return SQLiteError(extendedCode: SQLITE_ERROR, message: WriteRoom.readersText)
        }
        return SQLiteError(
            extendedCode: SQLITE_ERROR,
            message: "the statement is too large or too deeply nested to be compiled: split it, or "
                + "use fewer views and common table expressions in one another")
    }
}
