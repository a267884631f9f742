/// A text that is told from another by its bytes. Swift's `String` takes canonically equivalent
/// texts for equal, SQLite does not: `'é'` composed and decomposed are two values.
struct SQLText: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (a: SQLText, b: SQLText) -> Bool {
        a.text.utf8.elementsEqual(b.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
