/// Writing a tree, in rqlite's two forms: without any white space, or indented by four spaces with
/// `"name": value`. Neither ends with a new line.
extension JSONValue {
    /// UTF-8 text as rqlite writes it: `pretty` with four blanks for each depth.
    package func text(pretty: Bool = false) -> String {
        var output: [UInt8] = []
        write(to: &output, pretty: pretty)
        return String(decoding: output, as: UTF8.self)
    }

    /// The same, appended to `output`.
    package func write(to output: inout [UInt8], pretty: Bool = false) {
        write(to: &output, indent: pretty ? 0 : nil)
    }

    /// `indent` is the depth of this value, nil in the compact form.
    private func write(to output: inout [UInt8], indent: Int?) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let text): output.append(contentsOf: text.utf8)
        case .string(let text): JSONText.append(text, to: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                Self.separate(index, indent, &output)
                element.write(to: &output, indent: indent.map { $0 + 1 })
            }
            if !elements.isEmpty { Self.breakLine(indent, &output) }
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                Self.separate(index, indent, &output)
                JSONText.append(member.name, to: &output)
                output.append(contentsOf: (indent == nil ? ":" : ": ").utf8)
                member.value.write(to: &output, indent: indent.map { $0 + 1 })
            }
            if !members.isEmpty { Self.breakLine(indent, &output) }
            output.append(UInt8(ascii: "}"))
        }
    }

    private static func separate(_ index: Int, _ indent: Int?, _ output: inout [UInt8]) {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        breakLine(indent.map { $0 + 1 }, &output)
    }

    private static func breakLine(_ indent: Int?, _ output: inout [UInt8]) {
        guard let indent else { return }
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 4 * indent))
    }
}
