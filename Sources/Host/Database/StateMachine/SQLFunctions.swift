import Chance

internal import CSQLite
internal import SQLite

/// What the SQL functions of a connection know of the one who calls them.
final class FunctionContext {
    /// Where random values come from.
    enum Chance {
        /// The entry being applied.
        case entry(SplitMix64)
        /// SQLite itself: for reads, which no other node repeats.
        case engine
    }

    var chance: Chance
    /// total_changes() counts from here.
    var totalChangesBase: Int64 = 0
    /// The statement that runs changes rows.
    var refusesNodeLocal = false
    /// Counts what functions go through as work of the entry; nil on a reader.
    var budget: StepBudget?

    init(chance: Chance) {
        self.chance = chance
    }

    /// Random bytes for one call.
    func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        switch chance {
        case .entry(var generator):
            generator.fill(buffer)
            chance = .entry(generator)
        case .engine:
            sqlite3_randomness(Int32(clamping: buffer.count), buffer.baseAddress)
        }
    }

    func nextInteger() -> UInt64 {
        switch chance {
        case .entry(var generator):
            let value = generator.next()
            chance = .entry(generator)
            return value
        case .engine:
            var value: UInt64 = 0
            sqlite3_randomness(8, &value)
            return value
        }
    }
}

/// The SQL functions we add to SQLite's, and those that we replace for the sake of equal replicas.
/// Every connection has all of them, with the same properties: those decide what a schema may hold.
enum SQLFunctions {
    private typealias Function =
        @convention(c) (
            OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?
        ) -> Void

    private static let pure = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
    private static let impure = SQLITE_UTF8 | SQLITE_INNOCUOUS

    /// The connection keeps the context alive.
    static func register(on connection: borrowing Connection, context: FunctionContext)
        throws(SQLiteError)
    {
        let db = connection.pointer
        // Functions that newer versions of SQLite have built in.
        try register("unhex", 1, pure, context, unhex, on: db)
        try register("unhex", 2, pure, context, unhex, on: db)
        try register("octet_length", 1, pure, nil, octetLength, on: db)
        try register("concat", -1, pure, context, concat, on: db)
        try register("concat_ws", -1, pure, context, concatWithSeparator, on: db)
        try registerLinear(on: db, context)
        try register("random", 0, impure, context, random, on: db)
        try register("randomblob", 1, impure, context, randomBlob, on: db)
        try register("total_changes", 0, impure, context, totalChanges, on: db)
        // They can't be stored in a schema any more (see `SchemaRules`); pure, as they are within a
        // build, they let schemas be read that hold them since before.
        try register("sqlite_version", 0, pure, context, version, on: db)
        try register("sqlite_source_id", 0, pure, context, sourceID, on: db)
        try register("sqlite_compileoption_used", 1, pure, context, compileOption, on: db)
        try register("sqlite_compileoption_get", 1, pure, context, compileOption, on: db)
    }

