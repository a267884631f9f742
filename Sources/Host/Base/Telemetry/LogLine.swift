/// One line of the log:
///
///     [module] YYYY/MM/DD HH:MM:SS message key=value key="value with blanks"
///
/// The time is UTC. What would break the line is escaped; what is too long is cut.
struct LogLine {
    /// `PIPE_BUF` on Linux: see `LossySink`.
    static let limit = 4096

    private var text: String

    init(module: String, time: WallTime) {
        text = "[\(module)] \(time.logText) "
    }

    mutating func append(message: String) {
        text += Self.escaped(message.asFarAsShown, alsoQuotes: false)
    }

    mutating func append(key: String, value: String) {
        let value = value.asFarAsShown
        let isPlain =
            !value.isEmpty
            && value.unicodeScalars.allSatisfy {
                $0 > " " && $0 != "\"" && $0 != "=" && !Self.isControl($0)
            }
        text += " \(key)=" + (isPlain ? value : "\"\(Self.escaped(value, alsoQuotes: true))\"")
    }

    func bytes() -> [UInt8] {
        var bytes = Array(text.utf8)
        if bytes.count >= Self.limit {
            let mark = Array("…".utf8)
            bytes.removeLast(bytes.count - (Self.limit - mark.count - 1))
            // No half character before the mark.
            while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
            if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
            bytes += mark
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// Also those above ASCII, which terminals take for the begin of a sequence, as they do ESC.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }

    private static func escaped(_ text: String, alsoQuotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\"" where alsoQuotes: result += "\\\""
            case "\\" where alsoQuotes: result += "\\\\"
            case _ where isControl(scalar):
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.count < 2 ? "0" : "") + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension String {
    /// No more of it than a line shows. Texts of others may be as long as their messages, and those of many of them
    /// would be remembered, or written three times over, for a line of 4 KiB.
    var asFarAsShown: String {
        utf8.count <= LogLine.limit ? self : String(unicodeScalars.prefix(LogLine.limit))
    }
}
