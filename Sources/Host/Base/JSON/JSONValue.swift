/// A JSON document as a tree: for configuration, status and whatever is small. Numbers keep the text
/// they were written with and objects the order of their members, so what is read is written back.
package indirect enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// The text of a number, by JSON's grammar.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// A pair in an object; of several with one name all are kept.
    package struct Member: Equatable, Sendable {
        /// Without escapes.
        package var name: String
        /// What stands behind the colon.
        package var value: JSONValue

        package init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// Deep enough for any document of ours, shallow enough for the stack of any thread.
    package static let depthLimit = 64

    /// - Throws: `JSONError`, also for what stands behind the value and for depths beyond the
    ///   limit.
    package init(parsing text: String, depthLimit: Int = depthLimit) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), depthLimit: depthLimit)
    }

    /// - Throws: `JSONError`, also for bytes that are no UTF-8.
    package init(parsing bytes: [UInt8], depthLimit: Int = depthLimit) throws(JSONError) {
        self = try bytes.withUnsafeBufferPointer { (buffer) throws(JSONError) in
            var reader = JSONReader(UnsafeRawBufferPointer(buffer), depthLimit: depthLimit)
            let value = try JSONValue(token: reader.next(), from: &reader)
            _ = try reader.next()
            return value
        }
    }

    /// The next value of a reader, whole.
    package init(from reader: inout JSONReader) throws(JSONError) {
        try self.init(token: reader.next(), from: &reader)
    }

    private init(token: JSONToken, from reader: inout JSONReader) throws(JSONError) {
        switch token {
        case .bool(let value): self = .bool(value)
        case .number(let span): self = .number(reader.text(of: span))
        case .string(let span): self = .string(reader.text(of: span))
        case .beginArray:
            var elements: [JSONValue] = []
            while case let token = try reader.next(), token != .endArray {
                elements.append(try JSONValue(token: token, from: &reader))
            }
            self = .array(elements)
        case .beginObject:
            var members: [Member] = []
            while case .name(let span) = try reader.next() {
                let name = reader.text(of: span)
                members.append(Member(name, try JSONValue(token: reader.next(), from: &reader)))
            }
            self = .object(members)
        case .null, .name, .endArray, .endObject, .endOfInput:
            // The reader never offers the last four where a value must stand.
            self = .null
        }
    }
}

extension JSONValue {
    /// A member's value; of several with one name the last counts, as in rqlite.
    package subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// Nil for any other kind of value.
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    /// Nil for any other kind of value.
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// Nil for any other kind of value.
    package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    /// Of an object, in the order of the text; nil for any other kind of value.
    package var members: [Member]? { if case .object(let value) = self { value } else { nil } }
    /// Nil also for a number with a fraction, or one beyond 64 bits.
    package var integer: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }
    /// The nearest floating-point number; nil for any other kind of value.
    package var double: Double? { if case .number(let text) = self { Double(text) } else { nil } }

    /// With all its digits.
    package static func integer(_ value: some BinaryInteger) -> JSONValue {
        .number(String(value))
    }

    /// JSON has no infinities: they and NaN become null.
    package static func double(_ value: Double) -> JSONValue {
        guard value.isFinite else { return .null }
        var text: [UInt8] = []
        JSONText.append(value, to: &text)
        return .number(String(decoding: text, as: UTF8.self))
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .number(String(value)) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}
