/// One step of a JSON text, as `JSONReader` meets it. Strings and numbers are spans of the input:
/// nothing is copied until the reader is asked for their contents.
package enum JSONToken: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(JSONNumberSpan)
    case string(JSONStringSpan)
    /// A member's name; its value is the next token.
    case name(JSONStringSpan)
    case beginArray
    case endArray
    case beginObject
    case endObject
    /// The one value is complete and only white space follows.
    case endOfInput
}

/// Where a string's contents stand, without the quotes.
package struct JSONStringSpan: Equatable, Sendable {
    /// Where it stands in the text, in bytes.
    package let range: Range<Int>
    /// Without escapes the bytes are the text.
    package let hasEscapes: Bool
}

/// Where a number's text stands. It has been checked against the grammar.
package struct JSONNumberSpan: Equatable, Sendable {
    /// Where it stands in the text, in bytes.
    package let range: Range<Int>
    /// Written without fraction and exponent.
    package let isInteger: Bool
}
