internal import CSQLite
internal import SQLite

/// Bounds what a command may cost, in steps of SQLite's virtual machine, so that no entry stops the
/// cluster for ever. Steps are the same on every node where time is not: so is the outcome.
final class StepBudget {
    /// What is stored of the work of a command is counted in so many steps.
    static let stepsPerCallback: Int32 = 10_000
    /// SQLite reports each time a statement has taken this many steps more.
    static let stepsPerLook: Int32 = 1_000

    /// What is left, and one more, can still be told in steps.
    private static let mostCallbacks = Int.max / Int(stepsPerCallback) - 1

    /// Work of our own functions that costs as much as a step, in bytes gone through.
    static let bytesPerStep: Int64 = 16

    /// What SQLite's own functions and operators make counts, too, by the large blocks of memory that
    /// they take: as much as a step, in bytes.
    private static let blockBytesPerStep: Int64 = 128

    /// A step may go through all the values that the statement holds: that much of them costs another
    /// step. What sorting takes is not counted, and so nothing up to its measure.
    private static let heldBytesPerStep: Int64 = 1024
    private static let heldBytesPerStepOfJSONTables: Int64 = 16_384
    private static let freeHeldBytes: Int64 = 4 << 20

    /// What is bound, or stands in the text, a step may go through as well: so many bytes of large values
    /// cost another step. Functions for JSON go through a document at every call; as tables they take
    /// it apart once, and many rows come of it.
    private static let givenBytesPerStep: Int64 = 4096
    private static let givenBytesPerStepOfJSON: Int64 = 2048
    private static let givenBytesPerStepOfJSONTables: Int64 = 16_384

    /// SQLite's own LIKE and GLOB look at each byte of a text as often as the pattern has them; ours
    /// say what they take.
    private static let patternFactor: Int64 = csqlite_can_replace_like() != 0 ? 1 : 16

    /// Modules of virtual tables go through their index within a step: a page that they ask for costs
    /// as much. Who writes asks for many of which little is looked at.
    private static let stepsPerPage = 32
    private static let stepsPerPageOfWriters = 8
    /// A step that reads a large value asks for all its pages, each time: what they cost is charged in
    /// place of the steps, where it is more.
    private static let stepsPerPageOfValues = 2
    private static let stepsPerPageOfJSON = 32

    /// Blocks below it may be pages and the like, of which a node has more or fewer in memory.
    private static let smallestBlock: Int64 = 16 << 10
    /// With small pages SQLite's cache has many of them, and its table of hashes is as large as this.
    private static let smallestBesideSmallPages: Int64 = 256 << 10

    /// A statement may be charged so much for its journal alone, which lies in one block at first, or
    /// nothing where the batch has it in a file already.
    private static let stepsForJournal = 1024 * Int(patternFactor)

    /// VACUUM makes a file, and reads and writes each page twice.
    private static let stepsPerVacuum = 100_000
    private static let stepsPerCopiedPage = 16

    /// Of SQLite's compiler, which does little else.
    private static let stepsPerAllocation = 4
    /// What a statement takes beside all that is counted: to be compiled and begun, by far the most of many small
    /// ones.
    private static let stepsPerStatement = 250
    /// What is asked of a full-text table before each statement that names it (see `ModuleMemory`).
    private static let stepsPerFullTextTable = 500

    private var limit: Int
    /// By the command so far, in callbacks.
    var used = 0
    private(set) var isExhausted = false
    /// All that was ever charged, in steps, modulo 2^64.
    private(set) var charged = 0
    /// What the command may still be charged before a first look decides nothing any more, in steps.
    private var decidable = Int.max
    /// Steps of the command that are not in `used` yet: less than a callback's.
    var remainder = 0
    /// Steps that are charged already for blocks; nil: they don't count.
    private var chargedBlocks: Int64?
    /// Bytes of large values in the statement's text, and in that of the schema that it uses.
    private var literalBytes: Int64 = 0
    private var givenBytesPerStep = StepBudget.givenBytesPerStep
    private var heldBytesPerStep = StepBudget.heldBytesPerStep
    private var factor: Int64 = 1
    private var connection: OpaquePointer?
    /// Pages that it tells of are not charged.
    var modules: ModuleMemory?
    /// Zero: pages don't count.
    private var pageCost = 0
    private var valuePageCost = 0
    /// Those that were asked for when it was looked last; nil: nobody has looked.
    private var seenPages: UInt32?
    /// No block that a virtual table's module keeps from one statement to the next is larger, but for
    /// tables of hashes: its own statements, whose size follows from the table's columns.
    private var moduleBytes: Int64 = 0

    /// `steps` must be the same on every node.
    init(steps: Int) {
        limit = max(1, steps / Int(Self.stepsPerCallback))
    }

