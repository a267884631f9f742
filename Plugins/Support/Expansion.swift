import Notation

/// Variables of the environment in a configuration, replaced before it is parsed.
///
/// What is a name is rqlite's rule (`VariableName`), but for `$$`, which is a dollar sign. A variable that
/// is not set is empty. A value inside a JSON string is escaped, so that quotes and backslashes in a
/// password can't break the configuration.
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
        if source[index] == UInt8(ascii: "$") {
            output.append(UInt8(ascii: "$"))
            index += 1
        } else if let (name, length) = VariableName.read(source[index...]) {
            paste(name)
            index += length
        } else {
            output.append(UInt8(ascii: "$"))
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
}
