/// The state of one key as a read saw it: what the token of a watch stands for.
///
///     p123    there was an entry with ModifyIndex 123
///     a123    there was none when Consul's index was 123
enum ConsulState: Equatable {
    case present(UInt64)
    case absent(UInt64)

    init?(token: [UInt8]) {
        let digits = String(decoding: token.dropFirst(), as: UTF8.self)
        guard let index = UInt64(digits), index > 0 else { return nil }
        switch token.first {
        case UInt8(ascii: "p"): self = .present(index)
        case UInt8(ascii: "a"): self = .absent(index)
        default: return nil
        }
    }

    var token: [UInt8] {
        switch self {
        case .present(let index): Array("p\(index)".utf8)
        case .absent(let index): Array("a\(index)".utf8)
        }
    }

    /// Where a blocking query continues from.
    var index: UInt64 {
        switch self {
        case .present(let index), .absent(let index): index
        }
    }

    /// Two absences are one state, whenever they were seen.
    func differs(from other: ConsulState) -> Bool {
        switch (self, other) {
        case (.absent, .absent): false
        default: self != other
        }
    }
}
