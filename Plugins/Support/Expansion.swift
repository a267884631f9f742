/// Variables of the environment in a configuration, replaced before it is parsed.
///
///     $NAME        value, empty if unset; the name is the longest run of [A-Za-z0-9_]
///     ${ANYTHING}  value of the variable of exactly that name
///     $$           a dollar sign
///     $5, $*, …    the single character (a digit, or one of * # @ ! ? -) is the name
///     ${}          nothing
///     ${ …         without a closing brace the two characters are dropped
///     $            before anything else, or last: stays
///
/// These are rqlite's rules but for two: `$$` has a meaning, and a value inside a JSON string is
/// escaped, so that quotes and backslashes in a password can't break the configuration.
package struct Expansion {
    private let source: [UInt8]
    private let environment: (String) -> String?
    private var index = 0
    private var output: [UInt8] = []
    private var isInString = false
    private var unset: [String] = []

    /// - Returns: the text, and the variables that were not set, in their order.
    package static func expand(
        _ source: [UInt8], environment: (String) -> String?
    ) -> (text: [UInt8], unset: [String]) {
        withoutActuallyEscaping(environment) { environment in
            var expansion = Expansion(source: source, environment: environment)
            expansion.run()
            return (expansion.output, expansion.unset)
        }
    }

    private init(source: [UInt8], environment: @escaping (String) -> String?) {
        self.source = source
        self.environment = environment
    }

    private mutating func run() {
        while index < source.count {
            let byte = source[index]
            switch byte {
            case UInt8(ascii: "$"): expandVariable()
            case UInt8(ascii: "\\") where isInString:
                output.append(contentsOf: source[index..<min(index + 2, source.count)])
                index += 2
            default:
                if byte == UInt8(ascii: "\"") { isInString.toggle() }
                output.append(byte)
                index += 1
            }
        }
    }

    /// Begins at the dollar sign.
    private mutating func expandVariable() {
        index += 1
        guard index < source.count else { return output.append(UInt8(ascii: "$")) }
        switch source[index] {
        case UInt8(ascii: "$"):
            output.append(UInt8(ascii: "$"))
            index += 1
        case UInt8(ascii: "{"):
            guard let end = source[index...].firstIndex(of: UInt8(ascii: "}")) else {
                index += 1
                return
            }
            paste(source[(index + 1)..<end])
            index = end + 1
        case let byte where Self.isSpecial(byte):
            paste(source[index...index])
            index += 1
        case let byte where Self.isNamePart(byte):
            let end = source[index...].firstIndex { !Self.isNamePart($0) } ?? source.count
            paste(source[index..<end])
            index = end
        default: output.append(UInt8(ascii: "$"))
        }
    }

    private mutating func paste(_ name: ArraySlice<UInt8>) {
        guard !name.isEmpty else { return }
        let name = String(decoding: name, as: UTF8.self)
        guard let value = environment(name) else {
            if !unset.contains(name) { unset.append(name) }
            return
        }
        guard isInString else { return output.append(contentsOf: value.utf8) }
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case ..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                output.append(contentsOf: "\\u00".utf8)
                output.append(contentsOf: [digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            default: output.append(byte)
            }
        }
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "*#@!?-".utf8.contains(byte)
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