    /// The limit from here on, for a command that begins or goes on; the same on every node.
    /// - Parameter isFirstLook: the command stands in a batch's transaction. What SQLite keeps for the
    ///   whole of one (its journal of statements, the pages that were freed in it) shows in what a
    ///   statement is charged, by what stood before it in the batch. So half of the steps are all that
    ///   is decided there; see `isInDoubt`.
    func allow(steps: UInt64, isFirstLook: Bool) {
        let callbacks = Int(clamping: steps / UInt64(Self.stepsPerCallback))
        limit = min(max(1, callbacks), Self.mostCallbacks)
        isExhausted = false
        if isFirstLook { limit /= 2 }
        decidable = isFirstLook ? Int(min(steps, 1 << 62) / 2) : .max
    }

    var text: String {
        "the request needs more than \(limit * Int(Self.stepsPerCallback)) steps of SQLite's "
            + "virtual machine: split it into smaller ones, or raise the limit on steps"
    }

    /// The budget must live as long as the connection.
    func install(on connection: borrowing Connection) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        self.connection = connection.pointer
        sqlite3_progress_handler(
            connection.pointer, Self.stepsPerLook,
            { context in
                guard let context else { return 1 }
                return Unmanaged<StepBudget>.fromOpaque(context).takeUnretainedValue().spend()
            }, context)
    }

    private func spend() -> Int32 {
        csqlite_end_nested()
        guard isCounting else { return 0 }
        let values = costOfValues(in: Int64(Self.stepsPerLook), held: csqlite_work_held())
        _ = csqlite_work_peak()
        charge(steps: Int(Self.stepsPerLook) + values)
        chargeRest()
        return isExhausted ? 1 : 0
    }

    // MARK: Work that shows in memory

    /// From here on the blocks of the statement that is about to run count; call it after `start`.
    /// - Parameters:
    ///   - compiled: the statement.
    ///   - pageSize: of the database, in bytes.
    func countBlocks(_ compiled: CompiledStatement, pageSize: UInt64) {
        let facts = compiled.facts
        switch facts.keyword {
        // What it takes is charged behind it.
        case .vacuum: return
        case .analyze: return countPages()
        case .data, .create, .pragma, .other: break
        }
        chargedBlocks = 0
        literalBytes = compiled.size.literalBytes + facts.storedLiteralBytes
        heldBytesPerStep =
            facts.usesJSONTable ? Self.heldBytesPerStepOfJSONTables : Self.heldBytesPerStep
        givenBytesPerStep =
            facts.usesJSONTable
            ? Self.givenBytesPerStepOfJSONTables
            : facts.usesJSON ? Self.givenBytesPerStepOfJSON : Self.givenBytesPerStep
        if !facts.virtualTables.isEmpty {
            pageCost = facts.writesVirtualTable ? Self.stepsPerPageOfWriters : Self.stepsPerPage
        } else {
            valuePageCost = facts.usesJSON ? Self.stepsPerPageOfJSON : Self.stepsPerPageOfValues
        }
        _ = pagesSinceLook()
        factor = facts.usesPatterns ? Self.patternFactor : 1
        let left = Int64(clamping: (limit - used + 1) * Int(Self.stepsPerCallback))
        let (bytes, isOver) = left.multipliedReportingOverflow(by: Self.blockBytesPerStep / factor)
        let smallest = Self.smallest(pageSize: Int64(clamping: pageSize))
        csqlite_limit_work(
            isOver ? .max : max(0, bytes), max(smallest, moduleBytes),
            facts.writesVirtualTable ? 1 : 0)
    }

    /// Of what ANALYZE does SQLite bounds all but this: in one step it counts the rows of a table that has no index,
    /// and asks for each of their pages. Call it after `start`.
    func countPages() {
        valuePageCost = Self.stepsPerPageOfValues
        _ = pagesSinceLook()
    }

    /// - Parameter width: of the widest virtual table: the bytes of its columns' names, and
    ///   `columnWidth` for each column.
    func noteVirtualTables(width: Int) {
        // A statement has two instructions of 24 bytes for a column, in an array that doubles; its
        // text has the name, quoted.
        moduleBytes = Int64(width) * 32
    }

    /// See `noteVirtualTables`.
    static let columnWidth = 8

    private static func smallest(pageSize: Int64) -> Int64 {
        pageSize < 2048 ? smallestBesideSmallPages : max(smallestBlock, 2 * pageSize)
    }

    /// What so many steps cost more by the values that each of them may go through.
    /// - Parameter held: the bytes of those that the statement holds.
    private func costOfValues(in steps: Int64, held: Int64) -> Int {
        guard chargedBlocks != nil else { return 0 }
        let held = max(0, held - Self.freeHeldBytes) * factor
        let given = (csqlite_bound() + literalBytes) * factor
        return Int(steps * held / heldBytesPerStep + steps * given / givenBytesPerStep)
    }

    /// What is bound from here on belongs to the statement that runs next.
    func bindingBegins() { csqlite_forget_bound() }

    /// Charges what the statement took since the last look, but for its steps; before `isExhausted` is asked. At
    /// its end, too: in a step it may have emptied a table, counted the rows of one, or gone through a value,
    /// and asked for each of their pages.
    func chargeRest() {
        if valuePageCost > 0 {
            let cost = pagesSinceLook() * valuePageCost
            charge(steps: max(0, cost - Int(Self.stepsPerLook)))
        }
        chargeBlocks()
    }

    /// … behind its last step, with what the steps may have gone through of which SQLite has not told, for they are no whole
    /// thousand. A text or view has room for hundreds of calls of a function in fewer.
    func chargeRest(behind statement: borrowing PreparedStatement) {
        let steps = statement.stepCount % Int(Self.stepsPerLook)
        charge(steps: costOfValues(in: Int64(steps), held: csqlite_work_peak()))
        chargeRest()
    }

    private func chargeBlocks() {
        guard let charged = chargedBlocks else { return }
        let found = csqlite_work() / Self.blockBytesPerStep * factor
        chargedBlocks = found
        charge(steps: Int(found - charged))
        if pageCost > 0 { charge(steps: pagesSinceLook() * pageCost) }
        if csqlite_work_exceeded() != 0 { isExhausted = true }
    }

    /// - Returns: zero at the first look.
    private func pagesSinceLook() -> Int {
        guard let connection else { return 0 }
        if seenPages == nil { csqlite_watch_pages(connection) }
        let asked = csqlite_pages_asked() &- (modules?.uncharged ?? 0)
        defer { seenPages = asked }
        return seenPages.map { Int(asked &- $0) } ?? 0
    }

    /// Counts work that SQLite's steps don't show. False: it is beyond the budget.
    func charge(bytes: Int64) -> Bool {
        guard isCounting else { return true }
        charge(steps: Int(bytes / Self.bytesPerStep))
        return !isExhausted
    }

    /// Counts the compiling of a statement: it grows with the text, and with the square of the
    /// number of its named parameters, of which SQLite keeps a list. Whether it was compiled now or
    /// kept from before makes no difference.
    func charge(textBytes: Int, parameters: Int) {
        charge(steps: Self.stepsPerStatement + textBytes + parameters * parameters / 2)
    }

    /// Counts what so many tables were asked before a statement.
    func charge(fullTextTables count: Int) { charge(steps: count * Self.stepsPerFullTextTable) }

    /// What a statement that is compiled costs beside its text: by the allocations it took, and by the
    /// lists that SQLite goes through again for each of their members (`StatementSize.steps`).
    func charge(allocations: Int64, textBytes: Int, listSteps: Int) {
        let more = allocations - CompilationMemory.free(textBytes: textBytes)
        if more > 0 { charge(steps: Int(more) * Self.stepsPerAllocation) }
        charge(steps: listSteps)
    }

    /// Counts rows that are counted again after VACUUM for what changes() says: emptying a table at
    /// once counts millions and costs nothing, and each VACUUM behind it would.
    func charge(restoredChanges count: Int64) {
        charge(steps: Int(clamping: count.multipliedReportingOverflow(by: 12).partialValue))
    }

    /// Counts a reading of the schema: a callback at least, so that many small ones show.
    func charge(reading steps: Int) {
        let perCallback = Int(Self.stepsPerCallback)
        charge(steps: max(1, (steps + perCallback - 1) / perCallback) * perCallback)
    }

    /// Counts what VACUUM copied, which its own steps, a few for each row, say nothing of.
    /// - Parameter count: the pages that the database has since.
    func charge(copiedPages count: Int64) {
        // SQLite has no more than the bound.
        let pages = Int(min(max(0, count), 1 << 32))
        charge(steps: Self.stepsPerVacuum + pages * Self.stepsPerCopiedPage)
    }

    /// What is left for what comes, to a callback; zero or less: nothing.
    var stepsLeft: Int {
        let (steps, isOver) = (limit - used + 1).multipliedReportingOverflow(
            by: Int(Self.stepsPerCallback))
        return isOver ? .max : steps
    }

    /// After a first look: the command must be judged in transactions of its own, for there it may be
    /// charged up to twice as much, or half.
    var isInDoubt: Bool { isExhausted || isSpent || decidable < 0 }

    /// Nothing is left for what comes.
    var isSpent: Bool { used > limit }

    private func charge(steps: Int) {
        let perCallback = Int(Self.stepsPerCallback)
        remainder += steps
        charged &+= steps
        decidable -= steps
        used += remainder / perCallback
        remainder %= perCallback
        if used > limit { isExhausted = true }
    }

    /// Off while our own statements run.
    private var isCounting = false

    /// SQLite reports at multiples of a count that each statement keeps over its runs, so all start
    /// at zero: the statement's own, and those of virtual tables, which live as long as the
    /// connection.
    func start(_ statement: borrowing PreparedStatement, on connection: OpaquePointer, all: Bool) {
        isExhausted = used > limit
        isCounting = true
        decidable -= Self.stepsForJournal
        guard all else { return statement.resetStepCount() }
        var next = sqlite3_next_stmt(connection, nil)
        while let current = next {
            _ = sqlite3_stmt_status(current, SQLITE_STMTSTATUS_VM_STEP, 1)
            next = sqlite3_next_stmt(connection, current)
        }
    }

    func stop() {
        isCounting = false
        chargedBlocks = nil
        pageCost = 0
        valuePageCost = 0
        seenPages = nil
        csqlite_end_page_watch()
        csqlite_unlimit_work()
    }
}
