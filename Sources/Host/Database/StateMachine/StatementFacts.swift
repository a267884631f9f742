/// What the authorizer and the tokenizer learnt about a statement while it was compiled.
struct StatementFacts: Equatable, Sendable {
    /// Statements that open and close transactions are carried out by the session, never by
    /// SQLite itself: the transaction they would end holds other commands too.
    enum Control: Equatable, Sendable {
        case begin
        case commit
        case rollback
        case savepoint(String)
        case release(String)
        case rollbackTo(String)
    }

    /// PRAGMAs whose effect must end with the unit or the command.
    enum Switch: Equatable, Sendable {
        case foreignKeys(Bool)
        case deferForeignKeys(Bool)
        case flag(RequestFlags, Bool)
    }

    var keyword = Keyword.other
    var control: Control?
    var toggle: Switch?
    /// PRAGMA optimize: ANALYZE is run in its place, for SQLite's own judgement whether to run it
    /// depends on the node.
    var optimizes = false
    /// It inserts into a table or view by itself, not only through triggers.
    var inserts = false
    /// It is about objects of the schema, not only about rows.
    var changesSchema = false
    /// It writes the tables of statistics by which SQLite plans.
    var changesStatistics = false
    /// It goes through the schema in the order in which SQLite has it in memory.
    var followsSchemaOrder = false
    /// It asks for tables or columns by a PRAGMA as a table, which works out those of views while it runs.
    var listsTables = false
    /// It is an ALTER TABLE that works out all views and triggers while it runs: any but one that adds a column.
    var altersTable = false
    /// Something it reads may differ between nodes.
    var nodeLocal: String?
    /// A virtual table that a dump puts into the schema.
    var catalogueRow: CatalogueRow?
    /// Its LIKE tells upper from lower case (see `SensitiveLike`).
    var hasSensitiveLike = false
    /// It calls LIKE or GLOB.
    var usesPatterns = false
    /// It writes rows of a virtual table, whose module keeps memory between statements.
    var writesVirtualTable = false
    /// Those of them that are no R-Trees, in lower case, also by triggers.
    var writtenFullText: Set<ByteText> = []
    /// It writes an R-Tree.
    var writesTree = false
    /// It fires triggers that may replace rows; known where there are R-Trees.
    var mayReplace = false
    /// It may take something out of an R-Tree, also to put it in elsewhere (see `ModuleMemory`).
    var shrinksTree = false
    /// The virtual tables that it names, in lower case: their modules may go through a whole index in a
    /// step.
    var virtualTables: Set<ByteText> = []
    /// The one that it makes, in lower case.
    var newVirtualTable: ByteText?
    /// It calls `matchinfo()`, by itself or through a view or trigger.
    var usesHitCounts = false
    /// The parameters that tell it what to find out, by their numbers from 1.
    var formatParameters: Set<Int> = []
    /// It calls functions for JSON, which go through a whole document for a part of it.
    var usesJSON = false
    /// It calls `optimize()` of FTS3 and FTS4, which writes a table's index anew within a SELECT; SQLite says of that
    /// that it only reads.
    var writesByFunction = false
    /// It reads a document as a table (`json_each`, `json_tree`).
    var usesJSONTable = false
    /// The bytes of large literals in the schema that it may go through, and the objects that they are of,
    /// in lower case.
    var storedLiteralBytes: Int64 = 0
    var literalOwners: Set<ByteText> = []
    /// Names in these objects, which are views and triggers, that are looked for in columns.
    var storedLookups = ColumnLookups.Count()
    /// Names that were found in columns, as often as they were, by the tables in whose columns they were looked for.
    var foundNames = 0
    /// It makes a table, virtual or not, or a view with the name of one in which a virtual table of a dump keeps
    /// its rows.
    var shadowTable: String?
    /// It makes a view.
    var makesView = false
    /// What it makes a trigger on, and an index.
    var triggerOwner: String?
    var indexOwner: String?
    /// It asks whether foreign keys are enforced.
    var asksForeignKeys = false

    /// The authorizer is asked about a statement that is only explained as about one that runs. What
    /// the session would carry out in SQLite's place isn't to be carried out then.
    mutating func becomeThoseOfAnExplanation() {
        control = nil
        toggle = nil
        optimizes = false
        writesByFunction = false
    }
}

/// The first word of a statement, where it matters.
enum Keyword: Equatable, Sendable {
    case vacuum
    case analyze
    case pragma
    case create
    /// INSERT, REPLACE, UPDATE, DELETE, WITH.
    case data
    case other
}
