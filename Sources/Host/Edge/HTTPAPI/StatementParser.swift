import JSON
import Wire

/// Reads the body of a request: a JSON array whose elements are SQL texts, or arrays of an SQL
/// text and its parameters. What follows the array is ignored, as rqlite does.
///
/// Two things are stricter than rqlite, because it silently stores something else than what was
/// sent: integers beyond 64 bits are refused, and so are strings that aren't Unicode.
struct StatementParser {
    /// A text for the client, which gets it with status 400.
    enum Fault: Error, Equatable {
        case notJSON
        case invalidRequest
        case noStatements
        case invalidNumber(String)
        case integerTooLarge(String)
        case unsupported(type: String)
        case tooManyStatements(limit: Int)
        case tooManyParameters(limit: Int)
        case tooManyValues(limit: Int)

        /// It is the amount alone.
        var isTooMuch: Bool {
            switch self {
            case .tooManyStatements, .tooManyValues: true
            default: false
            }
        }

        var text: String {
            switch self {
            case .notJSON: "invalid JSON body"
            case .invalidRequest: "invalid request"
            case .noStatements: "no statements"
            case .invalidNumber(let number): "invalid number \(number)"
            case .integerTooLarge(let number):
                "integer \(number) does not fit in 64 bits: write it as a string, or with a "
                    + "decimal point for a floating-point number"
            case .unsupported(let type): "unsupported type \(type)"
            case .tooManyStatements(let limit):
                "more than \(limit) statements in one request: send them in several"
            case .tooManyParameters(let limit):
                "more than \(limit) parameters of one statement"
            case .tooManyValues(let limit):
                "more than \(limit) parameters of all statements of one request: send them in several"
            }
        }
    }

    private var reader: JSONReader
    private let limits: StatementLimits
    /// Of all statements so far.
    private var values = 0

    static func parse(
        _ body: UnsafeRawBufferPointer, _ limits: StatementLimits = StatementLimits()
    ) throws(Fault) -> [Statement] {
        var parser = StatementParser(reader: JSONReader(body), limits)
        do throws(Fault) {
            return try parser.statements()
        } catch .notJSON {
            throw .notJSON
        } catch  where error.isTooMuch {
            throw error
        } catch {
            // A text that is not JSON at all is reported as such, wherever its fault lies.
            var whole = JSONReader(body)
            do { try whole.skipValue() } catch { throw .notJSON }
            throw error
        }
    }

    private init(reader: JSONReader, _ limits: StatementLimits) {
        self.reader = reader
        self.limits = limits
    }

    private mutating func next() throws(Fault) -> JSONToken {
        do { return try reader.next() } catch { throw .notJSON }
    }

    private mutating func statements() throws(Fault) -> [Statement] {
        guard try next() == .beginArray else { throw .invalidRequest }
        var statements: [Statement] = []
        while true {
            let token = try next()
            if statements.count == limits.statements, token != .endArray {
                throw .tooManyStatements(limit: limits.statements)
            }
            switch token {
            case .endArray:
                if statements.isEmpty { throw .noStatements }
                return statements
            case .string(let span): statements.append(Statement(reader.text(of: span)))
            case .beginArray: statements.append(try parameterized())
            default: throw .invalidRequest
            }
        }
    }

    private mutating func parameterized() throws(Fault) -> Statement {
        guard case .string(let sql) = try next() else { throw .invalidRequest }
        var statement = Statement(reader.text(of: sql))
        var places = NamePlaces()
        while true {
            switch try next() {
            case .endArray: return statement
            case .beginObject: try named(into: &statement, &places)
            case let token:
                try count(statement)
                statement.positional.append(try value(token))
            }
        }
    }

    /// One more value is about to come for a statement.
    private mutating func count(_ statement: Statement) throws(Fault) {
        guard statement.positional.count + statement.named.count < limits.parameters else {
            throw .tooManyParameters(limit: limits.parameters)
        }
        values += 1
        if values > limits.values { throw .tooManyValues(limit: limits.values) }
    }

    /// Of members with one name the last counts, in whichever object of the statement they stand.
    private mutating func named(
        into statement: inout Statement, _ places: inout NamePlaces
    ) throws(Fault) {
        while case .name(let span) = try next() {
            let name = reader.text(of: span)
            let value = try value(next())
            if let known = places.place(of: name, in: statement.named) {
                statement.named[known].value = value
            } else {
                try count(statement)
                statement.named.append(.init(name: name, value: value))
                places.noteLast(of: statement.named)
            }
        }
    }

