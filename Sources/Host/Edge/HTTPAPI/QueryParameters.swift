import Raft
import Service

/// The query string of a request, parsed and checked before its path is looked at, so that a bad
/// parameter is refused even where it has no meaning. Unknown names are ignored; of a repeated
/// name the first value counts; a flag is on when its name is there, whatever its value. What the
/// row of the operation does not name is then taken out, so that it has no effect.
struct QueryParameters {
    enum Name: String, CaseIterable {
        case associative, batch, columns, compress, conflict, fmt, format, freshness, from, key,
            level, noleader, nonvoters, noparse, norwrandom, norwtime, pretty, q
        case queue, redirect, retries, sync, table, tables, timeout, timings, transaction, vacuum,
            ver
        case wait
        case minIndex = "min_index"
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
    private(set) var linearizableTimeout: Duration = Self.defaultLinearizableTimeout
    /// What a read must have seen.
    private(set) var demand: CommitDemand?

    private static let defaultTimeout: Duration = .seconds(30)
    private static let defaultLinearizableTimeout: Duration = .seconds(10)

    init() {}

    init(_ query: Substring) throws(Invalid) {
        try parse(query)
        try validate()
    }

    /// Without those that the operation has no use for; nil where there are none of these.
    func limited(to operation: HTTPOperation) -> QueryParameters? {
        guard given.contains(where: { !operation.reads($0.name) }) else { return nil }
        var rest = self
        rest.given.removeAll { !operation.reads($0.name) }
        if !operation.reads(.timeout) { rest.timeout = Self.defaultTimeout }
        if !operation.reads(.freshness) { rest.freshness = Freshness() }
        if !operation.reads(.databaseTimeout) { rest.databaseTimeout = nil }
        if !operation.reads(.linearizableTimeout) {
            rest.linearizableTimeout = Self.defaultLinearizableTimeout
        }
        if !operation.reads(.minIndex) { rest.demand = nil }
        return rest
    }

    func has(_ name: Name) -> Bool { given.contains { $0.name == name } }

    subscript(name: Name) -> String? { given.first { $0.name == name }?.value }

    /// Unknown and empty values mean the default, as rqlite has it.
    var level: ConsistencyLevel {
        // Who says what the node must have seen asks for no more than that, on any node.
        if demand != nil, self[.level] == nil { return .none }
        return switch self[.level]?.lowercased() {
        case "none": .none
        case "linearizable": .linearizable
        case "strong": .strong
        case "auto": .auto
        default: .weak
        }
    }

    private mutating func parse(_ query: Substring) throws(Invalid) {
        var query = query
        if let invalid = query.withUTF8({ parse($0) }) { throw invalid }
    }

    /// - Returns: what is wrong with the first pair that is.
    private mutating func parse(_ query: UnsafeBufferPointer<UInt8>) -> Invalid? {
        var firstError: Invalid?
        var start = 0
        while start < query.count {
            let pair = Pair(query, from: start)
            start = pair.end + 1
            if pair.hasSemicolon {
                firstError = firstError ?? Invalid(text: "invalid semicolon separator in query")
                continue
            }
            do throws(Invalid) {
                let key = try PercentDecoding.decode(pair.key, plusIsBlank: true)
                let value = try PercentDecoding.decode(pair.value, plusIsBlank: true)
                if let name = Name(rawValue: key), !has(name) { given.append((name, value)) }
            } catch {
                firstError = firstError ?? error
            }
        }
        return firstError
    }

    /// The bytes up to the next `&`.
    private struct Pair {
        let key: Slice<UnsafeBufferPointer<UInt8>>
        let value: Slice<UnsafeBufferPointer<UInt8>>
        let end: Int
        let hasSemicolon: Bool

        init(_ query: UnsafeBufferPointer<UInt8>, from start: Int) {
            var end = start
            var equals: Int?
            var hasSemicolon = false
            while end < query.count, query[end] != UInt8(ascii: "&") {
                if query[end] == UInt8(ascii: "="), equals == nil { equals = end }
                if query[end] == UInt8(ascii: ";") { hasSemicolon = true }
                end += 1
            }
            key = query[start..<(equals ?? end)]
            value = query[(equals.map { $0 + 1 } ?? end)..<end]
            self.end = end
            self.hasSemicolon = hasSemicolon
        }
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
        if let text = self[.minIndex] {
            guard let given = CommitDemand(parsing: text) else {
                throw Invalid(text: "min_index is neither an index nor a commit token")
            }
            demand = given
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
enum PercentDecoding {
    static func decode(
        _ text: Substring, plusIsBlank: Bool
    ) throws(QueryParameters.Invalid) -> String {
        var text = text
        return try text.withUTF8 { bytes -> Result<String, QueryParameters.Invalid> in
            do throws(QueryParameters.Invalid) {
                return .success(try decode(bytes[...], plusIsBlank: plusIsBlank))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    static func decode(
        _ text: Slice<UnsafeBufferPointer<UInt8>>, plusIsBlank: Bool
    ) throws(QueryParameters.Invalid) -> String {
        let text = UnsafeBufferPointer(rebasing: text)
        let isPlain = !text.contains {
            $0 == UInt8(ascii: "%") || (plusIsBlank && $0 == UInt8(ascii: "+"))
        }
        if isPlain { return String(decoding: text, as: UTF8.self) }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var next = 0
        while next < text.count {
            let byte = text[next]
            if byte == UInt8(ascii: "%") {
                guard next + 2 < text.count, let high = hexDigit(text[next + 1]),
                    let low = hexDigit(text[next + 2])
                else {
                    let escape = text[next..<min(next + 3, text.count)]
                    throw QueryParameters.Invalid(
                        text: "invalid URL escape \"\(String(decoding: escape, as: UTF8.self))\"")
                }
                decoded.append(high << 4 | low)
                next += 3
            } else {
                decoded.append(byte == UInt8(ascii: "+") && plusIsBlank ? UInt8(ascii: " ") : byte)
                next += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension CommitDemand {
    /// An index in digits, or a commit token; nil for anything else.
    init?(parsing text: String) {
        if let mark = CommitMark(text) {
            self = .mark(mark)
        } else if let index = UInt64(text), text.utf8.first != UInt8(ascii: "+") {
            self = .index(LogIndex(index))
        } else {
            return nil
        }
    }
}
