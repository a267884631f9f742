import Glibc

/// A Swift file as the rules look at it: comments, string contents and back-quoted names are
/// blanked, so that a pattern only meets code; lines keep their numbers.
struct SwiftSource: Sendable {
    let path: String
    /// As written.
    let lines: [Substring]
    /// With all but code blanked.
    let code: [Substring]
    let codeBytes: [UInt8]
    let bytes: [UInt8]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        bytes = Array(text.utf8)
        var lexer = Blanker(bytes)
        codeBytes = lexer.blanked()
        code = String(decoding: codeBytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The module whose folder it lies in.
    var module: String {
        let folders = path.split(separator: "/").dropLast()
        return String(folders.dropFirst(path.hasPrefix("Sources/Host/") ? 3 : 2).first ?? "")
    }

    /// Modules it imports, without their access level.
    var imports: [String] {
        code.compactMap { line in
            let words = line.split(separator: " ")
            guard let keyword = words.firstIndex(of: "import"), keyword <= 2,
                words[..<keyword].allSatisfy({
                    $0.hasPrefix("@") || ["package", "public", "internal", "private"].contains($0)
                }),
                let name = words.last
            else { return nil }
            return String(name)
        }
    }

    struct Function: Equatable {
        /// Counted from 1.
        let line: Int
        let length: Int
    }

    /// Functions and initialisers with a body, from their first line to their closing brace.
    var functions: [Function] {
        var found: [Function] = []
        var line = 1
        let bytes = codeBytes
        for (offset, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            guard Self.declaresFunction(bytes, at: offset),
                let length = Self.bodyLength(bytes, from: offset)
            else { continue }
            found.append(Function(line: line, length: length))
        }
        return found
    }

    func opens(_ function: Function, with keyword: String) -> Bool {
        let words = code[function.line - 1].split { !$0.isLetter }
        return words.contains { $0 == keyword }
    }

    /// What a function hands to `close` by its name.
    func descriptorsClosed(in function: Function) -> [String] {
        code[function.line - 1..<function.line - 1 + function.length]
            .flatMap { $0.matches(of: /(?:^|\W)close\((\w+)\)/).map { String($0.1) } }
    }

    struct Match: Sendable {
        let offset: Int
        /// Counted from 1.
        let line: Int
    }

    /// Where a text stands. C's own search, for there is a lot to look through.
    static func matches(of pattern: String, in text: [UInt8]) -> [Match] {
        var found: [Match] = []
        (text + [0]).withUnsafeBytes { text in
            guard let base = text.bindMemory(to: CChar.self).baseAddress else { return }
            var start = base
            var counted = 0
            var line = 1
            while let match = strstr(start, pattern) {
                let offset = UnsafePointer(match) - base
                line += text[counted..<offset].count { $0 == UInt8(ascii: "\n") }
                counted = offset
                found.append(Match(offset: offset, line: line))
                start = base + offset + pattern.utf8.count
            }
        }
        return found
    }

    private static let keywords = ["func ", "init(", "init?(", "init<", "deinit ", "subscript("]
        .map { Array($0.utf8) }

    private static func declaresFunction(_ bytes: [UInt8], at offset: Int) -> Bool {
        switch bytes[offset] {
        case UInt8(ascii: "f"), UInt8(ascii: "i"), UInt8(ascii: "d"), UInt8(ascii: "s"): break
        default: return false
        }
        if offset > 0 {
            let before = bytes[offset - 1]
            guard before == UInt8(ascii: " ") || before == UInt8(ascii: "\n") else { return false }
        }
        return keywords.contains { bytes[offset...].starts(with: $0) }
    }

    /// Nil for a declaration without a body, as in a protocol.
    private static func bodyLength(_ bytes: [UInt8], from start: Int) -> Int? {
        var parentheses = 0
        var braces = 0
        var length = 1
        for offset in start..<bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\n"):
                length += 1
            case UInt8(ascii: "("), UInt8(ascii: "["):
                parentheses += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"):
                parentheses -= 1
            case UInt8(ascii: "{"):
                braces += 1
            case UInt8(ascii: "}"):
                braces -= 1
                if braces < 0 { return nil }
                if braces == 0 && parentheses == 0 { return length }
            default:
                // The next declaration begins before a body did.
                if offset > start, braces == 0, parentheses == 0,
                    declaresFunction(bytes, at: offset)
                {
                    return nil
                }
            }
        }
        return nil
    }
}

/// Walks over a file once and blanks what is not code.
private struct Blanker {
    private var bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func blanked() -> [UInt8] {
        skipCode(until: nil)
        return bytes
    }

    private func at(_ text: StaticString) -> Bool {
        guard offset + text.utf8CodeUnitCount <= bytes.count else { return false }
        for index in 0..<text.utf8CodeUnitCount
        where bytes[offset + index] != text.utf8Start[index] { return false }
        return true
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where offset < bytes.count {
            if bytes[offset] != UInt8(ascii: "\n") { bytes[offset] = UInt8(ascii: " ") }
            offset += 1
        }
    }

    /// Up to the end, or to the parenthesis that ends an interpolation.
    private mutating func skipCode(until closing: UInt8?) {
        var depth = 0
        while offset < bytes.count {
            if at("//") {
                while offset < bytes.count, bytes[offset] != UInt8(ascii: "\n") { blank() }
            } else if at("/*") {
                skipComment()
            } else if let hashes = stringStart() {
                skipString(hashes: hashes)
            } else if at("`") {
                blank()
                while offset < bytes.count, !at("`") { blank() }
                blank()
            } else {
                if closing != nil, at("(") { depth += 1 }
                if closing != nil, at(")") {
                    if depth == 0 { return }
                    depth -= 1
                }
                offset += 1
            }
        }
    }

    private mutating func skipComment() {
        var depth = 0
        repeat {
            if at("/*") {
                depth += 1
                blank(2)
            } else if at("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && offset < bytes.count
    }

    /// The number of `#` in front of a string that begins here.
    private func stringStart() -> Int? {
        var end = offset
        while end < bytes.count, bytes[end] == UInt8(ascii: "#") { end += 1 }
        guard end < bytes.count, bytes[end] == UInt8(ascii: "\"") else { return nil }
        return end - offset
    }

    private mutating func skipString(hashes: Int) {
        blank(hashes)
        let quotes = at("\"\"\"") ? 3 : 1
        blank(quotes)
        while offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "\\"), hashesFollow(offset + 1, hashes) {
                let next = offset + 1 + hashes
                if next < bytes.count, bytes[next] == UInt8(ascii: "(") {
                    blank(2 + hashes)
                    let start = offset
                    skipCode(until: UInt8(ascii: ")"))
                    let end = offset
                    offset = start
                    blank(end - start + 1)
                } else {
                    blank(2 + hashes)
                }
            } else if quotes == 3 ? at("\"\"\"") : at("\""), hashesFollow(offset + quotes, hashes) {
                blank(quotes + hashes)
                return
            } else {
                blank()
            }
        }
    }

    private func hashesFollow(_ start: Int, _ count: Int) -> Bool {
        guard start + count <= bytes.count else { return false }
        return bytes[start..<(start + count)].allSatisfy { $0 == UInt8(ascii: "#") }
    }
}
