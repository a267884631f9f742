internal import CSQLite

/// Small computations whose results are known to depend on the version of SQLite, its options, the C
/// library or the processor.
enum EngineProbes {
    /// Queries by subject. A query that fails, for want of a function say, has its error as result.
    private static let subjects: [(name: String, queries: [String])] = [
        (
            "numbers to text",
            [
                "SELECT CAST(\(numbers) AS TEXT) FROM \(numberRows)",
                "SELECT quote(\(numbers)), printf('%.17g %!.20g %e', \(numbers), \(numbers), "
                    + "\(numbers)) FROM \(numberRows)",
                "SELECT round(2.5), round(1.005, 2), round(0.285, 2), round(5e15 + 0.5), 1e15 || ''",
            ]
        ),
        (
            "text to numbers",
            [
                "SELECT CAST('0.1234567890123456789' AS REAL), CAST('1.7976931348623159e308' AS REAL), "
                    + "CAST('4.9e-324' AS REAL), 9007199254740993.0, 1e22, 1.1e23, "
                    + "CAST('9223372036854775808' AS INTEGER), '0x10' + 0, CAST('1_000' AS INTEGER)"
            ]
        ),
        (
            "mathematical functions",
            [
                "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "exp",
                "ln",
                "log10", "log2", "sqrt",
            ].map { "SELECT \($0)(0.7071067811865476), \($0)(0.3)" }
                + [
                    "SELECT pow(2.1, 10.7), pow(1.0000001, 1e9), atan2(0.3, -1.7), mod(1e22, 3.1), pi()",
                    "SELECT sin(1e22), exp(700.3), acosh(1.5), atanh(0.3), log(7, 1e9)",
                ]
        ),
        (
            "sums",
            [
                "SELECT sum(x), avg(x), total(x) FROM (SELECT 1e100 AS x UNION ALL SELECT 1.0 "
                    + "UNION ALL SELECT -1e100 UNION ALL SELECT 0.1)",
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                    + "SELECT sum(0.1 * i), avg(1.0 / i) FROM n",
            ]
        ),
        (
            "order and comparison of texts",
            [
                "SELECT group_concat(column1, '|') FROM (SELECT column1 FROM (VALUES('b'), ('B'), ('ä'), "
                    + "('Z'), ('é'), ('z'), (2), (1.5), (x'61')) ORDER BY column1 COLLATE NOCASE, column1)",
                "SELECT lower('ÄÉ'), upper('äßé'), 'Ä' LIKE 'ä', 'ſ' LIKE 's', x'61' LIKE 'a'",
            ]
        ),
        (
            "dates",
            [
                "SELECT julianday('2024-02-29 12:34:56.789'), strftime('%J %f %s %W %j', 2460000.123456), "
                    + "datetime('2024-01-31', '+1 month'), date('0000-01-01', '-1 day')",
                "SELECT datetime(1e10, 'unixepoch'), strftime('%f', '2024-01-01 00:00:00.9996'), "
                    + "datetime('2024-01-01 24:00:00'), unixepoch('2024-01-01', 'subsec')",
            ]
        ),
        (
            "JSON",
            [
                "SELECT json('{\"a\":1.0e5,\"b\":[1E400]}'), json_extract('[1e3,\"\\u00e9\"]', '$')",
                "SELECT json_array(0.1, 1e20, 'é'), json_quote(3.0), json_valid('{a:1}'), "
                    + "json_extract('{\"a\":12345678901234567890}', '$.a')",
            ]
        ),
    ]

    private static let numbers = "x"
    private static let numberRows = """
        (SELECT 0.1 + 0.2 AS x UNION ALL SELECT 1e23 UNION ALL SELECT 123456789.123456789 UNION ALL \
        SELECT 4.9e-324 UNION ALL SELECT 1.7976931348623157e308 UNION ALL SELECT 1 / 3.0 UNION ALL \
        SELECT -0.0 UNION ALL SELECT 1e999 UNION ALL SELECT 100.0)
        """

    static func run() -> [EngineFingerprint.Probe] {
        // Before the first use of the library in the process, whoever makes it.
        guard csqlite_register_vfs() == SQLITE_OK else { return [] }
        var database: OpaquePointer?
        defer { sqlite3_close(database) }
        guard sqlite3_open(":memory:", &database) == SQLITE_OK, let database else { return [] }
        return subjects.map { subject in
            var hash = FNV()
            for query in subject.queries { add(query, on: database, to: &hash) }
            return EngineFingerprint.Probe(name: subject.name, hash: hash.text)
        }
    }

    private static func add(_ query: String, on database: OpaquePointer, to hash: inout FNV) {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(database, query, -1, &statement, nil) == SQLITE_OK,
            let statement
        else {
            return hash.add(byte: 0xFF)
        }
        defer { sqlite3_finalize(statement) }
        while sqlite3_step(statement) == SQLITE_ROW {
            for column in 0..<sqlite3_column_count(statement) { add(statement, column, to: &hash) }
        }
        hash.add(byte: 0xFE)
    }

    private static func add(_ row: OpaquePointer, _ column: Int32, to hash: inout FNV) {
        let type = sqlite3_column_type(row, column)
        hash.add(byte: UInt8(truncatingIfNeeded: type))
        switch type {
        case SQLITE_INTEGER: hash.add(UInt64(bitPattern: sqlite3_column_int64(row, column)))
        case SQLITE_FLOAT: hash.add(sqlite3_column_double(row, column).bitPattern)
        case SQLITE_NULL: break
        default:
            let start = sqlite3_column_blob(row, column)
            let count = Int(sqlite3_column_bytes(row, column))
            for byte in UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count) {
                hash.add(byte: byte)
            }
        }
    }

    /// FNV-1a, 64 bits: nobody forges probes.
    private struct FNV {
        private var value: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(byte: UInt8) {
            value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }

        mutating func add(_ word: UInt64) {
            for shift in stride(from: 0, to: 64, by: 8) {
                add(byte: UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }

        var text: String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
    }
}
