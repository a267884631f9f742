import JSON
import Notation

/// Writes JSON member by member, compact or with rqlite's indent of four blanks. The caller says
/// what comes; commas and line breaks come by themselves.
struct JSONOutput {
    private(set) var bytes: [UInt8]
    let pretty: Bool
    private var depth = 0
    /// Something stands before in the innermost open container.
    private var hasSibling = false

    /// Continues after what `bytes` holds already, whose capacity is reused.
    init(continuing bytes: consuming [UInt8], pretty: Bool = false) {
        self.bytes = bytes
        self.pretty = pretty
    }

    mutating func beginObject() { begin(UInt8(ascii: "{")) }
    mutating func endObject() { end(UInt8(ascii: "}")) }
    mutating func beginArray() { begin(UInt8(ascii: "[")) }
    mutating func endArray() { end(UInt8(ascii: "]")) }

    /// Announces the next element of an array.
    mutating func element() {
        if hasSibling { bytes.append(UInt8(ascii: ",")) }
        hasSibling = true
        if pretty { breakLine() }
    }

    /// Announces the value of a member whose name needs no escapes.
    mutating func member(_ name: StaticString) {
        element()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        colon()
    }

    /// Announces the value of a member whose name is given as JSON text, quotes included.
    mutating func member(escaped name: [UInt8]) {
        element()
        bytes.append(contentsOf: name)
        colon()
    }

    mutating func member(text name: String) {
        element()
        JSONText.append(name, to: &bytes)
        colon()
    }

    /// Ends a document; another one follows on the next line.
    mutating func endLine() {
        bytes.append(UInt8(ascii: "\n"))
        hasSibling = false
    }

    private mutating func colon() {
        bytes.append(UInt8(ascii: ":"))
        if pretty { bytes.append(UInt8(ascii: " ")) }
    }

    private mutating func begin(_ bracket: UInt8) {
        bytes.append(bracket)
        depth += 1
        hasSibling = false
    }

    private mutating func end(_ bracket: UInt8) {
        depth -= 1
        if pretty, hasSibling { breakLine() }
        bytes.append(bracket)
        hasSibling = true
    }

    private mutating func breakLine() {
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 4 * depth))
    }
}

/// Values. Each stands at the root, or after `element` or `member`.
extension JSONOutput {
    mutating func null() { bytes.append(contentsOf: [0x6E, 0x75, 0x6C, 0x6C]) }

    mutating func bool(_ value: Bool) {
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    mutating func text(_ text: String) { JSONText.append(text, to: &bytes) }

    mutating func value(_ value: JSONValue) { value.write(to: &bytes) }

    mutating func integer(_ value: Int64) {
        if value >= 0, value < 10 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value))
            return
        }
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var start = 20
        var rest = value.magnitude
        repeat {
            start -= 1
            digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        for index in start..<20 { bytes.append(digits[index]) }
    }

    /// JSON has no infinities. They become null, as `JSON.stringify` of ECMAScript has it: every
    /// client can read that, while a number like `1e999` makes many of them reject the whole
    /// answer. `CAST(x AS TEXT)` tells them from a stored NULL. SQLite itself never yields NaN.
    mutating func real(_ value: Double) {
        if value.isFinite { JSONText.append(value, to: &bytes) } else { null() }
    }

    /// A text as the database holds it: what is not UTF-8 in it becomes U+FFFD, byte by byte.
    mutating func text(_ utf8: UnsafeRawBufferPointer) {
        quote()
        textContents(utf8)
        quote()
    }

    /// Begins or ends a string that is written in pieces.
    mutating func quote() { bytes.append(UInt8(ascii: "\"")) }

    /// A piece of a text, cut where no character is broken.
    mutating func textContents(_ utf8: UnsafeRawBufferPointer) {
        if UTF8Check.isValid(utf8) {
            utf8.withMemoryRebound(to: UInt8.self) {
                JSONText.appendContents(utf8: $0, to: &bytes)
            }
        } else {
            var repaired = UTF8Check.repaired(utf8)
            repaired.withUTF8 { JSONText.appendContents(utf8: $0, to: &bytes) }
        }
    }

    /// What was written since it was last taken.
    mutating func takeBytes() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// RFC 3339 text, which needs no escapes.
    mutating func date(_ date: DateText) {
        bytes.append(UInt8(ascii: "\""))
        date.write { bytes.append($0) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Base64 with the standard alphabet and padding (RFC 4648 §4).
    mutating func base64(_ content: UnsafeRawBufferPointer) {
        quote()
        base64Digits(content)
        quote()
    }

    /// The digits of a piece; all but the last piece have a length that three divides.
    mutating func base64Digits(_ content: UnsafeRawBufferPointer) {
        var index = 0
        while index < content.count {
            let left = content.count - index
            let group =
                UInt32(content[index]) << 16
                | (left > 1 ? UInt32(content[index + 1]) << 8 : 0)
                | (left > 2 ? UInt32(content[index + 2]) : 0)
            for place in 0..<4 {
                let digit = UInt8(truncatingIfNeeded: group >> (18 - 6 * UInt32(place)) & 0x3F)
                bytes.append(place <= left ? Self.base64Digit(digit) : UInt8(ascii: "="))
            }
            index += 3
        }
    }

    private static func base64Digit(_ value: UInt8) -> UInt8 {
        switch value {
        case 0..<26: UInt8(ascii: "A") + value
        case 26..<52: UInt8(ascii: "a") + value - 26
        case 52..<62: UInt8(ascii: "0") + value - 52
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    mutating func byteNumbers(_ content: UnsafeRawBufferPointer) {
        beginArray()
        numbers(content)
        endArray()
    }

    /// Elements of an array that is open.
    mutating func numbers(_ content: UnsafeRawBufferPointer) {
        for byte in content {
            element()
            integer(Int64(byte))
        }
    }
}
