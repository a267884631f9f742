import Chance

/// What a history believes to be in its database, so that most statements meet something. It may be
/// wrong: errors are outcomes too.
struct SchemaModel: Sendable {
    enum Shape: Sendable {
        case rows, withoutRowid, strict, autoincrement, view
        case fullText, rectangles
    }

    struct Table: Sendable {
        var name: String
        var columns: [String]
        /// An INTEGER PRIMARY KEY.
        var key: String?
        var shape: Shape
    }

    var tables: [Table] = []
    var indexes: [String] = []
    var triggers: [String] = []
    private var made = 0

    /// A name that was not there before, or one that was.
    mutating func name(_ prefix: String, _ dice: inout SplitMix64) -> String {
        if made > 3, dice.chance(1, of: 4) { return "\(prefix)\(1 + dice.below(made))" }
        made += 1
        return "\(prefix)\(made)"
    }

    /// One of the tables that hold rows of their own.
    func ordinary(_ dice: inout SplitMix64) -> Table {
        let found = tables.filter { $0.shape != .view && !$0.isVirtual }
        return dice.pick(found, or: .missing)
    }

    /// One of what can be read.
    func readable(_ dice: inout SplitMix64) -> Table {
        dice.pick(tables, or: .missing)
    }

    func virtual(_ shape: Shape, _ dice: inout SplitMix64) -> Table? {
        let found = tables.filter { $0.shape == shape }
        return found.isEmpty ? nil : dice.pick(found, or: .missing)
    }

    mutating func drop(_ name: String) {
        tables.removeAll { $0.name == name }
    }
}

extension SchemaModel.Table {
    static let missing = SchemaModel.Table(
        name: "nowhere", columns: ["a", "b"], key: nil, shape: .rows)

    var isVirtual: Bool { shape == .fullText || shape == .rectangles }

    func column(_ dice: inout SplitMix64) -> String {
        dice.pick(columns, or: "a")
    }
}