    private mutating func value(_ token: JSONToken) throws(Fault) -> Value {
        switch token {
        case .null: return .null
        case .bool(let value): return .integer(value ? 1 : 0)
        case .number(let span): return try number(span)
        case .string(let span):
            let text = reader.text(of: span)
            return Self.hexLiteral(text) ?? .text(text)
        case .beginArray: return .blob(try bytes())
        case .beginObject: throw .unsupported(type: "map[string]interface {}")
        // The reader offers none of these where a value stands.
        case .name, .endArray, .endObject, .endOfInput: throw .invalidRequest
        }
    }

    private func number(_ span: JSONNumberSpan) throws(Fault) -> Value {
        if let integer = reader.integer(of: span) { return .integer(integer) }
        if let real = reader.double(of: span) {
            if span.isInteger { throw .integerTooLarge(shortened(span)) }
            return .real(real)
        }
        throw .invalidNumber(shortened(span))
    }

    /// A number as a refusal shows it: it may be as long as the body.
    private func shortened(_ span: JSONNumberSpan) -> String {
        let text = reader.text(of: span)
        return text.utf8.count <= 64 ? text : "\(text.prefix(64))…"
    }

    /// An array of byte values.
    private mutating func bytes() throws(Fault) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            switch try next() {
            case .endArray: return bytes
            case .number(let span):
                guard let value = reader.integer(of: span), let byte = UInt8(exactly: value) else {
                    throw .unsupported(type: shortened(span))
                }
                bytes.append(byte)
            // The names of Go's types, which rqlite shows.
            case .string: throw .unsupported(type: "string")
            case .bool: throw .unsupported(type: "bool")
            case .null: throw .unsupported(type: "<nil>")
            case .beginArray: throw .unsupported(type: "[]interface {}")
            case .beginObject: throw .unsupported(type: "map[string]interface {}")
            case .name, .endObject, .endOfInput: throw .invalidRequest
            }
        }
    }

    /// `x'0aff'` with blanks around it, the way to send a blob as a string. Anything malformed is
    /// a text.
    private static func hexLiteral(_ text: String) -> Value? {
        var digits = Substring(text).utf8
        while let byte = digits.first, Self.isBlank(byte) { digits = digits.dropFirst() }
        guard let marker = digits.first, marker | 0x20 == UInt8(ascii: "x") else { return nil }
        while let byte = digits.last, Self.isBlank(byte) { digits = digits.dropLast() }
        let quote = UInt8(ascii: "'")
        guard digits.count >= 3, digits.dropFirst().first == quote, digits.last == quote else {
            return nil
        }
        digits = digits.dropFirst(2).dropLast()
        var blob: [UInt8] = []
        var high: UInt8?
        for byte in digits {
            guard let value = Self.hexValue(byte) else { return nil }
            if let first = high {
                blob.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return high == nil ? .blob(blob) : nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// How many statements and parameters a request may have: each takes several times as much memory as in
/// the body.
package struct StatementLimits: Sendable {
    /// Statements of a request.
    package var statements = 1 << 20
    /// Parameters of one statement: as many as SQLite has at most, on any system.
    package var parameters = 250_000
    /// Parameters of all statements of a request.
    package var values = 8 << 20

    package init() {}
}

/// Where the named parameters of one statement stand. Names are the same when their bytes are:
/// SQLite knows no equivalence of Unicode, and Swift's comparison of texts does.
private struct NamePlaces {
    /// Up to here searching the list is faster than a table.
    private static let longestSearched = 16

    /// Empty while the list is short; then it has every member.
    private var places: [[UInt8]: Int] = [:]

    func place(of name: String, in named: [Statement.Named]) -> Int? {
        if named.count <= Self.longestSearched {
            return named.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
        }
        return places[Array(name.utf8)]
    }

    /// The last member is new.
    mutating func noteLast(of named: [Statement.Named]) {
        guard named.count > Self.longestSearched else { return }
        for place in places.count..<named.count { places[Array(named[place].name.utf8)] = place }
    }
}