    private static func register(
        _ name: String, _ arguments: Int32, _ flags: Int32, _ context: FunctionContext?,
        _ function: @escaping Function, on connection: OpaquePointer
    ) throws(SQLiteError) {
        // SQLite also lets go of it when it refuses the function.
        let pointer = context.map { Unmanaged.passRetained($0).toOpaque() }
        let rc = sqlite3_create_function_v2(
            connection, name, arguments, flags, pointer, function, nil, nil,
            { pointer in
                if let pointer { Unmanaged<FunctionContext>.fromOpaque(pointer).release() }
            })
        guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, connection: connection) }
    }

    private static func context(_ call: OpaquePointer?) -> FunctionContext? {
        sqlite3_user_data(call).map {
            Unmanaged<FunctionContext>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private static let random: Function = { call, _, _ in
        guard let context = context(call) else { return sqlite3_result_error_nomem(call) }
        var value = Int64(bitPattern: context.nextInteger())
        // Like SQLite's own, it never yields the integer that has no absolute value.
        if value < 0 { value = -(value & Int64.max) }
        sqlite3_result_int64(call, value)
    }

    private static let randomBlob: Function = { call, _, arguments in
        guard let context = context(call) else { return sqlite3_result_error_nomem(call) }
        let count = max(1, sqlite3_value_int64(arguments?[0]))
        let limit = sqlite3_limit(sqlite3_context_db_handle(call), SQLITE_LIMIT_LENGTH, -1)
        guard count <= Int64(limit) else { return sqlite3_result_error_toobig(call) }
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, initialized in
            context.fill(UnsafeMutableRawBufferPointer(buffer))
            initialized = Int(count)
        }
        bytes.withUnsafeBytes { csqlite_result_blob(call, $0.baseAddress, UInt64($0.count)) }
    }

    private static let totalChanges: Function = { call, _, _ in
        guard let context = context(call) else { return sqlite3_result_error_nomem(call) }
        let total = sqlite3_total_changes64(sqlite3_context_db_handle(call))
        sqlite3_result_int64(call, total - context.totalChangesBase)
    }

    private static func refusesNodeLocal(_ call: OpaquePointer?, _ name: String) -> Bool {
        guard context(call)?.refusesNodeLocal ?? true else { return false }
        sqlite3_result_error(call, Guard.nodeLocalText(name), -1)
        return true
    }

    private static let version: Function = { call, _, _ in
        if refusesNodeLocal(call, "sqlite_version()") { return }
        setText(call, Engine.version)
    }

    private static let sourceID: Function = { call, _, _ in
        if refusesNodeLocal(call, "sqlite_source_id()") { return }
        setText(call, Engine.sourceID)
    }

    private static let compileOption: Function = { call, _, arguments in
        if refusesNodeLocal(call, "sqlite_compileoption()") { return }
        let argument = arguments?[0]
        if sqlite3_value_type(argument) == SQLITE_INTEGER {
            let option = sqlite3_compileoption_get(sqlite3_value_int(argument))
            option.map { setText(call, String(cString: $0)) } ?? sqlite3_result_null(call)
        } else if let name = sqlite3_value_text(argument) {
            sqlite3_result_int(call, sqlite3_compileoption_used(name))
        }
    }

    private static func setText(_ call: OpaquePointer?, _ text: String) {
        setText(call, Array(text.utf8))
    }

    private static func setText(_ call: OpaquePointer?, _ utf8: [UInt8]) {
        utf8.withUnsafeBytes {
            let start = $0.baseAddress?.assumingMemoryBound(to: CChar.self)
            if let start {
                csqlite_result_text(call, start, UInt64($0.count))
            } else {
                csqlite_result_text(call, "", 0)
            }
        }
    }

    /// The bytes of an argument as text.
    private static func bytes(_ argument: OpaquePointer?) -> [UInt8] {
        guard let text = sqlite3_value_text(argument) else { return [] }
        let count = Int(sqlite3_value_bytes(argument))
        return Array(UnsafeBufferPointer(start: text, count: count))
    }

    private static let octetLength: Function = { call, _, arguments in
        let argument = arguments?[0]
        switch sqlite3_value_type(argument) {
        case SQLITE_NULL: sqlite3_result_null(call)
        case SQLITE_BLOB: sqlite3_result_int64(call, Int64(sqlite3_value_bytes(argument)))
        default:
            _ = sqlite3_value_text(argument)
            sqlite3_result_int64(call, Int64(sqlite3_value_bytes(argument)))
        }
    }

    private static let unhex: Function = { call, count, arguments in
        guard let arguments else { return sqlite3_result_null(call) }
        for index in 0..<Int(count) where sqlite3_value_type(arguments[index]) == SQLITE_NULL {
            return sqlite3_result_null(call)
        }
        let given = (bytes(arguments[0]), count == 2 ? bytes(arguments[1]) : [])
        // To look at a character is about as much work as going through it eight times.
        guard mayGoThrough(8 * (given.0.count + given.1.count), in: call) else { return }
        let ignored = String(decoding: given.1, as: UTF8.self)
        let text = String(decoding: given.0, as: UTF8.self)
        guard let decoded = decodeHex(text, ignoring: Set(ignored.unicodeScalars)) else {
            return sqlite3_result_null(call)
        }
        decoded.withUnsafeBytes {
            if let start = $0.baseAddress {
                csqlite_result_blob(call, start, UInt64($0.count))
            } else {
                sqlite3_result_zeroblob(call, 0)
            }
        }
    }

    /// The characters to ignore may stand between pairs of digits, not within one.
    private static func decodeHex(_ text: String, ignoring: Set<Unicode.Scalar>) -> [UInt8]? {
        var result: [UInt8] = []
        var high: UInt8?
        for scalar in text.unicodeScalars {
            guard let digit = hexDigit(scalar) else {
                guard high == nil, ignoring.contains(scalar) else { return nil }
                continue
            }
            if let first = high {
                result.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return high == nil ? result : nil
    }

    private static func hexDigit(_ scalar: Unicode.Scalar) -> UInt8? {
        switch scalar {
        case "0"..."9": UInt8(scalar.value - 0x30)
        case "a"..."f": UInt8(scalar.value - 0x61 + 10)
        case "A"..."F": UInt8(scalar.value - 0x41 + 10)
        default: nil
        }
    }

    private static let concat: Function = { call, count, arguments in
        guard count > 0, let arguments else {
            return sqlite3_result_error(
                call, "wrong number of arguments to function concat()", -1)
        }
        join((0..<Int(count)).map { arguments[$0] }, separator: nil, in: call)
    }

    private static let concatWithSeparator: Function = { call, count, arguments in
        guard count > 1, let arguments else {
            return sqlite3_result_error(
                call, "wrong number of arguments to function concat_ws()", -1)
        }
        if sqlite3_value_type(arguments[0]) == SQLITE_NULL { return sqlite3_result_null(call) }
        let values = (1..<Int(count)).map { arguments[$0] }
            .filter { sqlite3_value_type($0) != SQLITE_NULL }
        join(values, separator: arguments[0], in: call)
    }

    /// Gives the texts of values in one, with the separator between them.
    ///
    /// How long it gets is asked before it is made: SQLite would refuse what is too long only then, and the
    /// arguments of one call may be a hundred times as much as that.
    private static func join(
        _ values: [OpaquePointer?], separator: OpaquePointer?, in call: OpaquePointer?
    ) {
        let between = textBytes(separator)
        let pieces = values.map { textBytes($0) }
        let count =
            pieces.reduce(0) { $0 + $1.count } + max(0, pieces.count - 1) * between.count
        let limit = sqlite3_limit(sqlite3_context_db_handle(call), SQLITE_LIMIT_LENGTH, -1)
        guard count <= Int(limit) else { return sqlite3_result_error_toobig(call) }
        guard mayGoThrough(count, in: call) else { return }
        var text: [UInt8] = []
        text.reserveCapacity(count)
        for (index, piece) in pieces.enumerated() {
            if index > 0 { text.append(contentsOf: between) }
            text.append(contentsOf: piece)
        }
        setText(call, text)
    }

    /// The bytes of a value as text, where SQLite has them: until something else is asked of the value. None for
    /// NULL.
    private static func textBytes(_ value: OpaquePointer?) -> UnsafeBufferPointer<UInt8> {
        guard let value, let text = sqlite3_value_text(value) else {
            return UnsafeBufferPointer(start: nil, count: 0)
        }
        return UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value)))
    }

    /// Counts what a call goes through, in bytes, as work of the entry. False: it is beyond the budget, and the
    /// call's error is set.
    private static func mayGoThrough(_ bytes: Int, in call: OpaquePointer?) -> Bool {
        guard let budget = context(call)?.budget, !budget.charge(bytes: Int64(bytes)) else {
            return true
        }
        sqlite3_result_error(call, budget.text, -1)
        return false
    }

    // MARK: Bounds

    /// Those of SQLite's functions that need time without bound, in place of its own. The context
    /// must live as long as the connection.
    private static func registerLinear(on db: OpaquePointer, _ context: FunctionContext)
        throws(SQLiteError)
    {
        let pointer = Unmanaged.passUnretained(context).toOpaque()
        for register in [
            csqlite_register_text_functions, csqlite_register_patterns, csqlite_register_full_text,
        ] {
            let rc = register(db, charge, pointer)
            guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, connection: db) }
        }
    }

    /// What the functions go through counts as work of the entry.
    private static let charge: csqlite_charge = { context, call, bytes in
        guard let context,
            let budget = Unmanaged<FunctionContext>.fromOpaque(context).takeUnretainedValue().budget
        else { return 1 }
        if budget.charge(bytes: bytes) { return 1 }
        sqlite3_result_error(call, budget.text, -1)
        return 0
    }
}
