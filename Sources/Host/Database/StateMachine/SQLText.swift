import Glibc

/// A text that is told from another by its bytes. Swift's `String` takes canonically equivalent
/// texts for equal, SQLite does not: `'é'` composed and decomposed are two values.
struct SQLText: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (a: SQLText, b: SQLText) -> Bool {
        var (a, b) = (a.text, b.text)
        return a.withUTF8 { a in
            b.withUTF8 { b in
                guard a.count == b.count else { return false }
                guard let first = a.baseAddress, let second = b.baseAddress else { return true }
                return memcmp(first, second, a.count) == 0
            }
        }
    }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
