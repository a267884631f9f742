import Service

/// The query string of a request, parsed and checked before its path is looked at, so that a bad
/// parameter is refused even where it has no meaning. Unknown names are ignored; of a repeated
/// name the first value counts; a flag is on when its name is there, whatever its value.
struct QueryParameters {
    enum Name: String {
        case associative, compress, fmt, freshness, key, level, noleader, nonvoters, pretty, q
        case queue, redirect, retries, sync, tables, timeout, timings, transaction, vacuum, ver
        case wait
        case blobArray = "blob_array"
        case databaseTimeout = "db_timeout"
        case freshnessStrict = "freshness_strict"
        case linearizableTimeout = "linearizable_timeout"
        case qualifyColumns = "qualify_columns"
        case raftIndex = "raft_index"
        case trailingLogs = "trailing_logs"
    }

    /// A text for the client, which gets it with status 400.
    struct Invalid: Error, Equatable {
        let text: String
    }

    /// Few names are ever given at once, so a list is the fastest map.
    private var given: [(name: Name, value: String)] = []
    private(set) var timeout: Duration = Self.defaultTimeout
    private(set) var freshness = Freshness()
    private(set) var databaseTimeout: Duration?
    private(set) var linearizableTimeout: Duration = .seconds(10)

    private static let defaultTimeout: Duration = .seconds(30)

    init() {}

    init(_ query: Substring) throws(Invalid) {
        try parse(query)
        try validate()
    }

    func has(_ name: Name) -> Bool { given.contains { $0.name == name } }

    subscript(name: Name) -> String? { given.first { $0.name == name }?.value }

    /// Unknown and empty values mean the default, as rqlite has it.
    var level: ConsistencyLevel {
        switch self[.level]?.lowercased() {
        case "none": .none
        case "linearizable": .linearizable
        case "strong": .strong
        case "auto": .auto
        default: .weak
        }
    }

    private mutating func parse(_ query: Substring) throws(Invalid) {
        var firstError: Invalid?
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            if pair.contains(UInt8(ascii: ";")) {
                firstError = firstError ?? Invalid(text: "invalid semicolon separator in query")
                continue
            }
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            do throws(Invalid) {
                let key = try PercentEncoding.decode(pair[..<equals], plusIsBlank: true)
                let value = try PercentEncoding.decode(
                    pair[equals...].dropFirst(), plusIsBlank: true)
                if let name = Name(rawValue: key), !has(name) { given.append((name, value)) }
            } catch {
                firstError = firstError ?? error
            }
        }
        if let firstError { throw firstError }
    }

    /// The order of the checks decides which text a client sees, so it is rqlite's.
    private mutating func validate() throws(Invalid) {
        if given.isEmpty { return }
        if has(.freshnessStrict), !has(.freshness) {
            throw Invalid(text: "freshness_strict requires freshness")
        }
        if let given = try duration(.timeout), given > .zero { timeout = given }
        // Zero means "not checked"; a negative age is always exceeded.
        if let limit = try duration(.freshness), limit != .zero {
            freshness = Freshness(limit: limit, strict: has(.freshnessStrict))
        }
        if let limit = try duration(.databaseTimeout), limit > .zero { databaseTimeout = limit }
        if let limit = try duration(.linearizableTimeout) {
            linearizableTimeout = limit > .zero ? limit : .seconds(1)
        }
        for name in [Name.retries, .trailingLogs] {
            if let text = self[name], Int64(text) == nil {
                throw Invalid(text: "\(name.rawValue) is not a valid integer")
            }
        }
        if self[.q] == "" { throw Invalid(text: "query parameter not set") }
    }

    private func duration(_ name: Name) throws(Invalid) -> Duration? {
        guard let text = self[name] else { return nil }
        guard let duration = Duration(goText: text) else {
            throw Invalid(text: "\(name.rawValue) is not a valid duration")
        }
        return duration
    }
}

/// Percent-encoding of URLs (RFC 3986 §2.1), with the error text of Go's `net/url`.
enum PercentEncoding {
    static func decode(
        _ text: Substring.UTF8View, plusIsBlank: Bool
    ) throws(QueryParameters.Invalid) -> String {
        let isPlain = !text.contains {
            $0 == UInt8(ascii: "%") || (plusIsBlank && $0 == UInt8(ascii: "+"))
        }
        if isPlain { return String(Substring(text)) }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var rest = text
        while let byte = rest.first {
            if byte == UInt8(ascii: "%") {
                let digits = rest.prefix(3).dropFirst()
                guard digits.count == 2, digits.allSatisfy(isHexDigit),
                    let value = UInt8(Substring(digits), radix: 16)
                else {
                    throw QueryParameters.Invalid(
                        text: "invalid URL escape \"\(Substring(rest.prefix(3)))\"")
                }
                decoded.append(value)
                rest = rest.dropFirst(3)
            } else {
                decoded.append(byte == UInt8(ascii: "+") && plusIsBlank ? UInt8(ascii: " ") : byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}
