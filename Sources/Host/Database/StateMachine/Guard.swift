internal import CSQLite
internal import Glibc
internal import SQLite

/// The authorizer of a connection: what a client's SQL may touch. SQLite asks it while statements
/// are compiled, also those that it compiles again after a change of the schema or that its own
/// modules compile while another statement runs.
final class Guard {
    enum Subject: Equatable {
        /// Our own statements: everything is allowed.
        case daemon
        case client
        /// VACUUM attaches a nameless database; nothing else may be attached.
        case vacuum
    }

    var subject = Subject.daemon
    /// A client's statement runs: what is compiled now is compiled within it.
    var isRunning = false
    /// The table that a module drops, until SQLite has asked for all that belongs to it.
    private var dropped: String?
    /// Collected while a client's statement is compiled.
    var facts = StatementFacts()
    /// The statement that runs changes rows, or leaves something with modules for one that does, so that
    /// what differs between nodes is refused when it is compiled meanwhile.
    var refusesNodeLocal = false
    /// Why the last statement was refused, in words for the client.
    private(set) var denial: String?
    /// Whether the database may hold virtual tables, which run statements of their own.
    var mayHaveVirtualTables = false
    /// Those that it holds, in lower case.
    var virtualTables: Set<ByteText> = []
    /// R-Trees among them.
    var trees: Set<ByteText> = []
    /// Triggers beside R-Trees that may replace rows, in lower case.
    var replacingTriggers: Set<ByteText> = []
    /// Those that would keep too much in memory, were they written to.
    var oversized: Set<ByteText> = []
    /// What is compiled is no PRAGMA for one of the lists that we give.
    var refusesLists = false
    /// The request may put virtual tables into the schema, as dumps of SQLite's shell do.
    var acceptsCatalogueRows = false
    /// LIKE in what is compiled tells upper from lower case.
    var likeIsSensitive = false
    /// Virtual tables, in lower case, that the open transaction put into the schema and that SQLite
    /// can't see yet: it would let another object of the name in, and nobody could read the schema.
    var catalogueNames: Set<ByteText> = []
    /// Of the schema.
    var storedLiterals = StoredLiterals()
    /// The text that is compiled may mean a module by the name of a client's table, with another schema in front.
    var reachesModules = false
    /// The most tables that a SELECT of the text reads that is compiled.
    var tablesOfText = 0
    /// So many names may be found in columns when it is, each by the tables in which it is looked for.
    var mostFoundNames = Int.max
    /// The steps that planning joins may take when it is, and the allocations that it may take in any case.
    var planBound = (steps: Int.max, free: Int64(0))
    /// What the schema may have; tests set less.
    var mostSchemaBytes = SchemaSize.mostBytes
    var mostInList = SchemaNames.mostInList
    var mostIndexes = SchemaNames.mostIndexes
    var mostListed = SchemaNames.mostListed
    /// FTS3 and FTS4 merge their segments by what was written since the transaction began, so with
    /// such a table every unit is a transaction of its own.
    var needsUnits = false

