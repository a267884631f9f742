/// Reads JSON (RFC 8259, strictly) token by token, without building a tree and without allocating:
/// the hot path of requests fills its own values straight from the tokens.
///
///     bytes.withUnsafeBytes { buffer in
///         var reader = JSONReader(buffer)
///         while case let token = try reader.next(), token != .endOfInput { … }
///     }
///
/// The reader checks commas, colons and nesting; after an error it must not be used again. What is
/// stricter than common parsers: strings must be UTF-8 and surrogates must come in pairs, because
/// replacing them would silently change what a client asked to store.
package struct JSONReader {
    /// The kinds of the open containers fit one word: bit n tells whether level n is an object.
    package static let greatestDepth = 64

    let bytes: UnsafeRawBufferPointer
    /// Bytes read so far; while a token is at hand, the first byte after it.
    package internal(set) var offset = 0
    /// Containers open now.
    package private(set) var depth = 0
    private var objects: UInt64 = 0
    private var state = State.value
    private let depthLimit: Int

    private enum State {
        case value
        case valueOrEndOfArray
        case nameOrEndOfObject
        case commaOrEnd
        case end
    }

    /// The buffer must outlive the reader.
    package init(_ bytes: UnsafeRawBufferPointer, depthLimit: Int = greatestDepth) {
        precondition(
            (0...Self.greatestDepth).contains(depthLimit), "depth limit \(depthLimit) of 64")
        self.bytes = bytes
        self.depthLimit = depthLimit
    }

    /// The next token.
    /// - Throws: `JSONError` with the place; nothing is to be read after that.
    package mutating func next() throws(JSONError) -> JSONToken {
        skipSpace()
        switch state {
        case .value: return try value(expected: "a value")
        case .valueOrEndOfArray:
            if peek() == Byte.endArray { return close() }
            return try value(expected: "a value or ']'")
        case .nameOrEndOfObject:
            if peek() == Byte.endObject { return close() }
            return try name(expected: "a member's name or '}'")
        case .commaOrEnd: return try commaOrEnd()
        case .end:
            if let byte = peek() { throw fault(.trailingText(byte: byte)) }
            return .endOfInput
        }
    }

    /// Reads the next value whole and drops it.
    package mutating func skipValue() throws(JSONError) {
        let outer = depth
        repeat { _ = try next() } while depth > outer
    }

    private var inObject: Bool { objects & (1 << UInt64(depth - 1)) != 0 }

    private mutating func commaOrEnd() throws(JSONError) -> JSONToken {
        let end = inObject ? Byte.endObject : Byte.endArray
        guard let byte = peek() else { throw missing(inObject ? "',' or '}'" : "',' or ']'") }
        if byte == end { return close() }
        guard byte == Byte.comma else { throw missing(inObject ? "',' or '}'" : "',' or ']'") }
        offset += 1
        skipSpace()
        return inObject ? try name(expected: "a member's name") : try value(expected: "a value")
    }

    private mutating func name(expected: String) throws(JSONError) -> JSONToken {
        guard peek() == Byte.quote else { throw missing(expected) }
        let span = try scanString()
        skipSpace()
        guard peek() == Byte.colon else { throw missing("':'") }
        offset += 1
        state = .value
        return .name(span)
    }

    private mutating func value(expected: String) throws(JSONError) -> JSONToken {
        guard let byte = peek() else { throw missing(expected) }
        let token: JSONToken
        switch byte {
        case Byte.quote: token = .string(try scanString())
        case Byte.minus, Byte.zero...Byte.nine: token = .number(try scanNumber())
        case Byte.beginArray: return try open(isObject: false)
        case Byte.beginObject: return try open(isObject: true)
        case UInt8(ascii: "t"):
            try scanWord("true")
            token = .bool(true)
        case UInt8(ascii: "f"):
            try scanWord("false")
            token = .bool(false)
        case UInt8(ascii: "n"):
            try scanWord("null")
            token = .null
        default: throw missing(expected)
        }
        state = depth == 0 ? .end : .commaOrEnd
        return token
    }

    private mutating func open(isObject: Bool) throws(JSONError) -> JSONToken {
        guard depth < depthLimit else { throw fault(.tooDeep(limit: depthLimit)) }
        offset += 1
        depth += 1
        let bit: UInt64 = 1 << UInt64(depth - 1)
        if isObject { objects |= bit } else { objects &= ~bit }
        state = isObject ? .nameOrEndOfObject : .valueOrEndOfArray
        return isObject ? .beginObject : .beginArray
    }

    private mutating func close() -> JSONToken {
        let token = inObject ? JSONToken.endObject : .endArray
        offset += 1
        depth -= 1
        state = depth == 0 ? .end : .commaOrEnd
        return token
    }
}
