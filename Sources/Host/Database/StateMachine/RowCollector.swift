internal import CSQLite
internal import SQLite
internal import Wire

/// Gathers the rows of a statement in the encoding in which they travel.
struct RowCollector {
    private var rows: RowSet
    private let columnCount: Int
    /// Columns whose type must still be found in a value.
    private var untypedLeft: Int
    private let byteLimit: Int
    private let keepsRows: Bool
    /// Of the rows so far.
    private(set) var byteCount = 0
    /// The result outgrew the limit; what was gathered is dropped.
    private(set) var isOverLimit = false

    /// - Parameters:
    ///   - names: of the columns, in place of what SQLite says.
    ///   - keepsRows: false: nobody wants the rows, they are only measured, so that a result beyond
    ///     the limit is one on every node.
    init(
        _ statement: borrowing PreparedStatement, names: [String]? = nil, qualifyColumns: Bool,
        byteLimit: Int, keepsRows: Bool = true
    ) {
        columnCount = statement.columnCount
        self.keepsRows = keepsRows
        self.byteLimit = byteLimit
        rows = Self.header(of: statement, names: names, qualifyColumns: qualifyColumns)
        untypedLeft = rows.types.count { $0.isEmpty }
    }

    /// Names and declared types; a column without one has the type "".
    /// - Parameter names: of the columns, in place of what SQLite says.
    static func header(
        of statement: borrowing PreparedStatement, names: [String]? = nil, qualifyColumns: Bool
    ) -> RowSet {
        let columnCount = statement.columnCount
        guard columnCount > 0 else { return RowSet(columns: [], types: []) }
        var columns: [String] = []
        var types: [String] = []
        columns.reserveCapacity(columnCount)
        types.reserveCapacity(columnCount)
        for index in 0..<columnCount {
            let name =
                names?.count == columnCount
                ? names?[index] ?? "" : statement.columnName(at: index)
            let table = qualifyColumns ? statement.columnTable(at: index) : nil
            columns.append(table.map { "\($0).\(name)" } ?? name)
            types.append(statement.declaredType(at: index)?.lowercased() ?? "")
        }
        return RowSet(columns: columns, types: types)
    }

    /// The row the statement stands on.
    mutating func add(_ statement: borrowing PreparedStatement) {
        guard !isOverLimit else { return }
        if keepsRows { keep(statement) } else { measure(statement) }
        if byteCount > byteLimit {
            isOverLimit = true
            rows.cells = []
        }
    }

    private mutating func measure(_ statement: borrowing PreparedStatement) {
        for index in 0..<columnCount {
            switch statement.type(at: index) {
            case SQLITE_INTEGER, SQLITE_FLOAT: byteCount += 9
            case SQLITE_TEXT: byteCount += 5 + statement.byteCount(at: index, isText: true)
            case SQLITE_BLOB: byteCount += 5 + statement.byteCount(at: index, isText: false)
            default: byteCount += 1
            }
        }
    }

    private mutating func keep(_ statement: borrowing PreparedStatement) {
        for index in 0..<columnCount {
            let type = statement.type(at: index)
            if untypedLeft > 0, type != SQLITE_NULL, rows.types[index].isEmpty {
                rows.types[index] = Self.name(of: type)
                untypedLeft -= 1
            }
            add(type, index, statement)
            // After each value: a row can be larger than any memory.
            if rows.cells.count > byteLimit {
                byteCount = rows.cells.count
                isOverLimit = true
                rows.cells = []
                return
            }
        }
        rows.rowCount += 1
        byteCount = rows.cells.count
    }

    func finish() -> StatementOutcome {
        isOverLimit
            ? .failed(Self.overLimitText(byteLimit))
            : .rows(rows)
    }

    static func overLimitText(_ limit: Int) -> String {
        "the result is larger than \(limit) bytes: ask for fewer rows"
    }

    private mutating func add(
        _ type: Int32, _ index: Int, _ statement: borrowing PreparedStatement
    ) {
        guard rows.cells.appendCell(type, index, of: statement) else { return }
        statement.withBytes(at: index, isText: type == SQLITE_TEXT) {
            rows.cells.append(contentsOf: $0)
        }
    }

    /// What a column without a declared type is said to hold.
    static func name(of type: Int32) -> String {
        switch type {
        case SQLITE_INTEGER: "integer"
        case SQLITE_FLOAT: "real"
        case SQLITE_BLOB: "blob"
        default: "text"
        }
    }
}

extension [UInt8] {
    /// Appends a value in the encoding in which rows travel; of a text or a blob only what stands
    /// before its bytes.
    /// - Returns: whether its bytes must follow.
    mutating func appendCell(
        _ type: Int32, _ index: Int, of statement: borrowing PreparedStatement
    ) -> Bool {
        switch type {
        case SQLITE_INTEGER:
            append(ValueTag.integer.rawValue)
            append(littleEndian: UInt64(bitPattern: statement.integer(at: index)))
        case SQLITE_FLOAT:
            append(ValueTag.real.rawValue)
            append(littleEndian: statement.real(at: index).bitPattern)
        case SQLITE_TEXT, SQLITE_BLOB:
            let isText = type == SQLITE_TEXT
            append((isText ? ValueTag.text : .blob).rawValue)
            append(littleEndian: UInt32(statement.byteCount(at: index, isText: isText)))
            return true
        default:
            append(ValueTag.null.rawValue)
        }
        return false
    }

    private mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