    /// The guard must live as long as the connection: the connection doesn't retain it.
    func install(on connection: borrowing Connection) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        _ = sqlite3_set_authorizer(
            connection.pointer,
            { context, action, first, second, database, trigger in
                guard let context else { return SQLITE_DENY }
                let guardian = Unmanaged<Guard>.fromOpaque(context).takeUnretainedValue()
                // The hottest question by far, asked once per column read.
                if guardian.subject == .daemon { return SQLITE_OK }
                if guardian.isRunning {
                    csqlite_limit_nested(CompilationMemory.nestedAllocations)
                }
                let request = Request(
                    action: action, first: first, second: second, database: database,
                    trigger: trigger)
                return guardian.judge(request)
            }, context)
    }

    func begin(_ keyword: Keyword) {
        facts = StatementFacts()
        facts.keyword = keyword
        denial = nil
    }

    func clearDenial() {
        denial = nil
    }

    struct Request {
        var action: Int32
        var first: UnsafePointer<CChar>?
        var second: UnsafePointer<CChar>?
        var database: UnsafePointer<CChar>?
        var trigger: UnsafePointer<CChar>?

        /// It makes, changes or drops an object, or its statistics.
        var isAboutSchema: Bool {
            switch action {
            case SQLITE_CREATE_INDEX...SQLITE_CREATE_VIEW, SQLITE_DROP_INDEX...SQLITE_DROP_VIEW,
                SQLITE_ALTER_TABLE, SQLITE_REINDEX, SQLITE_ANALYZE, SQLITE_CREATE_VTABLE,
                SQLITE_DROP_VTABLE:
                true
            default: false
            }
        }

        var name: String { first.map { String(cString: $0) } ?? "" }
        var detail: String? { second.map { String(cString: $0) } }
        var isInTemporary: Bool { database.map { strcasecmp($0, "temp") == 0 } ?? false }
    }

    private func deny(_ reason: String) -> Int32 {
        denial = reason
        return SQLITE_DENY
    }

    private func judge(_ request: Request) -> Int32 {
        if !storedLiterals.isEmpty { noteLiterals(request) }
        if request.isAboutSchema {
            facts.changesSchema = true
            if !catalogueNames.isEmpty, let clash = clash(request) { return deny(clash) }
        }
        switch request.action {
        case SQLITE_ATTACH:
            if subject == .vacuum, request.name.isEmpty { return SQLITE_OK }
            return deny(
                subject == .vacuum
                    ? "VACUUM INTO is not supported: it would write a file on every node"
                    : "ATTACH is not supported: a cluster has one database")
        case _ where subject == .vacuum:
            return SQLITE_OK
        case SQLITE_DETACH:
            return deny("DETACH is not supported: a cluster has one database")
        case SQLITE_READ, SQLITE_INSERT, SQLITE_UPDATE:
            return judgeTable(request)
        case SQLITE_DELETE:
            let verdict = judgeTable(request)
            guard verdict == SQLITE_OK, isRunning, !belongsToDrop(request) else { return verdict }
            // Whether a module's own DELETE empties its table at once would depend on when it was
            // compiled: with the hook for checksums it doesn't, and modules keep their statements.
            return SQLITE_IGNORE
        case SQLITE_DROP_TABLE where isRunning:
            dropped = request.name
            return SQLITE_OK
        case SQLITE_FUNCTION:
            return judgeFunction(request)
        case SQLITE_PRAGMA:
            return judgePragma(request)
        case SQLITE_TRANSACTION, SQLITE_SAVEPOINT:
            return judgeControl(request)
        case SQLITE_ANALYZE, SQLITE_REINDEX, SQLITE_ALTER_TABLE:
            facts.followsSchemaOrder = true
            if request.action == SQLITE_ANALYZE { facts.changesStatistics = true }
            if request.action == SQLITE_ALTER_TABLE { facts.altersTable = true }
            return SQLITE_OK
        case SQLITE_CREATE_TEMP_INDEX, SQLITE_CREATE_TEMP_TABLE, SQLITE_CREATE_TEMP_TRIGGER,
            SQLITE_CREATE_TEMP_VIEW, SQLITE_DROP_TEMP_INDEX, SQLITE_DROP_TEMP_TABLE,
            SQLITE_DROP_TEMP_TRIGGER, SQLITE_DROP_TEMP_VIEW:
            return deny(Self.noTemporaryObjects)
        case SQLITE_CREATE_TABLE, SQLITE_CREATE_VIEW, SQLITE_CREATE_INDEX, SQLITE_CREATE_TRIGGER:
            if request.action == SQLITE_CREATE_VIEW { facts.makesView = true }
            if request.action == SQLITE_CREATE_TRIGGER { facts.triggerOwner = request.detail }
            if request.action == SQLITE_CREATE_INDEX { facts.indexOwner = request.detail }
            // `CREATE TABLE temp.x` is not announced as temporary.
            return request.isInTemporary ? deny(Self.noTemporaryObjects) : SQLITE_OK
        case SQLITE_CREATE_VTABLE:
            return judgeVirtualTable(request)
        default:
            return SQLITE_OK
        }
    }

    /// What must not happen beside rows of a dump that SQLite can't see yet.
    private func clash(_ request: Request) -> String? {
        let isVirtual = request.action == SQLITE_CREATE_VTABLE
        if isVirtual || request.action == SQLITE_CREATE_TABLE
            || request.action == SQLITE_CREATE_VIEW,
            ShadowTables.isName(request.name, beside: catalogueNames, isVirtual: isVirtual)
        {
            facts.shadowTable = request.name
        }
        return switch request.action {
        case SQLITE_CREATE_TABLE, SQLITE_CREATE_VIEW, SQLITE_CREATE_INDEX, SQLITE_CREATE_VTABLE:
            catalogueNames.contains(ByteText(request.name.loweredASCII.utf8))
                ? "table \(request.name) already exists" : nil
        case SQLITE_ALTER_TABLE:
            // The new name is not told.
            "ALTER TABLE must wait until the virtual tables of the dump are committed"
        default: nil
        }
    }

    static let noTemporaryObjects =
        "TEMP objects are not supported: the connection serves all clients"

    private func judgeTable(_ request: Request) -> Int32 {
        guard let first = request.first else { return SQLITE_OK }
        if request.action == SQLITE_READ, let refusal = noteName(request) { return deny(refusal) }
        if request.action == SQLITE_INSERT, request.trigger == nil { facts.inserts = true }
        let isData = facts.keyword == .data && request.action != SQLITE_READ
        if isData, !replacingTriggers.isEmpty, let trigger = request.trigger,
            replacingTriggers.contains(ByteText(String(cString: trigger).loweredASCII.utf8))
        {
            facts.mayReplace = true
        }
        if !virtualTables.isEmpty {
            let name = ByteText(request.name.loweredASCII.utf8)
            if virtualTables.contains(name) {
                facts.virtualTables.insert(name)
                if isData {
                    facts.writesVirtualTable = true
                    if trees.contains(name) {
                        facts.writesTree = true
                        if request.action != SQLITE_INSERT { facts.shrinksTree = true }
                    } else {
                        facts.writtenFullText.insert(name)
                    }
                    if oversized.contains(name) { return deny(ModuleMemory.oversizedText) }
                }
            }
        }
        if strncasecmp(first, "sqlite_", 7) == 0 {
            if strncasecmp(first, MetadataTable.namePrefix, 13) == 0 {
                guard strncasecmp(first, CSQLITE_LIST_PREFIX, strlen(CSQLITE_LIST_PREFIX)) == 0
                else { return deny("no such table: \(request.name)") }
                return judgeList(request.name, prefix: CSQLITE_LIST_PREFIX)
            }
            if strcasecmp(first, "sqlite_stmt") == 0 {
                return deny("sqlite_stmt is not supported: it shows other clients' statements")
            }
            if strcasecmp(first, "sqlite_dbpage") == 0 { return deny("not authorized") }
            // Dumps bring them; ANALYZE, DROP and ALTER write these tables on their own.
            if isData, strncasecmp(first, "sqlite_stat", 11) == 0 {
                facts.changesStatistics = true
            }
        } else if strncasecmp(first, "pragma_", 7) == 0 {
            if isClients(request.name) { return SQLITE_OK }
            facts.followsSchemaOrder = true
            return judgeList(request.name, prefix: "pragma_")
        } else if strcasecmp(first, "dbstat") == 0 {
            return isClients(request.name) ? SQLITE_OK : nodeLocal(request.name)
        } else if strcasecmp(first, "json_each") == 0 || strcasecmp(first, "json_tree") == 0 {
            facts.usesJSONTable = true
        }
        return SQLITE_OK
    }

    /// A DELETE that SQLite asks for with a DROP, of the catalogue before it and of the table behind it: passed over, the
    /// DROP would leave everything as it is, without a word.
    private func belongsToDrop(_ request: Request) -> Bool {
        if request.name == dropped {
            dropped = nil
            return true
        }
        return strncasecmp(request.name, "sqlite_", 7) == 0
    }

    /// A table or view of a client's, though a module of SQLite's has the name as well.
    private func isClients(_ name: String) -> Bool {
        // What runs was judged when it was compiled, and modules name the schema that they are in. Beside rows of a dump that
        // SQLite can't see yet what is known of the schema is not learnt anew: the table may be gone.
        catalogueNames.isEmpty && (isRunning || !reachesModules)
            && storedLiterals.likeModules.contains(ByteText(name.loweredASCII.utf8))
            // Their modules write them while the tables are made.
            || ShadowTables.isName(name, beside: virtualTables)
    }

    /// A PRAGMA as a table.
    private func judgeList(_ name: String, prefix: String) -> Int32 {
        let pragma = String(name.utf8.dropFirst(prefix.utf8.count))?.loweredASCII ?? ""
        if PragmaRules.isAboutColumns(pragma) {
            facts.listsTables = true
            // Our own list has an order for its rows; which views are worked out for themselves, and not with another
            // one, depends on that of the schema, and is charged.
            facts.followsSchemaOrder = true
        }
        if pragma == "foreign_keys" { facts.asksForeignKeys = true }
        if PragmaRules.isCheck(pragma) { noteAllLiterals() }
        return PragmaRules.isReplicated(pragma) ? SQLITE_OK : nodeLocal(name)
    }

    private func nodeLocal(_ name: String) -> Int32 {
        facts.nodeLocal = name
        return refusesNodeLocal ? deny(Self.nodeLocalText(name)) : SQLITE_OK
    }

    static func nodeLocalText(_ name: String) -> String {
        name.hasSuffix("()") && SQLExtensions.isUnsteady(String(name.dropLast(2)))
            ? "\(name) is not supported in a write, nor at level strong: its extension doesn't say that it is deterministic"
            : "\(name) is not supported in a write: nodes may differ in it"
    }

    private func judgeFunction(_ request: Request) -> Int32 {
        guard let second = request.second else { return SQLITE_OK }
        if strcasecmp(second, "load_extension") == 0 { return deny("not authorized") }
        if strcasecmp(second, "fts3_tokenizer") == 0 { return deny("not authorized") }
        if !facts.hasSensitiveLike, strcasecmp(second, CSQLITE_SENSITIVE_LIKE) == 0,
            csqlite_leaves_regexp() == 0
        {
            return deny("no such function: REGEXP")
        }
        if strcasecmp(second, "like") == 0 || strcasecmp(second, "glob") == 0 {
            facts.usesPatterns = true
        }
        if strcasecmp(second, "matchinfo") == 0 { facts.usesHitCounts = true }
        if strncasecmp(second, "json", 4) == 0 || strncmp(second, "->", 2) == 0 {
            facts.usesJSON = true
        }
        if strcasecmp(second, "optimize") == 0 {
            // A module would keep what it compiles, and run it also within a read that one node alone carries out.
            if isRunning {
                return deny("optimize() is not supported in what a virtual table reads")
            }
            facts.writesByFunction = true
            facts.writesVirtualTable = true
        }
        // All of them begin so, and few others do.
        if strncasecmp(second, "sqlite_", 7) == 0 || strncasecmp(second, "fts5_", 5) == 0 {
            let name = (request.detail ?? "").loweredASCII
            if SchemaRules.nodeLocalFunctions.contains(name) { return nodeLocal("\(name)()") }
        }
        if SQLExtensions.areThere, let name = request.detail?.loweredASCII,
            SQLExtensions.isUnsteady(name)
        {
            return nodeLocal("\(name)()")
        }
        return SQLITE_OK
    }

    private func judgePragma(_ request: Request) -> Int32 {
        facts.followsSchemaOrder = true
        let name = request.name.loweredASCII
        // Whether a connection has the daemon's table at hand depends on its history: it has no
        // columns, indexes or faults for a client, as a table that isn't there.
        if let second = request.second, strncasecmp(second, MetadataTable.namePrefix, 13) == 0 {
            return SQLITE_IGNORE
        }
        if refusesLists, PragmaStatement.isOwnList(name) {
            return deny("the argument of PRAGMA \(name) is not supported")
        }
        if name == "foreign_keys" { facts.asksForeignKeys = true }
        if PragmaRules.isCheck(name) { noteAllLiterals() }
        // A number that is set there stays, for as long as the connection lives.
        if request.isInTemporary, !PragmaRules.isAboutObjects(name) {
            return deny(Self.noTemporaryObjects)
        }
        switch PragmaRules.verdict(name, argument: request.detail) {
        case .allowed: return SQLITE_OK
        case .ignored: return SQLITE_IGNORE
        case .toggled(let toggle):
            facts.toggle = toggle
            return SQLITE_IGNORE
        case .optimize:
            facts.optimizes = true
            return SQLITE_IGNORE
        case .refused: return deny("PRAGMA \(name) is not supported")
        case .fixed:
            return deny("PRAGMA \(name) can't be changed: its connection serves all clients")
        case .disallowed: return deny("disallowed pragma")
        }
    }

    private func judgeControl(_ request: Request) -> Int32 {
        let name = request.detail ?? ""
        let control: StatementFacts.Control? =
            switch (request.action, request.name) {
            case (SQLITE_TRANSACTION, "BEGIN"): .begin
            case (SQLITE_TRANSACTION, "COMMIT"): .commit
            case (SQLITE_TRANSACTION, "ROLLBACK"): .rollback
            case (SQLITE_SAVEPOINT, "BEGIN"): .savepoint(name)
            case (SQLITE_SAVEPOINT, "RELEASE"): .release(name)
            case (SQLITE_SAVEPOINT, "ROLLBACK"): .rollbackTo(name)
            default: nil
            }
        // Modules open savepoints while they run; those are SQLite's own.
        facts.control = control
        return control == nil ? deny("not authorized") : SQLITE_OK
    }

    private func judgeVirtualTable(_ request: Request) -> Int32 {
        if request.isInTemporary { return deny(Self.noTemporaryObjects) }
        facts.newVirtualTable = ByteText(request.name.loweredASCII.utf8)
        switch request.detail?.loweredASCII {
        case "dbstat", "sqlite_stmt":
            return deny("virtual tables of this module are not supported: nodes differ in them")
        case "fts3", "fts4":
            needsUnits = true
            return SQLITE_OK
        default: return SQLITE_OK
        }
    }

    /// A statement that may make one is about to run.
    func noteVirtualTable(_ name: ByteText) {
        virtualTables.insert(name)
        mayHaveVirtualTables = true
    }
}
