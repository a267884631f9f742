internal import SQLite

/// What the options of a full-text table may not say. The modules bound neither, what they do for it shows in no step
/// and in nothing that is counted, and each connection does it anew:
///
/// - FTS3 and FTS4 make an index of its own for each length in `prefix`, also for one that was named before, and put each
///   word into all of them: a million times the same one are a million lists for a word.
/// - FTS5 has each `porter` in `tokenize` call the one behind it, for each word: a thousand of them take as many times
///   as long, and of a hundred thousand a stack of 8 MiB has no room.
enum ModuleOptions {
    /// Lengths that were named before, or are none, are no matter in such a number; nor are tokenizers in one another.
    private static let mostRepeats = 32

    /// Why a CREATE VIRTUAL TABLE is refused, in words for the client; nil when it isn't.
    /// - Parameter virtual: goes on behind that word.
    static func refusal(behind virtual: SQLTokenizer, in sql: UnsafeRawBufferPointer) -> String? {
        var tokens = virtual
        var isPrefix = false
        while let token = tokens.next() {
            guard token == .other(UInt8(ascii: "=")) else {
                if case .word(let range) = token {
                    isPrefix = tokens.isKeyword(range, "PREFIX")
                } else {
                    isPrefix = false
                }
                continue
            }
            let (range, isQuoted) = takeValue(&tokens)
            let value = UnsafeRawBufferPointer(rebasing: sql[range])
            if isPrefix, repeatsLengths(value, isQuoted: isQuoted) {
                return "the option prefix of a full-text table names each length once, in quotes"
            }
            if isQuoted, count(ofPorterIn: value) > mostRepeats {
                return "too many tokenizers in one another: at most \(mostRepeats)"
            }
            isPrefix = false
        }
        return nil
    }

    /// Takes what an option is set to: what stands in its quotes, or all up to the next argument, of which FTS4 reads
    /// what is in parentheses or brackets as well.
    private static func takeValue(_ tokens: inout SQLTokenizer)
        -> (range: Range<Int>, isQuoted: Bool)
    {
        let start = tokens.offset
        var depth = 0
        var following = tokens
        if case .quoted(let range)? = following.next() {
            tokens = following
            return (range, true)
        }
        while true {
            following = tokens
            switch following.next() {
            case .other(UInt8(ascii: "(")): depth += 1
            case .other(UInt8(ascii: ")")): depth -= 1
            case .other(UInt8(ascii: ",")) where depth <= 0: return (start..<tokens.offset, false)
            case nil: return (start..<tokens.offset, false)
            case .semicolon, .word, .quoted, .other: break
            }
            tokens = following
        }
    }

    /// Lengths in quotes are charged with each word, once each (`ModuleMemory`).
    private static func repeatsLengths(_ value: UnsafeRawBufferPointer, isQuoted: Bool) -> Bool {
        let longest = 999
        var known: Set<Int> = []
        var others = 0
        var number = 0
        for index in 0...value.count {
            let byte = index < value.count ? value[index] : UInt8(ascii: ",")
            if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                number = min(number * 10 + Int(byte - UInt8(ascii: "0")), longest + 1)
            } else if byte == UInt8(ascii: ",") {
                let isCharged = isQuoted && (1...longest).contains(number)
                if !isCharged || !known.insert(number).inserted { others += 1 }
                number = 0
            }
        }
        return others > mostRepeats
    }

    private static func count(ofPorterIn value: UnsafeRawBufferPointer) -> Int {
        let word: [UInt8] = Array("porter".utf8)
        var count = 0
        var matched = 0
        for byte in value {
            // No letter of it but the first begins it anew.
            if byte | 0x20 == word[matched] {
                matched += 1
            } else {
                matched = byte | 0x20 == word[0] ? 1 : 0
            }
            if matched == word.count { (count, matched) = (count + 1, 0) }
        }
        return count
    }
}
